"""How one table's rows are made: which value each column has in row n, so that what is unique stays so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

from pytest_prodready.environment.rows_fitting import Fitted
from pytest_prodready.environment.rows_parents import Parents, hash_of
from pytest_prodready.environment.rows_tables import Check, Column, Reference, Table, Unique, ident, refused
from pytest_prodready.environment.rows_types import salt_of
from pytest_prodready.environment.rows_values import chance, drawn, hashed

N = "g.n"
NULLS = 0.1  # of nullable foreign keys
NULLS_TOGETHER = 0.5  # where a condition of several columns may want some of them null
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


@dataclass(frozen=True, slots=True)
class Recipe:
    """The SELECT that makes rows."""

    table: Table
    columns: tuple[str, ...]
    counted: Mapping[str, tuple[int, str]]  # columns that count the rows which got in, from where on, as what
    body: str  # with {first} and {last} number
    condition: str
    checks: tuple[Check, ...]  # that rows are chosen by

    def select(self, first: int, last: int, condition: str | None = None) -> str:
        """The rows of these numbers that meet the condition."""
        body = self.body.replace("{first}", str(first)).replace("{last}", str(last))
        return f"{body} WHERE {condition or self.condition}"

    def insert(self, first: int, last: int, *, limit: int, used: int, around_conflicts: bool) -> str:
        """The INSERT of so many of them, in order; so many numbers are used already."""
        chosen = {column: ident(column) for column in self.columns}
        place = 'row_number() OVER (ORDER BY "prodready n")'
        for column, (before, type_name) in self.counted.items():
            chosen[column] = f"({before + used} + {place})::{type_name}"
        names = ", ".join(ident(column) for column in chosen)
        into = f"({names}) OVERRIDING SYSTEM VALUE" if names else ""
        conflicts = "ON CONFLICT DO NOTHING" if around_conflicts else ""
        return (
            f"INSERT INTO {self.table.name} {into} SELECT {', '.join(chosen.values())}"  # noqa: S608
            f" FROM ({self.select(first, last)}"
            f' ORDER BY "prodready n" LIMIT {limit}) AS r ORDER BY "prodready n" {conflicts}'
        )


def recipe(
    sources: Sources, numbers: Numbers, parents: Mapping[str, Parents], checks: Sequence[Check]
) -> Recipe:
    """The SELECT for these sources, numbers and parents."""
    table = sources.table
    expressions = {name: _value(one, sources, numbers) for name, one in sources.fitted.items() if one.values}
    types = {name: table.column(name).type_name for name in sources.sequences}
    needed = {name for check in checks for name in check.columns} | _of_itself(table)
    counted = {name: (sources.sequences[name], types[name]) for name in types if name not in needed}
    for name in types.keys() - counted.keys():
        before = sources.sequences[name] - sources.start + 1
        expressions[name] = f"({before} + {N})::{types[name]}"
    joins, present = [], []
    for reference in sources.references:
        found = parents.get(reference.name)
        expressions.update(_keys(table, reference, found, expressions))
        if found is not None and found.sql:
            source = f"key: {reference.name}"
            random = drawn(N, hash_of(reference), max(1, found.count))
            joins.append(found.join(numbers.sql.get(source, random)))
            present += [ident(c) for c in found.sql if table.column(c).required]
    columns = tuple(column.name for column in table.columns if column.name in expressions)
    listed = "".join(f", {expressions[column]} AS {ident(column)}" for column in columns)
    usable = tuple(check for check in checks if check.columns and set(check.columns) <= set(columns))
    conditions = [f"{column} IS NOT NULL" for column in dict.fromkeys(present)]
    conditions += [f"({check.sql}) IS NOT FALSE" for check in usable]
    body = (
        f'SELECT * FROM (SELECT {N} AS "prodready n"{listed}'  # noqa: S608
        f" FROM generate_series({{first}}::bigint, {{last}}::bigint) AS g(n) {' '.join(joins)}) AS t"
    )
    return Recipe(table, columns, counted, body, " AND ".join(conditions) or "true", usable)


def _of_itself(table: Table) -> set[str]:
    """Columns that rows of the table must refer to, be it their own."""
    own = (r for r in table.references if r.table == table.oid and not table.can_be_null(r.columns))
    return {key for reference in own for key in reference.keys}


def _value(one: Fitted, sources: Sources, numbers: Numbers) -> str:
    column, values = one.column, one.values
    assert values is not None
    salt = salt_of(sources.table.plain_name, column.name)
    spread = values.spread(sources.start + sources.rows)
    k = numbers.sql.get(f"column: {column.name}")
    if k is None and values.rising and values.usual:
        span, done = min(values.usual, values.count or values.usual), sources.start - 1 + sources.tries
        k = f"floor({span} * power(greatest(0, {done} - {N}) / {done}::float8, 1.5))::bigint"
    sql = values.at(k or drawn(N, salt, spread, values.skew))
    if one.nulls and not column.required:
        return f"(CASE WHEN {chance(N, salt + 3)} < {one.nulls} THEN NULL ELSE {sql} END)"
    return sql


def _keys(
    table: Table, reference: Reference, found: Parents | None, known: Mapping[str, str]
) -> dict[str, str]:
    """The columns that a foreign key sets."""
    own = [column for column in reference.columns if column not in known]
    if found is None or not found.count:
        return {column: _without_parent(table, reference, column, known) for column in own}
    together = any(set(check.columns) & set(own) and len(check.columns) > 1 for check in table.checks)
    share = NULLS_TOGETHER if together else NULLS
    null = f"{chance(N, hash_of(reference) + 1)} < {share}"
    return {
        column: sql if table.column(column).required else f"(CASE WHEN {null} THEN NULL ELSE {sql} END)"
        for column, sql in found.sql.items()
    }


def _without_parent(table: Table, reference: Reference, column: str, known: Mapping[str, str]) -> str:
    about: Column = table.column(column)
    if not about.required:
        return f"NULL::{about.type_name}"
    key = reference.keys[reference.columns.index(column)]
    if reference.table == table.oid and key in known:
        return known[key]  # the first rows refer to themselves
    raise refused(
        table.name, f"{reference.name} needs a row in the table that it refers to, and there is none"
    )
