"""The revisions of a target, as its tool tells them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass

MARK = "prodready-history:"
# Run by the service's own Python: revisions are the user's code.
ALEMBIC = f"""
import json, sys
from alembic.config import Config
from alembic.script import ScriptDirectory
scripts = ScriptDirectory.from_config(Config(sys.argv[1]))
told = [(each.revision, each.down_revision or ()) for each in scripts.walk_revisions()]
print({MARK!r} + json.dumps([scripts.get_heads(), told]))
"""


@dataclass(frozen=True, slots=True)
class History:
    """The revisions from the oldest to the newest, as far as the tool tells them."""

    heads: tuple[str, ...] = ()  # empty: the tool doesn't tell
    revisions: tuple[str, ...] = ()  # those that follow each other in one line, up to the head
    older: int = 0  # further ones, before a branch or a merge
    doubt: str = ""  # why nothing is known

    def newest(self, steps: int) -> tuple[tuple[str, str], ...]:
        """The newest revisions, each with the one before it; "" is before the first."""
        first = "" if not self.older else None
        pairs = zip((first, *self.revisions), self.revisions, strict=False)
        return tuple((before, revision) for before, revision in pairs if before is not None)[-steps:]


def alembic_history(config: str) -> str:
    """The command that tells alembic's."""
    return shlex.join(["{python}", "-c", ALEMBIC, config])


def of_alembic(printed: str) -> History:
    """The history that the command has told."""
    line = next((each for each in printed.splitlines() if each.startswith(MARK)), None)
    if line is None:
        return History(doubt="alembic told no history")
    heads, told = json.loads(line.removeprefix(MARK))
    downs = {revision: (before,) if isinstance(before, str) else tuple(before) for revision, before in told}
    return _line(tuple(heads), downs)


def of_list(printed: str) -> History:
    """The history of a command that prints a revision a line."""
    revisions = tuple(words[0] for line in printed.splitlines() if (words := line.split()))
    if not revisions:
        return History(doubt="[migration] revisions printed none")
    return History(heads=revisions[-1:], revisions=revisions)


def of_files(names: Iterable[str]) -> History:
    """The history of SQL files, the oldest first: two that begin with one number are two heads."""
    revisions = tuple(names)
    number = revisions[-1].partition("_")[0]
    numbered = any(each.isdigit() for each in number)
    heads = tuple(each for each in revisions if numbered and each.partition("_")[0] == number)
    return History(heads=heads or revisions[-1:], revisions=revisions)


def _line(heads: tuple[str, ...], downs: dict[str, tuple[str, ...]]) -> History:
    """The revisions in one line behind a single head."""
    ups: dict[str, int] = {}
    for before in downs.values():
        for each in before:
            ups[each] = ups.get(each, 0) + 1
    line: list[str] = []
    next_ones: tuple[str, ...] = heads
    while len(next_ones) == 1 and ups.get(next_ones[0], 0) <= 1:
        line.insert(0, next_ones[0])
        next_ones = downs[next_ones[0]]
    return History(heads=heads, revisions=tuple(line), older=len(downs) - len(line))
