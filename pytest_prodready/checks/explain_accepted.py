"""Statements that somebody has accepted as they are: [[explain.accepted]] takes them out of one rule."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pytest_prodready.findings import Rule
from pytest_prodready.probes.plans import Plans
from pytest_prodready.settings import ExplainSettings

ANYTHING = "…"  # between the pieces of a statement, as summaries cut them


@dataclass(frozen=True, slots=True)
class Accepted:
    """The statements that a rule doesn't blame any more, and an addition to its summary."""

    texts: frozenset[str]
    note: str


def accepted(rule: Rule, plans: Plans, limits: ExplainSettings, blamed: Iterable[str]) -> Accepted:
    """What is accepted of the statements that this rule blames; an entry that accepts nothing is told."""
    wrong = set(blamed)
    every = tuple(dict.fromkeys(each.text for each in plans.statements))
    taken: dict[str, str] = {}
    idle: list[str] = []
    for entry in (each for each in limits.accepted if each.rule == rule.id):
        fitting = _fitting(entry.statement, every)
        if len(fitting) == 1 and fitting[0] in wrong:
            taken[fitting[0]] = f"{entry.statement} ({entry.reason})"
        else:
            idle.append(f'[[explain.accepted]] "{entry.statement}" {_why_not(len(fitting))}')
    words = [f"but for {len(taken)} accepted: {'; '.join(taken.values())}"] if taken else []
    return Accepted(frozenset(taken), "".join(f"; {each}" for each in (*words, *idle)))


def _why_not(fitting: int) -> str:
    if fitting == 1:
        return "isn't needed any more"
    if not fitting:
        return "fits no statement"
    return f"fits {fitting} statements and so accepts none: give more of its text"


def _fitting(wanted: str, texts: Iterable[str]) -> tuple[str, ...]:
    """The statements that hold its pieces; of several the one that begins and ends with them."""
    pieces = tuple(_pieces(wanted))
    fitting = tuple(text for text in texts if pieces and _holds(pieces, _one_line(text)))
    whole = tuple(
        text
        for text in fitting
        if _one_line(text).startswith(pieces[0]) and _one_line(text).endswith(pieces[-1])
    )
    return whole if len(whole) == 1 else fitting


def _pieces(wanted: str) -> Iterator[str]:
    return (piece for part in wanted.replace("...", ANYTHING).split(ANYTHING) if (piece := _one_line(part)))


def _holds(pieces: Iterable[str], line: str) -> bool:
    place = 0
    for piece in pieces:
        found = line.find(piece, place)
        if found < 0:
            return False
        place = found + len(piece)
    return True


def _one_line(text: str) -> str:
    return " ".join(text.split())
