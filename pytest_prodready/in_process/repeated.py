"""Which statements a test ran, and which of them again and again."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_prodready.in_process.places import Place
from pytest_prodready.in_process.recording import Ran
from pytest_prodready.probes.statement_text import is_control

PIECE = re.compile(
    r"""
      (?P<gap>    (?: \s | --[^\n]* | /\*.*?\*/ )+ )
    | (?P<value>  (?: %(?:\(\w+\))?s | \$\d+ | (?<!:):[A-Za-z_]\w* | \?
                    | [eE]?'[^'\\]*(?:(?:\\.|'')[^'\\]*)*' | \$(?P<tag>(?:[A-Za-z_]\w*)?)\$.*?\$(?P=tag)\$
                    | (?<![\w.])\d+(?:\.\d+)? )
                  (?: ::\w+ (?:[ ](?i:varying|precision|with(?:out)?[ ]time[ ]zone))?
                      (?:\(\d+\))? (?:\[\])? )? )
    | (?P<name>   "[^"]*(?:""[^"]*)*" | [A-Za-z_][\w$]* )
    """,
    re.VERBOSE | re.DOTALL,
)
LIST = re.compile(r"\( ?\?(?:, ?\?)+ ?\)")
ROWS = re.compile(r"(\((?:\?|…)\))(?:, ?\((?:\?|…)\))+")
READS = ("SELECT", "WITH", "TABLE", "VALUES")
N_PLUS_1 = 3  # times the same read, from the same line
LONGEST = 400  # characters of a statement that are shown
PLACES = 3  # lines of code that are shown


@dataclass(frozen=True, slots=True)
class Group:
    """All runs of one statement, whatever its values."""

    text: str
    times: int
    places: tuple[tuple[Place | None, int], ...]  # with the number of times, most first

    @property
    def n_plus_1(self) -> bool:
        """Whether one line of code read it again and again."""
        return self.places[0][1] >= N_PLUS_1 and self.text.upper().lstrip("( ").startswith(READS)


def counted(statements: Iterable[Ran]) -> tuple[Ran, ...]:
    """The statements that are queries: those that only direct a transaction or the session are none."""
    control: dict[str, bool] = {}
    return tuple(
        ran
        for ran in statements
        if not (
            control[ran.text] if ran.text in control else control.setdefault(ran.text, is_control(ran.text))
        )
    )


def grouped(statements: Sequence[Ran]) -> tuple[Group, ...]:
    """The statements by their text without values: the most frequent first, then in order."""
    texts = {ran.text: normalised(ran.text) for ran in statements}
    places: dict[str, Counter[Place | None]] = {}
    for ran in statements:
        places.setdefault(texts[ran.text], Counter())[ran.place] += 1
    found = [Group(text, seen.total(), tuple(seen.most_common())) for text, seen in places.items()]
    return tuple(sorted(found, key=lambda group: -group.times))


def normalised(text: str) -> str:
    """The text with `?` for values and parameters, `(…)` for lists of them, and single spaces."""
    plain = PIECE.sub(_replaced, text).strip(" ;")
    return ROWS.sub(r"\1", LIST.sub("(…)", plain))


def _replaced(piece: re.Match[str]) -> str:
    return {"gap": " ", "value": "?"}.get(piece.lastgroup or "", piece[0])


def shortened(text: str) -> str:
    """The text, or its beginning and end."""
    half = LONGEST // 2
    return text if len(text) <= LONGEST else f"{text[:half]} … {text[-half:]}"


def told(groups: Iterable[Group], folder: Path) -> Iterator[str]:
    """The groups in lines: how often, the statement, and the lines of code that ran it."""
    for group in groups:
        times = "once" if group.times == 1 else f"{group.times} times"
        yield f"  N+1, {times}:" if group.n_plus_1 else f"  {times}:"
        yield f"      {shortened(group.text)}"
        for place, count in group.places[:PLACES]:
            where = "a line that can't be told" if place is None else place.seen_from(folder)
            yield f"      {where}{f' ({count} times)' if count > 1 else ''}"
        if len(group.places) > PLACES:
            yield f"      and {len(group.places) - PLACES} more lines"


def advice(groups: Iterable[Group]) -> Iterator[str]:
    """What to do about a statement that is read again and again."""
    if any(group.n_plus_1 for group in groups):
        yield "  N+1 is one query for each row of another one. Fetch them together: by a JOIN, by one"
        yield "  WHERE … IN for all rows, or by the ORM's joined or select-in loading."
