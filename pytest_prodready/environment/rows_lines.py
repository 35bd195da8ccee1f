"""Ranges that a condition lets numbers and times be in: found by trying around its constants."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import pairwise

from pytest_prodready.environment.rows_values import TWO_YEARS_S, Values

NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w.])")
DAY_S = 86_400
Span = tuple[int, int]
Accepts = Callable[[Sequence[str]], list[bool]]


@dataclass(frozen=True, slots=True)
class Line:
    """The values of a type in steps along a line."""

    at: Callable[[str], str]  # SQL of the value, from SQL of its number of steps from zero
    step: Decimal = Decimal(1)
    low: int = -(10**15)
    high: int = 10**15
    reach: int = 10_000  # beyond the last constant
    late_first: bool = False  # the greatest are the commonest
    epoch: str = ""  # SQL of a constant's seconds, from its text; "": it is a number itself


def line_of(
    type_name: str, sql_type: str, scale: int | None = None, digits: int | None = None
) -> Line | None:
    """The line of a built-in type; None of a type that has none."""
    whole = {"int2": 32_767, "int4": 2_147_483_647, "int8": 10**15}
    if type_name in whole:
        return Line(lambda n: f"({n})::{sql_type}", low=-whole[type_name], high=whole[type_name])
    if type_name in ("numeric", "float4", "float8"):
        places = 2 if scale is None else max(0, scale)
        most = 10**15 if digits is None else 10**digits - 1
        return Line(
            lambda n: f"(({n}) / 1e{places}::numeric)::{sql_type}",
            *(Decimal(1).scaleb(-places), -most, most, 100_000),
        )
    times = {
        "timestamptz": lambda n: f"to_timestamp({n})::{sql_type}",
        "timestamp": lambda n: f"(to_timestamp({n}) AT TIME ZONE 'UTC')::{sql_type}",
        "date": lambda n: f"(date '1970-01-01' + ({n})::integer)",
        "time": lambda n: f"(time '00:00' + ({n}) * interval '1 second')::{sql_type}",
        "interval": lambda n: f"(({n}) * interval '1 second')::{sql_type}",
    }
    if type_name not in times:
        return None
    epoch = f"extract(epoch FROM ({{text}}::{type_name}))"
    if type_name in ("time", "interval"):
        return Line(times[type_name], low=0, high=DAY_S - 1, reach=DAY_S, epoch=epoch)
    days = type_name == "date"
    return Line(
        times[type_name],
        step=Decimal(DAY_S if days else 1),
        reach=TWO_YEARS_S // (DAY_S if days else 1),
        late_first=True,
        epoch=epoch,
    )


def numbers_in(texts: Iterable[str]) -> list[Decimal]:
    """The numbers that stand in conditions, in quotes or without."""
    found = []
    for text in texts:
        for number in NUMBER.findall(text):
            try:
                found.append(Decimal(number))
            except InvalidOperation:
                continue
    return found


def accepted_spans(line: Line, constants: Iterable[Decimal], accepts: Accepts) -> list[Span]:
    """The stretches between constants, in steps, whose ends and middle are all accepted."""
    points = sorted({0, *(_steps(line, constant, up) for constant in constants for up in (False, True))})
    points = [point for point in points if line.low <= point <= line.high] or [0]
    spans = [*((p, p) for p in points), *((a + 1, b - 1) for a, b in pairwise(points) if b - a > 1)]
    below = (max(line.low, points[0] - line.reach), points[0] - 1)
    above = (points[-1] + 1, min(line.high, points[-1] + line.reach))
    spans = sorted(span for span in [*spans, below, above] if span[0] <= span[1])
    tried = [(span, number) for span in spans for number in {*span, sum(span) // 2}]
    answers = accepts([line.at(str(number)) for _, number in tried])
    bad = {span for (span, _), good in zip(tried, answers, strict=True) if not good}
    kept = [span for span in spans if span not in bad]
    if len(kept) > 1 and kept[0] == below and not line.late_first:
        kept = kept[1:]  # negative numbers only where nothing else will do
    return _joined(kept)


def along(line: Line, spans: list[Span], usual: int) -> Values:
    """The values of these stretches."""
    if line.late_first:
        spans = spans[::-1]
    total = sum(high - low + 1 for low, high in spans)

    def at(k: str) -> str:
        parts, before = [], 0
        for low, high in spans:
            number = f"{high + before} - {k}" if line.late_first else f"{low - before} + {k}"
            before += high - low + 1
            parts.append(f"WHEN {k} < {before} THEN {line.at(number)}")
        return f"(CASE {' '.join(parts)} END)"

    return Values(at, total, min(total, usual), 1.5)


def _steps(line: Line, constant: Decimal, up: bool) -> int:
    steps = constant / line.step
    return int(steps.to_integral_value("ROUND_CEILING" if up else "ROUND_FLOOR"))


def _joined(spans: list[Span]) -> list[Span]:
    joined: list[Span] = []
    for low, high in spans:
        if joined and joined[-1][1] + 1 == low:
            joined[-1] = (joined[-1][0], high)
        else:
            joined.append((low, high))
    return joined
