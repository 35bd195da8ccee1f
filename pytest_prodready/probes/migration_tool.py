"""What changes the schema of one database: a tool by its commands, or SQL files."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import psycopg

from pytest_prodready.environment.copies import Beside
from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.logs import last_lines
from pytest_prodready.environment.ran import Command, Ran
from pytest_prodready.environment.session_options import session_options
from pytest_prodready.environment.sql_migrations import SqlMigrations, sql_migrations
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


class Tool(Protocol):
    """Changes the schema of one database."""

    @property
    def steps_by_name(self) -> bool:
        """Whether it can stop at a revision."""

    @property
    def goes_back(self) -> bool:
        """Whether there is a way down other than a restore."""

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
    environment: Environment, beside: Beside, settings: MigrationSettings, progress: Progress
) -> Tool:
    """What changes the schema in production, for one database; SQL files where nothing else is given."""
    if settings.runs_itself:
        return Commands(environment, beside, as_commands(settings), progress)
    return stepping(environment, beside, settings, progress)


def stepping(
    environment: Environment, beside: Beside, settings: MigrationSettings, progress: Progress, at: str = ""
) -> Tool:
    """What can stop at each revision: SQL files where they are given, also beside a command.

    `at` is the revision that the database has reached already.
    """
    if settings.files is None:
        return tool_for(environment, beside, settings, progress)
    files = sql_migrations(environment.service_folder / settings.files)
    options = session_options(environment.service_env(), settings.within_s)
    return SqlFiles(beside, files, options, progress, at)


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
    ran = _whole(environment, beside, settings, key, text)
    return replace(ran, printed=last_lines(ran.printed, KEPT_LINES))


def _whole(environment: Environment, beside: Beside, settings: MigrationSettings, key: str, text: str) -> Ran:
    """The same with all that it printed, where that is what it is run for."""
    command = Command(f"migration-{key}", text, f"[migration] {key}")
    return environment.try_command(beside.application, command, settings.within_s, lambda _: None)


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

    @property
    def goes_back(self) -> bool:
        """Whether it has a command for it."""
        return self._settings.downgrade is not None

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
        self._progress("listing the revisions")
        ran = _whole(self._environment, self._beside, self._settings, "revisions", self._settings.revisions)
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
    """SQL files in a folder, sent by the service's role in the way of the tool that keeps them so."""

    def __init__(
        self, beside: Beside, files: SqlMigrations, options: str, progress: Progress, at: str = ""
    ) -> None:
        self._beside, self._files, self._options, self._progress = beside, files, options, progress
        self._at = at

    steps_by_name = True

    @property
    def goes_back(self) -> bool:
        """Whether there are files for it."""
        return self._files.goes_back

    def history(self) -> History:
        """The files, in the order in which they are sent."""
        return of_files(self._files.names)

    def up(self, revision: str = "") -> Ran:
        """Send the files between the present revision and this one."""
        names = self._files.names
        until = self._place(revision) or len(names)
        return self._send(names[self._place(self._at) : until], self._files.up, lambda name: name)

    def down(self, revision: str = "") -> Ran:
        """Send the files that lead back."""
        names = self._files.names
        back = names[self._place(revision) : self._place(self._at)][::-1]
        before = dict(zip(names, ["", *names], strict=False))
        return self._send(back, self._files.down, lambda name: before[name])

    def down_once(self) -> Ran:
        """Files are told a revision."""
        raise NotImplementedError

    def current(self) -> Ran | None:
        """Files write down nothing."""
        return None

    def check(self) -> Ran | None:
        """Files know no models."""
        return None

    def _place(self, revision: str) -> int:
        """How many files lead there; "" is before the first one."""
        return self._files.names.index(revision) + 1 if revision else 0

    def _send(
        self, names: Sequence[str], file_of: Callable[[str], Path], reached: Callable[[str], str]
    ) -> Ran:
        began, said = time.monotonic(), ""
        for name in names:
            file = file_of(name)
            self._progress(f"sending {self._named(file)}")
            said = self._sent(file)
            if said:
                break
            self._at = reached(name)
        return Ran(int(bool(said)), round(time.monotonic() - began, 3), said, len(said.encode()))

    def _sent(self, file: Path) -> str:
        """Send one file; returns what is wrong with it."""
        if not file.exists():
            return f"{self._named(file)} does not exist"
        try:
            url = self._beside.database.url()
            with psycopg.connect(url, autocommit=True, options=self._options) as connection:
                for query in self._files.queries(file):
                    connection.execute(query)
        except (psycopg.Error, OSError) as error:
            return f"{self._named(file)}: {error}"
        return ""

    def _named(self, file: Path) -> str:
        return str(file.relative_to(self._files.folder))
