"""The gate's own procedure: pg_dumpall and pg_dump on the one side, psql and pg_restore on the other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pytest_prodready.environment.database import Database
from pytest_prodready.environment.postgres_template import SUPERUSER
from pytest_prodready.environment.postgres_tools import PostgresTools, ToolRan, conninfo
from pytest_prodready.environment.roles import PostgresRole
from pytest_prodready.errors import ServerError
from pytest_prodready.probes.backup_facts import Step
from pytest_prodready.settings import BackupSettings

ERROR = re.compile(
    r"(?:^|[\s:])(?:ERROR|FATAL|PANIC):|\bpg_\w+: error:|^(?:\w*[Ee]rror|Traceback|ERROR)\b", re.M
)
# Every server has one superuser before any restore, and a dump of roles makes it again.
OUR_SUPERUSER = f'role "{SUPERUSER}" already exists'
LINES_KEPT = 5


@dataclass(frozen=True, slots=True)
class Address:
    """How a program signs in as superuser: its argument, which holds no password, and its variables."""

    conninfo: str
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)


def address(database: Database, name: str | None = None) -> Address:
    """Where programs beside a server of ours reach this database, or another one of its server."""
    if database.server is not None:
        return Address(conninfo(database.server, name or database.name))
    if database.admin_url is None:
        raise ServerError("A dump needs a superuser.", source="[postgres] admin_url")
    parts = {key: str(value) for key, value in conninfo_to_dict(database.admin_url).items()}
    password = parts.pop("password", "")
    return Address(make_conninfo(**{**parts, "dbname": name or database.name}), {"PGPASSWORD": password})


class GateBackup:
    """A backup in the folder of a server's programs, made and restored by them."""

    def __init__(self, tools: PostgresTools, settings: BackupSettings, name: str) -> None:
        self._tools, self._settings = tools, settings
        self.path = f"{tools.folder}/{name}"
        self._globals = f"{self.path}.globals.sql"

    @property
    def bytes(self) -> int:
        """How large it is."""
        return self._tools.size(self.path) + self._tools.size(self._globals)

    def make(self, database: Database, *options: str) -> Iterator[Step]:
        """Back up the roles, then the database, with these options of pg_dump."""
        everything, one = address(database, "postgres"), address(database)
        yield self._step("pg_dumpall", everything, "--globals-only", "--no-tablespaces", file=self._globals)
        self._leave_out_ours()
        yield self._step("pg_dump", one, *options, *self._format(), file=self.path)

    def restore(self, server: PostgresRole, name: str) -> Iterator[Step]:
        """Bring back the roles, then the database with its own properties, then the planner's statistics."""
        postgres, restored = Address(conninfo(server, "postgres")), Address(conninfo(server, name))
        yield self._step("psql", postgres, "--no-psqlrc", "--quiet", "--file", self._globals)
        jobs = ("--jobs", str(self._settings.jobs))
        strict = ("--exit-on-error", "--create", "--no-tablespaces")
        yield self._step("pg_restore", postgres, *strict, *jobs, self.path)
        yield self._step("vacuumdb", restored, "--analyze-only", "--quiet")

    def remove(self) -> None:
        """Remove its files."""
        self._tools.remove(self.path)
        self._tools.remove(self._globals)

    def _leave_out_ours(self) -> None:
        """Every server of ours has its own superuser, who would be another after the restore."""
        if self._tools.size(self._globals):
            lines = self._tools.read(self._globals).splitlines(keepends=True)
            kept = (line for line in lines if f"ROLE {SUPERUSER}".encode() not in line)
            self._tools.write(self._globals, b"".join(kept))

    def _format(self) -> tuple[str, ...]:
        jobs = str(self._settings.jobs)
        how = ("--jobs", jobs) if self._settings.format == "directory" else ()
        return ("--format", self._settings.format, *how, "--no-sync", "--no-tablespaces")

    def _step(self, program: str, where: Address, *arguments: str, file: str = "") -> Step:
        output = ("--file", file) if file else ()
        return step_of(
            self._tools.run(
                program,
                *("--dbname", where.conninfo),
                *arguments,
                *output,
                within_s=self._settings.within_s,
                variables=where.variables,
            )
        )


def step_of(ran: ToolRan) -> Step:
    """A program's end as a step; what it can't help saying isn't told."""
    said = "\n".join(line for line in ran.printed.splitlines() if OUR_SUPERUSER not in line)
    return Step(ran.program, ran.status, ran.seconds, said, errors_in(said))


def errors_in(printed: str) -> tuple[str, ...]:
    """The first lines that say an error."""
    found = [
        line.strip() for line in printed.splitlines() if ERROR.search(line) and OUR_SUPERUSER not in line
    ]
    return tuple(found[:LINES_KEPT])


def until_failed(steps: Iterator[Step]) -> tuple[Step, ...]:
    """The steps up to the first that failed."""
    done = []
    for step in steps:
        done.append(step)
        if step.failed:
            break
    return tuple(done)
