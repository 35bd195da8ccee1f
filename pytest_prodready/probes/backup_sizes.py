"""How long a restore takes at several sizes of the service's own schema, filled with generated rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from psycopg import sql

from pytest_prodready.environment.database import Database
from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.postgres_tools import PostgresTools, ToolRan, conninfo
from pytest_prodready.environment.roles import PostgresRole
from pytest_prodready.environment.rows import NotGenerated, generate
from pytest_prodready.probes.backup_gate import address
from pytest_prodready.probes.restore_line import Line, fitted
from pytest_prodready.settings import BackupSettings, Settings

GB = 1e9
GROWING, RESTORED = "prodready_growing", "prodready_sized"
COUNTED = """
    SELECT c.oid::regclass::text, (xpath('/row/n/text()', query_to_xml(
        format('SELECT count(*) AS n FROM %s', c.oid::regclass), false, true, '')))[1]::text::bigint
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
      AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
"""


@dataclass(frozen=True, slots=True)
class Timing:
    """One restore."""

    rows: int  # generated, of all tables
    bytes: int  # of the database on disk
    backup_bytes: int
    restore_s: float


@dataclass(frozen=True, slots=True)
class RestoreTimes:
    """Restores of each size."""

    jobs: int
    timings: tuple[Timing, ...] = ()
    why_not: str = ""  # there are none

    @property
    def line(self) -> Line | None:
        """The straight line through them."""
        return fitted([(each.bytes / GB, each.restore_s) for each in self.timings])


def restore_times(
    environment: Environment, database: Database, settings: Settings, progress: Callable[[str], None]
) -> RestoreTimes:
    """Fill the schema on a server of ours to each size, and restore each several times."""
    limits = settings.backup
    shares = _proportions(database, settings.explain.rows)
    if not shares:
        return RestoreTimes(limits.jobs, why_not="the database has no table that could be filled")
    with environment.empty_server("sizes") as server:
        growing = _Growing(server, limits, shares)
        if why_not := growing.begin(database):
            return RestoreTimes(limits.jobs, why_not=why_not)
        try:
            for rows in limits.rto_rows:
                progress(f"generating and dumping {rows:,} rows")
                growing.to(rows)
            return _timed(growing, limits, progress)
        except NotGenerated as error:
            return RestoreTimes(limits.jobs, why_not=f"no rows can be generated: {error.problem}")
        except _Failed as failure:
            return RestoreTimes(limits.jobs, why_not=str(failure))


def _timed(growing: _Growing, limits: BackupSettings, progress: Callable[[str], None]) -> RestoreTimes:
    """Restore each size in turn, until what a GB takes is known well enough, or often enough."""
    seen = RestoreTimes(limits.jobs)
    for turn in range(1, limits.rto_runs + 1):
        progress(f"restoring each size, turn {turn}")
        seen = RestoreTimes(limits.jobs, (*seen.timings, *growing.restored()))
        if seen.line is not None and seen.line.known:
            break
    return seen


def _proportions(database: Database, declared: Mapping[str, int]) -> Mapping[str, int]:
    """How many rows the tables have in relation to each other: as declared, or as they have them now."""
    if declared:
        return declared
    with database.admin() as admin:
        counted = {str(name): int(rows) for name, rows in admin.execute(COUNTED.encode())}
    return {name: rows for name, rows in counted.items() if rows} or dict.fromkeys(counted, 1)


class _Failed(Exception):
    """A program of PostgreSQL's did not do what it should."""


class _Growing:
    """A database with the service's schema that gets more and more rows."""

    def __init__(self, server: PostgresRole, limits: BackupSettings, shares: Mapping[str, int]) -> None:
        self._server, self._limits, self._shares = server, limits, shares
        self._tools: PostgresTools = server.tools()
        self._dumps: dict[str, int] = {}  # rows by path

    def begin(self, database: Database) -> str:
        """Bring roles and schema over; returns why that can't be."""
        with _database(self._server, GROWING, keep=True):
            failed = (ran for ran in self._brought(database) if ran.status != 0)
            return next((f"the schema can't be restored: {ran}" for ran in failed), "")

    def _brought(self, database: Database) -> Iterator[ToolRan]:
        """Roles and schema, from the one server to the other."""
        roles, schema = (f"{self._tools.folder}/{name}.sql" for name in ("roles", "schema"))
        for program, what, where, script in (
            ("pg_dumpall", "--globals-only", address(database, "postgres"), roles),
            ("pg_dump", "--schema-only", address(database), schema),
        ):
            how = (what, "--no-tablespaces", "--file", script)
            yield self._run(program, where.conninfo, *how, variables=where.variables)
        yield self._run("psql", conninfo(self._server, "postgres"), *_quiet(roles))
        strict = ("--set", "ON_ERROR_STOP=1")
        yield self._run("psql", conninfo(self._server, GROWING), *strict, *_quiet(schema))

    def to(self, rows: int) -> None:
        """Fill it up to so many rows, and dump it."""
        total = sum(self._shares.values())
        wanted = {name: max(1, rows * share // total) for name, share in self._shares.items()}
        with self._server.connect(GROWING, timeout_s=self._limits.within_s) as connection:
            generate(connection, wanted)
        jobs = ("--jobs", str(self._limits.jobs)) if self._limits.format == "directory" else ()
        path = f"{self._tools.folder}/{rows}"
        how = ("--format", self._limits.format, *jobs, "--no-sync")
        self._must("pg_dump", conninfo(self._server, GROWING), *how, "--file", path)
        self._dumps[path] = sum(wanted.values())

    def restored(self) -> Iterator[Timing]:
        """Restore each of its dumps once."""
        for path, rows in self._dumps.items():
            with _database(self._server, RESTORED):
                how = ("--exit-on-error", "--jobs", str(self._limits.jobs))
                ran = self._must("pg_restore", conninfo(self._server, RESTORED), *how, path)
                with self._server.connect(RESTORED) as connection:
                    size = connection.execute("SELECT pg_database_size(current_database())").fetchone()
            yield Timing(rows, int(size[0]) if size else 0, self._tools.size(path), ran.seconds)

    def _must(self, program: str, where: str, *arguments: str) -> ToolRan:
        ran = self._run(program, where, *arguments)
        if ran.status != 0:
            raise _Failed(str(ran))
        return ran

    def _run(
        self, program: str, where: str, *arguments: str, variables: Mapping[str, str] | None = None
    ) -> ToolRan:
        within_s = self._limits.within_s
        return self._tools.run(
            program, "--dbname", where, *arguments, within_s=within_s, variables=variables or {}
        )


def _quiet(script: str) -> tuple[str, ...]:
    return ("--no-psqlrc", "--quiet", "--file", script)


@contextmanager
def _database(server: PostgresRole, name: str, *, keep: bool = False) -> Iterator[None]:
    """An empty database, dropped on leaving unless it is kept."""
    identifier = sql.Identifier(name)
    with server.connect("postgres", timeout_s=60) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(identifier))
        yield
        if not keep:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))
