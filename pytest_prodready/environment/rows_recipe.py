"""The statement that makes one table's rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_prodready.environment.rows_fitting import Fitted
from pytest_prodready.environment.rows_numbers import N, Numbers, Sources
from pytest_prodready.environment.rows_parents import Parents, hash_of
from pytest_prodready.environment.rows_tables import Check, Column, Reference, Table, ident, refused
from pytest_prodready.environment.rows_types import salt_of
from pytest_prodready.environment.rows_values import chance, drawn

NULLS = 0.1  # of nullable foreign keys
NULLS_TOGETHER = 0.5  # where a condition of several columns may want some of them null
FENCE = "OFFSET 0"  # what is below it is computed once a row, however often it is used


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
    drawing = _Drawing(sources, numbers)
    expressions = {name: drawing.value(one) for name, one in sources.fitted.items() if one.values}
    types = {name: table.column(name).type_name for name in sources.sequences}
    needed = {name for check in checks for name in check.columns} | _of_itself(table)
    counted = {name: (sources.sequences[name], types[name]) for name in types if name not in needed}
    for name in types.keys() - counted.keys():
        before = sources.sequences[name] - sources.start + 1
        expressions[name] = f"({before} + {N})::{types[name]}"
    for reference in sources.references:
        expressions.update(drawing.keys(reference, parents.get(reference.name), expressions))
    columns = tuple(column.name for column in table.columns if column.name in expressions)
    listed = "".join(f", {expressions[column]} AS {ident(column)}" for column in columns)
    demanded = (check for check in checks if check.columns and not check.wished)
    usable = tuple(check for check in demanded if set(check.columns) <= set(columns))
    conditions = [*drawing.present, *(f"({check.sql}) IS NOT FALSE" for check in usable)]
    body = f'SELECT * FROM (SELECT {N} AS "prodready n"{listed} FROM ({drawing.drawn()}) AS g {FENCE}) AS t'  # noqa: S608
    return Recipe(table, columns, counted, body, " AND ".join(conditions) or "true", usable)


class _Drawing:
    """The numbers that each row draws, and what is made of them; each is computed once a row."""

    def __init__(self, sources: Sources, numbers: Numbers) -> None:
        self._sources, self._numbers = sources, numbers
        self._joins: list[str] = []
        self._listed: list[str] = []
        self.present: list[str] = []  # conditions: a row without its parent is left out

    def drawn(self) -> str:
        """The SELECT that draws."""
        listed = "".join(f", {sql} AS x{place}" for place, sql in enumerate(self._listed))
        series = "generate_series({first}::bigint, {last}::bigint) AS g(n)"
        return f"SELECT {N}{listed} FROM {series} {' '.join(self._joins)} {FENCE}"  # noqa: S608

    def value(self, one: Fitted) -> str:
        """A column's value."""
        column, values, sources = one.column, one.values, self._sources
        assert values is not None
        salt = salt_of(sources.table.plain_name, column.name)
        k = self._numbers.sql.get(f"column: {column.name}")
        if k is None and values.rising and values.usual:
            span, done = min(values.usual, values.count or values.usual), sources.start - 1 + sources.tries
            k = f"floor({span} * power(greatest(0, {done} - {N}) / {done}::float8, 1.5))::bigint"
        if k is None:
            k = drawn(N, salt, values.spread(sources.start + sources.rows), values.skew)
        sql = values.at(self._once(k))
        if one.nulls and not column.required:
            return f"(CASE WHEN {chance(N, salt + 3)} < {one.nulls} THEN NULL ELSE {sql} END)"
        return sql

    def keys(self, reference: Reference, found: Parents | None, known: Mapping[str, str]) -> dict[str, str]:
        """The columns that a foreign key sets."""
        table = self._sources.table
        own = [column for column in reference.columns if column not in known]
        if found is None or not found.count:
            return {column: _without_parent(table, reference, column, known) for column in own}
        random = drawn(N, hash_of(reference), found.count)
        self._joins.append(found.join(self._numbers.sql.get(f"key: {reference.name}", random)))
        together = any(set(check.columns) & set(own) and len(check.columns) > 1 for check in table.checks)
        null = f"{chance(N, hash_of(reference) + 1)} < {NULLS_TOGETHER if together else NULLS}"
        expressions = {}
        for column, sql in found.sql.items():
            required, once = table.column(column).required, self._once(sql)
            self.present += [f"{ident(column)} IS NOT NULL"] if required else []
            expressions[column] = once if required else f"(CASE WHEN {null} THEN NULL ELSE {once} END)"
        return expressions

    def _once(self, sql: str) -> str:
        self._listed.append(sql)
        return f"g.x{len(self._listed) - 1}"


def _of_itself(table: Table) -> set[str]:
    """Columns that rows of the table must refer to, be it their own."""
    own = (r for r in table.references if r.table == table.oid and not table.can_be_null(r.columns))
    return {key for reference in own for key in reference.keys}


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
