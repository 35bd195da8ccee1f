"""How answers are told in one line, counts, times and words; and tables of words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pytest_prodready.probes.health_answers import Asked


def worst_s(answers: Sequence[Asked]) -> str:
    """The slowest of these answers, in the unit that reads best."""
    return seconds(max((each.seconds for each in answers), default=0.0))


def seconds(value: float) -> str:
    """A duration with its unit."""
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def outcome(status: int | None, error: str = "") -> str:
    """A status, or what came instead of one."""
    return str(status) if status is not None else (error or "no answer")


def outcomes(answers: Sequence[Asked]) -> str:
    """How many of each outcome, the most frequent first: "12 x 200, 3 x no answer within 6 s"."""
    count = Counter(outcome(each.status, each.error) for each in answers)
    return ", ".join(f"{number} x {what}" for what, number in count.most_common())


def of(check: str, answers: Sequence[Asked]) -> tuple[Asked, ...]:
    """The answers to one check."""
    return tuple(each for each in answers if each.check == check)


def late(answers: Sequence[Asked], within_s: float) -> tuple[Asked, ...]:
    """Those that took longer, or never came."""
    return tuple(each for each in answers if each.seconds > within_s or each.status is None)


def too_many_late(answers: Sequence[Asked], within_s: float) -> bool:
    """Whether more were late than a busy machine explains: one, or one in twenty."""
    return len(late(answers, within_s)) > max(1, len(answers) // 20)


def words(text: str) -> tuple[str, ...]:
    """The words of a table that is written as text."""
    return tuple(text.split())
