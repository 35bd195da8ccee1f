"""PostgreSQL's own programs, of the server's version: pg_dump, pg_restore, pg_basebackup and the like.

    tools = server.tools()
    path = f"{tools.folder}/app.dump"
    ran = tools.run("pg_dump", "--dbname", conninfo(server, "app"), "--file", path, within_s=60)

Passwords travel by passfile or variable, never by argument.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from psycopg.conninfo import make_conninfo

from pytest_prodready.environment.logs import last_lines
from pytest_prodready.environment.places import give_to_server_user
from pytest_prodready.environment.ran import Output
from pytest_prodready.environment.runs import Run
from pytest_prodready.errors import ServerError

if TYPE_CHECKING:  # only names here
    from pytest_prodready.environment.binaries import PostgresBinaries
    from pytest_prodready.environment.roles import PostgresRole

POLL_S = 0.01
PRINTED_LINES = 40
MOST_PRINTED = 16 * 1024 * 1024  # bytes; who prints more is ended
NO_VARIABLES: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ToolRan:
    """How one of PostgreSQL's programs ended."""

    program: str
    status: int | None  # None: it was ended, because it took too long or printed too much
    seconds: float
    printed: str = ""  # the last lines of it, standard output and error together

    @property
    def clean(self) -> bool:
        """Whether it succeeded and had nothing to say."""
        return self.status == 0 and not self.printed

    def __str__(self) -> str:
        how = "did not end in time" if self.status is None else f"ended with status {self.status}"
        return f"{self.program} {how}" + (f": {self.printed}" if self.printed else "")


class PostgresTools(Protocol):
    """Runs programs where a server runs, and keeps their files there."""

    @property
    def folder(self) -> str:
        """A folder for their files, where they run; removed with the server."""

    def has(self, program: str) -> bool:
        """Whether this installation has the program."""

    def run(
        self, program: str, *arguments: str, within_s: float, variables: Mapping[str, str] = NO_VARIABLES
    ) -> ToolRan:
        """Run one of them to its end, or to the limit; raises ServerError where there is no such program."""

    def size(self, path: str) -> int:
        """The bytes of a file, or of all files in a folder; 0 where there is nothing."""

    def files(self, path: str) -> tuple[str, ...]:
        """The paths of the files in a folder, sorted; of a file, itself."""

    def read(self, path: str) -> bytes:
        """All of a small file."""

    def write(self, path: str, content: bytes) -> None:
        """Make a small file, or replace what is in it."""

    def remove(self, path: str) -> None:
        """Remove a file, or a folder with all that is in it; harmless where there is nothing."""


def conninfo(server: PostgresRole, database: str) -> str:
    """How a program beside a server of the same run signs in there as superuser; it holds no password."""
    return make_conninfo(server.followed_by("prodready"), dbname=database)


class LocalTools:
    """Programs of this machine, run as the servers' user."""

    def __init__(self, run: Run, binary: PostgresBinaries, folder: Path) -> None:
        self._run, self._binary, self._folder = run, binary, folder

    @property
    def folder(self) -> str:
        """A folder for their files, removed with the server's."""
        if not self._folder.exists():
            self._folder.mkdir(mode=0o700)
            give_to_server_user(self._folder)
        return str(self._folder)

    def has(self, program: str) -> bool:
        """Whether this installation has the program."""
        return (self._binary.folder / program).exists()

    def run(
        self, program: str, *arguments: str, within_s: float, variables: Mapping[str, str] = NO_VARIABLES
    ) -> ToolRan:
        """Run one of them to its end, or to the limit; raises ServerError where there is no such program."""
        if not self.has(program):
            raise lacking(program, self._binary)
        began = time.monotonic()
        with Output() as output:
            process = self._run.spawn(
                [self._binary.folder / program, *arguments],
                env={**self._binary.environment, **variables},
                cwd=Path(self.folder),
                log=output.writing,
                as_server=True,
            )
            try:
                status = _ended(process, output, began + within_s)
                seconds = round(time.monotonic() - began, 3)
            finally:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        return ToolRan(program, status, seconds, last_lines(output.text(), PRINTED_LINES))

    def size(self, path: str) -> int:
        """The bytes of a file, or of all files in a folder; 0 where there is nothing."""
        return sum(Path(file).stat().st_size for file in self.files(path))

    def files(self, path: str) -> tuple[str, ...]:
        """The paths of the files in a folder, sorted; of a file, itself."""
        where = Path(path)
        found = where.rglob("*") if where.is_dir() else [where]
        return tuple(sorted(str(file) for file in found if file.is_file()))

    def read(self, path: str) -> bytes:
        """All of a small file."""
        return Path(path).read_bytes()

    def write(self, path: str, content: bytes) -> None:
        """Make a small file, or replace what is in it."""
        Path(path).write_bytes(content)
        give_to_server_user(Path(path))

    def remove(self, path: str) -> None:
        """Remove a file, or a folder with all that is in it; harmless where there is nothing."""
        if Path(path).is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            Path(path).unlink(missing_ok=True)


def _ended(process: subprocess.Popen[bytes], output: Output, deadline: float) -> int | None:
    """Its status; None when it had to be ended."""
    while (status := process.poll()) is None:
        if time.monotonic() > deadline or output.size > MOST_PRINTED:
            return None
        time.sleep(POLL_S)
    return status


def lacking(program: str, origin: object) -> ServerError:
    """The error for a program that isn't there."""
    return ServerError(
        f"This PostgreSQL has no {program}.",
        value=origin,
        remedy="install PostgreSQL's client programs (postgresql-client), or name another by [postgres] bin",
    )
