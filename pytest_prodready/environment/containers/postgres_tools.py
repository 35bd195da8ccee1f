"""PostgreSQL's own programs, run inside a server's container."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Mapping
from pathlib import PurePosixPath

from pytest_prodready.environment.containers.box import Box
from pytest_prodready.environment.containers.failures import explained
from pytest_prodready.environment.logs import last_lines
from pytest_prodready.environment.postgres_tools import NO_VARIABLES, PRINTED_LINES, ToolRan, lacking
from pytest_prodready.errors import ServerError

FOLDER = "/tmp/prodready-tools"  # noqa: S108 (in the container)
USER = "postgres"
POLL_S = 0.02
# The folder of the server that runs: what else is on the PATH may be of another version.
BIN = 'bin=$(dirname "$(readlink /proc/1/exe)"); [ -x "$bin/$1" ] || bin=$(dirname "$(command -v "$1")")'
HAS = f'{BIN}; [ -x "$bin/$1" ]'
# Of gigabytes that are printed the end is kept.
RUN = f"""
out=$1; limit=$2; shift 2; {BIN}; program=$1; shift; cd {FOLDER} || exit 1
{{
    timeout -s KILL "$limit" "$bin/$program" "$@" 2>&1 </dev/null
    echo $? >"$out.status"
}} | tail -c 65536 >"$out"
"""
TOLD = 'cat "$1.status" "$1"; rm -f "$1.status" "$1"'
FILES = '[ -e "$1" ] || exit 0; find "$1" -type f -exec stat -c "%s %n" {} +'


class ContainerTools:
    """Programs of a server's image, run in its container as its user."""

    def __init__(self, box: Box) -> None:
        self._box = box
        self._made = False

    @property
    def folder(self) -> str:
        """A folder for their files, which ends with the container."""
        if not self._made:
            self._said("mkdir -p -m 700 " + FOLDER)
            self._made = True
        return FOLDER

    def has(self, program: str) -> bool:
        """Whether this image has the program."""
        return self._box.execute(("sh", "-c", HAS, "sh", program), user=USER)[0] == 0

    def run(
        self, program: str, *arguments: str, within_s: float, variables: Mapping[str, str] = NO_VARIABLES
    ) -> ToolRan:
        """Run one of them to its end, or to the limit; raises ServerError where there is no such program."""
        if not self.has(program):
            raise lacking(program, self._box.plan.image)
        out = f"{self.folder}/{program}.{time.monotonic_ns()}.log"
        began = time.monotonic()
        command = ("sh", "-c", RUN, "sh", out, str(max(1, round(within_s))), program, *arguments)
        ended = self._box.begin(command, user=USER, variables={"LC_ALL": "C", **variables})
        while not ended():
            time.sleep(POLL_S)
        seconds = round(time.monotonic() - began, 3)
        status, _, printed = self._said(TOLD, out).partition("\n")
        return ToolRan(
            program,
            int(status) if seconds < within_s and status.isdigit() else None,
            seconds,
            last_lines(printed, PRINTED_LINES),
        )

    def size(self, path: str) -> int:
        """The bytes of a file, or of all files in a folder; 0 where there is nothing."""
        return sum(self._sizes(path).values())

    def files(self, path: str) -> tuple[str, ...]:
        """The paths of the files in a folder, sorted; of a file, itself."""
        return tuple(sorted(self._sizes(path)))

    def read(self, path: str) -> bytes:
        """All of a small file."""
        status, said = self._box.execute(("cat", path), user=USER)
        if status != 0:
            raise ServerError("A file in the server's container can't be read.", value=path)
        return said

    def write(self, path: str, content: bytes) -> None:
        """Make a small file, or replace what is in it."""
        where = PurePosixPath(path)
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as packed:
            about = tarfile.TarInfo(where.name)
            about.size, about.mode = len(content), 0o644
            packed.addfile(about, io.BytesIO(content))
        with explained("Writing a file into the server's container"):
            self._box.container.put_archive(str(where.parent), archive.getvalue())

    def remove(self, path: str) -> None:
        """Remove a file, or a folder with all that is in it; harmless where there is nothing."""
        self._box.execute(("rm", "-rf", path), user="0")

    def _sizes(self, path: str) -> dict[str, int]:
        lines = [line.partition(" ") for line in self._said(FILES, path).splitlines()]
        return {name: int(size) for size, _, name in lines}

    def _said(self, script: str, *arguments: str) -> str:
        return self._box.execute(("sh", "-c", script, "sh", *arguments), user=USER)[1].decode(
            "utf-8", "replace"
        )
