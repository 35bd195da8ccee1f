"""What changes the schema of one database: a tool by its commands, or SQL files."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import psycopg

from pytest_prodready.environment.copies import Beside
from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.logs import last_lines
from pytest_prodready.environment.ran import Command, Ran
from pytest_prodready.probes.migration_history import (
    History,
    alembic_history,
    of_alembic,
    of_files,
    of_list,
)
from pytest_prodready.settings import MigrationSettings
from pytest_prodready.settings.migration import REVISION

Progress = Callable[[str], None]
KEPT_LINES = 15
UP, DOWN = ".up.sql", ".down.sql"


class Tool(Protocol):
    """Changes the schema of one database."""

    @property
    def steps_by_name(self) -> bool:
        """Whether it can stop at a revision."""

    def history(self) -> History:
        """Its revisions."""

    def up(self, revision: str = "") -> Ran:
        """Upgrade to a revision, or to the newest."""

    def down(self, revision: str = "") -> Ran:
        """Downgrade to a revision, or to before the first."""

    def down_once(self) -> Ran:
        """Downgrade by one step, where it can't be told a revision."""

    def current(self) -> Ran | None:
        """Say where the database is; None where that isn't told, or is known without asking."""

    def check(self) -> Ran | None:
        """Hold the service's models against the schema; None where it can't."""


def tool_for(
    environment: Environment, beside: Beside, settings: MigrationSettings, progress: Progress, at: str = ""
) -> Tool:
    """The configured tool, for one database; `at` is the revision that it has reached already."""
    if settings.files is not None:
        folder = environment.service_folder / settings.files
        return SqlFiles(beside, folder, settings.within_s, progress, at)
    return Commands(environment, beside, as_commands(settings), progress)


def as_commands(settings: MigrationSettings) -> MigrationSettings:
    """The same with the commands of a tool that is known by name."""
    if settings.tool != "alembic":
        return settings
    alembic = f"{{python}} -m alembic -c {settings.config}"
    return settings.model_copy(
        update={
            "upgrade": f"{alembic} upgrade {REVISION}",
            "downgrade": f"{alembic} downgrade {REVISION}",
            "revisions": alembic_history(str(settings.config)),
            "check": settings.check or f"{alembic} check",
        }
    )


def run_command(
    environment: Environment, beside: Beside, settings: MigrationSettings, key: str, text: str
) -> Ran:
    """Run the command of one key, with the variables of an instance for this database."""
    command = Command(f"migration-{key}", text, f"[migration] {key}")
    ran = environment.try_command(beside.application, command, settings.within_s, lambda _: None)
    return replace(ran, printed=last_lines(ran.printed, KEPT_LINES))


class Commands:
    """A tool that is run in the service's folder, with the variables of an instance for this database."""

    def __init__(
        self, environment: Environment, beside: Beside, settings: MigrationSettings, progress: Progress
    ) -> None:
        self._environment, self._beside, self._settings = environment, beside, settings
        self._progress = progress
        self._history: History | None = None

    @property
    def steps_by_name(self) -> bool:
        """Whether its commands take a revision."""
        return REVISION in (self._settings.upgrade or "")

    def history(self) -> History:
        """What its command tells; asked once."""
        if self._history is None:
            self._history = self._listed()
        return self._history

    def up(self, revision: str = "") -> Ran:
        """Upgrade to a revision, or to the newest."""
        newest = "head" if self._settings.tool == "alembic" else self._newest()
        return self._to("upgrade", revision or newest)

    def down(self, revision: str = "") -> Ran:
        """Downgrade to a revision, or to before the first."""
        return self._to("downgrade", revision or self._settings.base)

    def down_once(self) -> Ran:
        """Run the command that goes back by one step."""
        return self._to("downgrade", "")

    def current(self) -> Ran | None:
        """Run the command that says where the database is."""
        if self._settings.current is None:
            return None
        return self._run("current", self._settings.current, "asking where the database is")

    def check(self) -> Ran | None:
        """Run the command that compares the service's models with the schema."""
        if self._settings.check is None:
            return None
        return self._run("check", self._settings.check, "holding the models against the schema")

    def _listed(self) -> History:
        if self._settings.revisions is None:
            return History()
        ran = self._run("revisions", self._settings.revisions, "listing the revisions")
        if not ran.succeeded:
            return History(doubt=f"the revisions could not be listed: the command {ran.ended}: {ran.telling}")
        return of_alembic(ran.printed) if self._settings.tool == "alembic" else of_list(ran.printed)

    def _newest(self) -> str:
        if not self.steps_by_name:
            return ""
        return next(iter(self.history().revisions[-1:]), "")

    def _to(self, key: str, revision: str) -> Ran:
        text = getattr(self._settings, key).replace(REVISION, revision)
        return self._run(key, text, f"{key[:-1]}ing {self._beside.database.name} {revision}".rstrip())

    def _run(self, key: str, text: str, told: str) -> Ran:
        self._progress(told)
        return run_command(self._environment, self._beside, self._settings, key, text)


class SqlFiles:
    """SQL files in a folder; each is sent as one query, by the service's role, as golang-migrate does."""

    def __init__(
        self, beside: Beside, folder: Path, within_s: float, progress: Progress, at: str = ""
    ) -> None:
        self._beside, self._folder, self._within_s, self._progress = beside, folder, within_s, progress
        self._at = at

    steps_by_name = True

    def history(self) -> History:
        """The files, sorted by their names."""
        return of_files(self._names())

    def up(self, revision: str = "") -> Ran:
        """Send the files between the present revision and this one."""
        names = sorted(self._names())
        until = revision or names[-1]
        return self._send([each for each in names if self._at < each <= until], UP, lambda name: name)

    def down(self, revision: str = "") -> Ran:
        """Send the files that lead back."""
        names = sorted(self._names())
        back = [each for each in reversed(names) if revision < each <= self._at]
        before = dict(zip(names, ["", *names], strict=False))
        return self._send(back, DOWN, lambda name: before[name])

    def down_once(self) -> Ran:
        """Files are told a revision."""
        raise NotImplementedError

    def current(self) -> Ran | None:
        """Files write down nothing."""
        return None

    def check(self) -> Ran | None:
        """Files know no models."""
        return None

    def _names(self) -> list[str]:
        return [file.name.removesuffix(UP) for file in self._folder.glob(f"*{UP}")]

    def _send(self, names: list[str], ending: str, reached: Callable[[str], str]) -> Ran:
        began, said = time.monotonic(), ""
        for name in names:
            file = self._folder / f"{name}{ending}"
            self._progress(f"sending {file.name}")
            said = self._sent(file)
            if said:
                break
            self._at = reached(name)
        return Ran(int(bool(said)), round(time.monotonic() - began, 3), said, len(said.encode()))

    def _sent(self, file: Path) -> str:
        """Send one file; returns what is wrong with it."""
        if not file.exists():
            return f"{file.name} does not exist"
        limit = f"-c statement_timeout={int(self._within_s * 1000)}"
        try:
            with psycopg.connect(self._beside.database.url(), autocommit=True, options=limit) as connection:
                connection.execute(file.read_bytes())
        except (psycopg.Error, OSError) as error:
            return f"{file.name}: {error}"
        return ""
