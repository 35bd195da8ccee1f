"""The rows that a migration meets: made up for the schema as it is, and what became of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import psycopg
from psycopg import sql

from pytest_prodready.environment.rows import NotGenerated, generate
from pytest_prodready.probes.migration_tables import Connection, rows_of

COMPARED_ROWS = 100_000  # of larger tables only numbers are compared
TABLES = """
    SELECT c.oid::bigint, n.nspname, c.relname, format('%I.%I', n.nspname, c.relname)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
      AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                      AND d.deptype = 'e')
    ORDER BY 4
"""
COLUMNS = """
    SELECT a.attname, a.attnum::int, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a
    WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""


@dataclass(frozen=True, slots=True)
class Column:
    """What one column holds: how many values that aren't null, and which (None: too many to compare)."""

    number: int
    type: str
    filled: int
    values: Counter[str] | None


@dataclass(frozen=True, slots=True)
class Held:
    """What one table holds."""

    oid: int
    rows: int
    columns: Mapping[str, Column]


Rows = Mapping[str, Held]  # by the table's name


@dataclass(frozen=True, slots=True)
class Loss:
    """Rows or values that are gone."""

    table: str
    column: str  # empty: whole rows
    lost: int
    of: int
    dropped: bool = False  # with the table, or the column, that held them

    def __str__(self) -> str:
        where = f"{self.table}.{self.column}" if self.column else self.table
        what = "value" if self.column else "row"
        return f"{self.lost} of {self.of} {what}{'' if self.of == 1 else 's'} of {where}"


def fill(connection: Connection, rows: int, without: Collection[str]) -> tuple[str, ...]:
    """Add so many rows to each table; returns why some could not be filled, a line for each."""
    wanted = {
        f"{schema}.{name}": rows_of(connection, full) + rows
        for _, schema, name, full in connection.execute(TABLES.encode()).fetchall()
        if full not in without
    }
    if not rows or not _why_not(connection, wanted):
        return ()
    each_alone = (_why_not(connection, {name: number}) for name, number in wanted.items())
    return tuple(dict.fromkeys(why for why in each_alone if why))


def _why_not(connection: Connection, wanted: Mapping[str, int]) -> str:
    """Make up rows; returns why that could not be done."""
    try:
        generate(connection, wanted)
    except NotGenerated as error:
        return error.problem
    except psycopg.Error as error:
        return f"Rows of {', '.join(wanted)} can't be made up: {error.diag.message_primary or error}."
    return ""


def held(connection: Connection, without: Collection[str]) -> Rows:
    """What the tables hold."""
    return {
        full: _held(connection, oid, full)
        for oid, _, _, full in connection.execute(TABLES.encode()).fetchall()
        if full not in without
    }


def _held(connection: Connection, oid: int, table: str) -> Held:
    columns = connection.execute(COLUMNS, (oid,)).fetchall()
    rows = rows_of(connection, table)
    told = _digests if rows <= COMPARED_ROWS else _numbers
    filled = told(connection, table, [name for name, _, _ in columns]) if columns else []
    return Held(
        oid,
        rows,
        {
            name: Column(number, kind, each.total(), each if rows <= COMPARED_ROWS else None)
            for (name, number, kind), each in zip(columns, filled, strict=True)
        },
    )


def _digests(connection: Connection, table: str, columns: list[str]) -> list[Counter[str]]:
    """For each column, how often each value is there; of values only their hashes travel."""
    hashes = sql.SQL(", ").join(sql.SQL("md5({}::text)").format(sql.Identifier(each)) for each in columns)
    counters: list[Counter[str]] = [Counter() for _ in columns]
    for row in connection.execute(sql.SQL("SELECT {} FROM {}").format(hashes, _as_sql(table))):
        for counter, value in zip(counters, row, strict=True):
            if value is not None:
                counter[value] += 1
    return counters


def _numbers(connection: Connection, table: str, columns: list[str]) -> list[Counter[str]]:
    """For each column, how many values it has."""
    counts = sql.SQL(", ").join(sql.SQL("count({})").format(sql.Identifier(each)) for each in columns)
    row = connection.execute(sql.SQL("SELECT {} FROM {}").format(counts, _as_sql(table))).fetchone()
    return [Counter({"": number}) for number in row or ()]


def _as_sql(table: str) -> sql.SQL:
    return sql.SQL(table)  # the server has written it


def lost_upwards(before: Rows, after: Rows) -> tuple[Loss, ...]:
    """What an upgrade has lost: rows that are gone, and values that became null or went with their column.

    It may change values, and rename what holds them.
    """
    return _losses(before, after, _became_null)


def lost_downwards(before: Rows, above: Rows, after: Rows) -> tuple[Loss, ...]:
    """What the way up and down again has lost, of all that the schema below has room for.

    `before` was there before the upgrade, `above` after it, with further rows, `after` is there now.
    """
    expected = {name: _expected(name, table, above) for name, table in before.items()}
    return _losses(expected, after, _gone)


def _losses(before: Rows, after: Rows, gone: Callable[[Column, Column], int]) -> tuple[Loss, ...]:
    found: list[Loss] = []
    for name, table in before.items():
        now = after.get(name) or _same_oid(table, after)
        if now is None:
            found += [Loss(name, "", table.rows, table.rows, dropped=True)] if table.rows else []
        elif now.rows < table.rows:
            found.append(Loss(name, "", table.rows - now.rows, table.rows))
        else:
            found += _column_losses(name, table, now, gone)
    return tuple(found)


def _column_losses(name: str, table: Held, now: Held, gone: Callable[[Column, Column], int]) -> list[Loss]:
    found = []
    for column, held_before in table.columns.items():
        there = now.columns.get(column) or _same_number(table, held_before, now)
        lost = held_before.filled if there is None else gone(held_before, there)
        if lost:
            found.append(Loss(name, column, lost, held_before.filled, dropped=there is None))
    return found


def _became_null(before: Column, after: Column) -> int:
    return max(0, before.filled - after.filled)


def _gone(before: Column, after: Column) -> int:
    if before.values is None or after.values is None or before.type != after.type:
        return _became_null(before, after)
    return sum((before.values - after.values).values())


def _expected(name: str, table: Held, above: Rows) -> Held:
    """What a table should hold after the downgrade: all that it held above, as far as it fits below."""
    upper = above.get(name) or _same_oid(table, above)
    if upper is None:
        return table
    columns = {}
    for column, own in table.columns.items():
        there = upper.columns.get(column) or _same_number(table, own, upper)
        kept = there is not None and there.type == own.type and there.filled >= own.filled
        values = there.values if there is not None and kept and _holds_all(there, own) else own.values
        filled = there.filled if there is not None and kept else own.filled
        columns[column] = Column(own.number, own.type, filled, values)
    return Held(table.oid, max(upper.rows, table.rows), columns)


def _holds_all(upper: Column, own: Column) -> bool:
    """Whether the upgrade has left the values alone; else those from before it are expected."""
    return upper.values is not None and own.values is not None and not own.values - upper.values


def _same_oid(table: Held, others: Rows) -> Held | None:
    """The same table under another name."""
    return next((each for each in others.values() if each.oid == table.oid), None)


def _same_number(table: Held, column: Column, now: Held) -> Column | None:
    """The same column under another name."""
    if table.oid != now.oid:
        return None
    return next((each for each in now.columns.values() if each.number == column.number), None)
