"""The way back that every tool has: a backup before the newest revision, and its restore after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from psycopg import sql

from pytest_prodready.environment.copies import Beside
from pytest_prodready.environment.database import LONG_S
from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.postgres_tools import ToolRan, conninfo
from pytest_prodready.environment.ran import Ran
from pytest_prodready.probes.backup_held import Held, compared, held_in
from pytest_prodready.probes.contents_differences import ContentDifference
from pytest_prodready.probes.migration_state import Watched
from pytest_prodready.probes.migration_tool import Tool, stepping
from pytest_prodready.probes.schema import Schema, SchemaDifference, schema, schema_differences
from pytest_prodready.settings import Settings

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class WayBack:
    """Backup, upgrade, restore, and the upgrade again, as far as it came."""

    before: str = ""  # the revision that was backed up; empty: the newest one
    rows: int = 0  # that it had
    programs: tuple[ToolRan, ...] = ()  # of the backup and the restore
    upgrade: Ran | None = None
    upgraded: int = 0  # things of the catalogue that were another afterwards
    contents: tuple[ContentDifference, ...] = ()  # of the restored database against the one before
    schema: tuple[SchemaDifference, ...] = ()
    again: Ran | None = None  # the upgrade on the restored database
    differences: tuple[SchemaDifference, ...] = ()  # then, against the first upgrade
    doubt: str = ""  # why it came no further


def way_back(environment: Environment, settings: Settings, progress: Progress) -> WayBack:
    """Back up a database with rows before its newest revision, upgrade it, and restore the backup."""
    with environment.blank("migration") as beside:
        tool = again = stepping(environment, beside, settings.migration, progress)
        history = tool.history()
        if history.doubt or len(history.heads) > 1:
            return WayBack(doubt=history.doubt or "there is no single newest revision")
        before = history.newest(1)[0][0] if tool.steps_by_name and history.newest(1) else ""
        if settings.migration.files is not None:  # which don't read in the database where it is
            at = before or history.revisions[-1]
            again = stepping(environment, beside, settings.migration, progress, at)
        return _Way(beside, (tool, again), settings, progress).gone(before)


class _Way:
    """One database on the way."""

    def __init__(
        self, beside: Beside, tools: tuple[Tool, Tool], settings: Settings, progress: Progress
    ) -> None:
        self._database, (self._tool, self._then), self._progress = beside.database, tools, progress
        self._watched = Watched(beside.database, settings.migration)

    def gone(self, before: str) -> WayBack:
        """Every step in turn; the first that can't be done ends it."""
        ran = self._tool.up(before)
        if not ran.succeeded:
            return WayBack(
                before, doubt=f"the upgrade to {before or 'the newest'} {ran.ended}: {ran.telling}"
            )
        self._watched.filled()
        kept = self._held()
        seen = WayBack(before, kept.contents.rows)
        self._progress("backing up, upgrading, and restoring")
        seen = self._with(seen, self._backed_up())
        if seen.programs[-1].status != 0:
            return seen
        upgrade = self._tool.up()
        upgraded = self._schema()
        changed = len(schema_differences(kept.schema, upgraded))
        seen = self._with(replace(seen, upgrade=upgrade, upgraded=changed), self._restored())
        if seen.programs[-1].status != 0:
            return seen
        found = compared(kept, self._held())
        return self._again(replace(seen, contents=found.contents, schema=found.schema), upgraded)

    def _again(self, seen: WayBack, upgraded: Schema) -> WayBack:
        """The upgrade of the restored database leads where the first one did."""
        again = self._then.up()
        differences = schema_differences(upgraded, self._schema())
        return replace(seen, again=again, differences=differences)

    def _with(self, seen: WayBack, programs: Iterator[ToolRan]) -> WayBack:
        done = list(seen.programs)
        for ran in programs:
            done.append(ran)
            if ran.status != 0:
                break
        return replace(seen, programs=tuple(done))

    def _backed_up(self) -> Iterator[ToolRan]:
        server, name = self._database.server, self._database.name
        assert server is not None
        tools = server.tools()
        arguments = ("--dbname", conninfo(server, name), "--format", "custom", "--file", self._file())
        yield tools.run("pg_dump", *arguments, within_s=LONG_S)

    def _restored(self) -> Iterator[ToolRan]:
        """Into a database made anew, as a restore after a bad migration should be."""
        server, name = self._database.server, self._database.name
        assert server is not None
        with server.connect("postgres") as admin:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
        tools = server.tools()
        where = ("--dbname", conninfo(server, "postgres"))
        yield tools.run("pg_restore", *where, "--create", "--exit-on-error", self._file(), within_s=LONG_S)
        tools.remove(self._file())

    def _file(self) -> str:
        assert self._database.server is not None
        return f"{self._database.server.tools().folder}/before-migration.dump"

    def _schema(self) -> Schema:
        with self._database.superuser(LONG_S) as admin:
            return schema(admin)

    def _held(self) -> Held:
        return held_in(self._database, LONG_S)
