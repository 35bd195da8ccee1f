"""What squawk says about the statements of a migration: a program of its own, asked as one.

https://squawkhq.com; its configuration file .squawk.toml beside prodready.toml is heeded.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WITHIN_S = 60.0
# What defines nothing can't be a hazard by its text, and may have parameters that squawk doesn't read.
DEFINES = re.compile(
    r"\s*(?:--[^\n]*\n\s*|/\*.*?\*/\s*)*(?:begin|start|commit|rollback|end|set|create|alter|drop|truncate|rename|"
    r"comment|reindex|cluster|vacuum|refresh|do|lock)\b",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Hazard:
    """One remark of squawk's."""

    rule: str  # by squawk's name
    message: str
    statement: str


@dataclass(frozen=True, slots=True)
class Remarks:
    """What it said about the statements of one step."""

    hazards: tuple[Hazard, ...] = ()
    doubt: str = ""  # why it could not tell


def find_squawk() -> str | None:
    """The program: beside this Python, where its wheel puts it, else on PATH; None where there is none."""
    return shutil.which("squawk", path=str(Path(sys.executable).parent)) or shutil.which("squawk")


def squawk_version(program: str | None) -> str:
    """Its version; empty where there is no such program."""
    if program is None:
        return ""
    done = subprocess.run(
        [program, "--version"], capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
    return done.stdout.strip().removeprefix("squawk ")


def remarks(program: str, statements: Sequence[str], server_version: str, folder: Path) -> Remarks:
    """What squawk says about these statements, in the order in which they were sent."""
    wanted = [each.strip().rstrip(";") for each in statements if DEFINES.match(each)]
    if not wanted:
        return Remarks()
    with tempfile.TemporaryDirectory(prefix="prodready-") as place:
        file = Path(place) / "step.sql"
        file.write_text("".join(f"{each};\n" for each in wanted))
        command = [program, "--reporter", "json", "--pg-version", _version(server_version), str(file)]
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=WITHIN_S,
                check=False,
            )
            found = json.loads(done.stdout or "[]")
        except (OSError, subprocess.TimeoutExpired, ValueError) as error:
            return Remarks(doubt=f"squawk could not be asked: {type(error).__name__}")
    if done.returncode not in (0, 1):
        return Remarks(doubt=f"squawk ended with status {done.returncode}: {done.stderr.strip()[-200:]}")
    return Remarks(tuple(_hazard(each, wanted) for each in found))


def _hazard(told: dict[str, Any], statements: Sequence[str]) -> Hazard:
    return Hazard(told["rule_name"], told["message"], _at(statements, int(told["line"])))


def _at(statements: Sequence[str], line: int) -> str:
    """The statement that a line of the file belongs to."""
    first = 0
    for each in statements:
        first += each.count("\n") + 1
        if line < first:
            return each
    return ""


def _version(server: str) -> str:
    """A version as squawk takes it: two numbers at least."""
    found = re.match(r"\d+(?:\.\d+)?", server)
    number = found[0] if found else "17"
    return number if "." in number else f"{number}.0"
