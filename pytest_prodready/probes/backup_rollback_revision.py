"""The revision before the newest, at which a copy of the database is when the rollback plan begins."""

from __future__ import annotations

from pytest_prodready.environment.copies import Beside
from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.ran import Ran
from pytest_prodready.probes.backup_facts import Step
from pytest_prodready.probes.backup_gate import errors_in
from pytest_prodready.probes.migration_tool import Progress, tool_for
from pytest_prodready.settings import MigrationSettings


class Revision:
    """Takes a database back by one revision, and to the newest again."""

    def __init__(
        self, environment: Environment, beside: Beside, settings: MigrationSettings, progress: Progress
    ) -> None:
        self.before = ""  # the revision that it went back to; empty: none, it is at the newest
        # SQL files alone don't know what has been run: a restored database would be another's.
        self._tool = None
        if settings.runs_itself and settings.can_go_back:
            self._tool = tool_for(environment, beside, settings, progress)

    def go_back(self) -> tuple[Step, ...]:
        """Go back by one revision, or stay where there is no way down that works."""
        if self._tool is None or not self._tool.steps_by_name:
            return ()
        revisions = self._tool.history().revisions
        if len(revisions) < 2:
            return ()
        down = _step(f"downgrade to {revisions[-2]}", self._tool.down(revisions[-2]))
        if down.failed:
            return (down, self._up())
        self.before = revisions[-2]
        return (down,)

    def go_on(self) -> tuple[Step, ...]:
        """Go to the newest revision, where it went back."""
        return (self._up(),) if self.before else ()

    def _up(self) -> Step:
        assert self._tool is not None
        return _step("upgrade to the newest revision", self._tool.up())


def _step(name: str, ran: Ran) -> Step:
    return Step(name, ran.status, ran.seconds, ran.printed, errors_in(ran.printed))
