"""What the generator is told of the user's own locustfile: how many users it has in each stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_prodready.generator.plan import Plan, Stage


@dataclass(frozen=True, slots=True)
class LocustfilePlan(Plan):
    """A closed model: stages have users instead of a rate; the rate is what is expected of them.

    `users` are those of the usual load, and `asks` get known when they are made.
    """

    file: str = ""  # the path of the locustfile
    arguments: Sequence[str] = ()  # as on Locust's command line
    usual_rps: float = 1.0

    def users_in(self, stage: Stage) -> int:
        """How many users a stage has."""
        return max(1, round(self.users * stage.rate / self.usual_rps))

    def ramp_s(self, stage: Stage) -> float:
        """How long its new users take to come, one after the other: they would be a crowd otherwise.

        Each sends at once, and maybe before, in on_start: spread over two of its cycles that is no peak.
        """
        cycle = self.users / self.usual_rps
        return min(stage.seconds / 2, max(stage.seconds / 4, 2 * cycle))
