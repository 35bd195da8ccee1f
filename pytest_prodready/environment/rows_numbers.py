"""Which of its values each column has in row n, so that what is unique stays so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

from pytest_prodready.environment.rows_fitting import Fitted
from pytest_prodready.environment.rows_tables import Reference, Table, Unique, refused
from pytest_prodready.environment.rows_types import salt_of
from pytest_prodready.environment.rows_values import hashed

N = "g.n"
WHOLE_NUMBERS = ("smallint", "integer", "bigint")
Source = str  # of values: "column: x" or "key: x"


@dataclass(slots=True)
class Numbers:
    """For each source of values the SQL of the number that row n draws; others draw at random."""

    sql: dict[Source, str] = field(default_factory=dict)
    distinct: set[Source] = field(default_factory=set)
    fresh: set[Source] = field(default_factory=set)  # foreign keys that take each parent once


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the values of a table's columns come from."""

    table: Table
    fitted: Mapping[str, Fitted]
    references: Sequence[Reference]
    sequences: Mapping[str, int]  # column: the number before its next value
    counts: Mapping[str, int]  # parents of each foreign key
    rows: int  # that are to be made
    start: int  # number of the first of them
    tries: int = 0  # numbers that will be needed, where conditions leave some of them out

    def of(self, columns: Iterable[str]) -> list[Source]:
        """The sources that set these columns, each once."""
        return list(dict.fromkeys(self._of(column) for column in columns))

    def count(self, source: Source) -> int | None:
        """How many values a source has; None: as many as one likes."""
        kind, _, name = source.partition(": ")
        if kind == "key":
            return self.counts[name]
        values = self.fitted[name].values if name in self.fitted else None
        return values.count if values is not None and values.distinct else 1

    def carries(self, source: Source) -> bool:
        """Whether each row can have a value of its own from there."""
        kind, _, name = source.partition(": ")
        values = self.fitted[name].values if kind == "column" and name in self.fitted else None
        return values is not None and values.enough(self.start + 2 * self.rows)

    def is_number(self, source: Source) -> bool:
        """Whether its values are counted up, such as lines of an order or times."""
        kind, _, name = source.partition(": ")
        type_name = self.table.column(name).type_name if kind == "column" else ""
        return type_name in WHOLE_NUMBERS or type_name.startswith(("timestamp", "date", "numeric"))

    def _of(self, column: str) -> Source:
        reference = next((r for r in self.references if column in r.columns), None)
        return f"key: {reference.name}" if reference else f"column: {column}"


def numbered(sources: Sources) -> Numbers:
    """Numbers that keep every unique constraint, as far as that can be planned."""
    numbers = Numbers()
    numbers.distinct |= {f"column: {column}" for column in sources.sequences}
    for unique in sorted(sources.table.uniques, key=lambda u: (not u.whole, u.excludes)):
        _keep(unique, sources, numbers)
    return numbers


def _keep(unique: Unique, sources: Sources, numbers: Numbers) -> None:
    involved = sources.of(unique.columns)
    if any(source in numbers.distinct for source in involved):
        return
    keys = [source for source in involved if source.startswith("key: ")]
    carriers = [s for s in involved if s not in numbers.sql and sources.carries(s)]
    if unique.excludes:
        carriers.sort(key=lambda s: "range" not in sources.table.column(s.partition(": ")[2]).type_name)
    if carriers and (not keys or not unique.whole or unique.excludes or not sources.is_number(carriers[0])):
        _count_up(carriers[0], numbers)
    elif not unique.whole or not involved:
        return  # rows that it refuses are left out, and others made in their place
    elif len(involved) == 1 and keys:
        _once_each(unique, keys[0], sources, numbers)
    else:
        _combine(unique, involved, sources, numbers)


def _count_up(source: Source, numbers: Numbers) -> None:
    numbers.sql[source] = f"({N} - 1)"
    numbers.distinct.add(source)


def _once_each(unique: Unique, source: Source, sources: Sources, numbers: Numbers) -> None:
    if source in numbers.sql:
        return
    numbers.sql[source] = f"({N} - {sources.start})"
    numbers.distinct.add(source)
    numbers.fresh.add(source)


def _combine(unique: Unique, involved: list[Source], sources: Sources, numbers: Numbers) -> None:
    """Number the combinations: row n has the n-th, counted like digits, the last place being the longest."""
    free = [source for source in involved if source not in numbers.sql]
    open_ended = {source for source in free if sources.carries(source)}
    free.sort(key=lambda s: (s in open_ended, not s.startswith("key: ")))
    counts = [None if source in open_ended else sources.count(source) for source in free]
    places = [count for count in counts if count is not None]
    required = all(sources.table.column(name).required for name in unique.columns)
    wanted = sources.start - 1 + sources.rows
    if len(places) == len(counts) == len(involved) and prod(places) < wanted and required:
        raise refused(
            sources.table.name,
            f"{unique.name} lets it have {prod(places):,} rows at most, and {wanted:,} are wanted",
            value=unique.definition,
            tried=[" times ".join(f"{count:,} of {s}" for s, count in zip(free, places, strict=True))],
        )
    before = 1
    for source, count in zip(free, counts, strict=True):
        digit = f"(({N} - 1) / {before})"
        if count is None:
            numbers.sql[source] = digit
            break
        shift = f" + {hashed(f'(({N} - 1) % {before})', salt_of(source))} % {count}" if before > 1 else ""
        numbers.sql[source] = f"(({digit}{shift}) % {count})"
        before *= max(1, count)
