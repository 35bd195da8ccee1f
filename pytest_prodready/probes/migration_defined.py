"""Read what a step has defined out of what the server told: pure, so that every case can be tested alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from pytest_prodready.environment.rows_catalogue import conjuncts
from pytest_prodready.probes.migration_ddl import Ddl
from pytest_prodready.probes.migration_tables import Constraint, Demands, Stand
from pytest_prodready.probes.migration_traffic import Built, Defined, Meanwhile, Rewritten, Validated
from pytest_prodready.probes.migration_watch import EXCLUSIVE, IN_THE_WAY, Under

# From the weakest to the strongest, as PostgreSQL orders them.
MODES = (
    "AccessShareLock",
    "RowShareLock",
    "RowExclusiveLock",
    "ShareUpdateExclusiveLock",
    "ShareLock",
    "ShareRowExclusiveLock",
    "ExclusiveLock",
    EXCLUSIVE,
)
Kind = Literal["check", "foreign key", "not null"]
KINDS: Mapping[str, Kind] = {"c": "check", "f": "foreign key"}
# What never takes ACCESS EXCLUSIVE by itself: where it is held, something before has taken it.
DATA = re.compile(r"\s*(select|insert|update|delete|merge|with|copy|values|vacuum|analyze)\b", re.IGNORECASE)


def defined(
    before: Stand,
    after: Stand,
    rows: Mapping[int, int],
    ddl: Sequence[Ddl],
    under: Sequence[Under] = (),
) -> Defined:
    """What a step did to tables that had rows; `rows` tells how many, by table."""
    return Defined(
        rewritten=tuple(_rewritten(before, after, rows)),
        built=tuple(_built(before, after, rows, ddl)),
        invalid=tuple(
            index.name
            for index in after.indexes.values()
            if not index.valid and (index.oid not in before.indexes or before.indexes[index.oid].valid)
        ),
        validated=tuple(_validated(before, rows, ddl)),
        meanwhile=tuple(_meanwhile(before, rows, ddl, under)),
        lock_timeouts_ms=tuple(
            sorted({each.lock_timeout_ms for each in ddl if any(_in_the_way(each, table) for table in rows)})
        ),
    )


def strongest(modes: frozenset[str]) -> str:
    """The strongest of several lock modes; empty for none."""
    return max(modes, key=MODES.index, default="")


def _in_the_way(told: Ddl, table: int) -> bool:
    return strongest(told.modes(table)) in IN_THE_WAY


def _rewritten(before: Stand, after: Stand, rows: Mapping[int, int]) -> Iterator[Rewritten]:
    for oid, number in rows.items():
        old, new = before.tables.get(oid), after.tables.get(oid)
        # What was emptied has a new file as well, and no rows in it.
        if old is not None and new is not None and old.file != new.file and new.bytes * 4 > old.bytes:
            yield Rewritten(old.name, number, old.bytes)


def _built(before: Stand, after: Stand, rows: Mapping[int, int], ddl: Sequence[Ddl]) -> Iterator[Built]:
    known = {(each.table, each.name) for each in before.indexes.values()}
    for index in after.indexes.values():
        # A change of type builds the table's indexes again, under their names.
        if index.table not in rows or index.oid in before.indexes or (index.table, index.name) in known:
            continue
        told = next((each for each in ddl if index.oid in each.indexes), None)
        mode = strongest(told.modes(index.table)) if told is not None else ""
        yield Built(
            index=index.name,
            table=before.tables[index.table].name,
            rows=rows[index.table],
            mode=mode if mode in IN_THE_WAY else "",
            constraint=told is not None and told.tag == "ALTER TABLE",
        )


def _validated(before: Stand, rows: Mapping[int, int], ddl: Sequence[Ddl]) -> Iterator[Validated]:
    """What a statement has searched a table for: it holds after it, and nothing has shown it before."""
    known = dict.fromkeys(rows, before.demands)  # the latest word on each table
    for told in ddl:
        for table in rows:
            if not told.ended or not told.modes(table):
                continue
            earlier, known[table] = known[table], told.demands
            where = (before.tables[table].name, rows[table], strongest(told.modes(table)))
            for kind, what in _shown(table, earlier, told.demands):
                yield Validated(where[0], what, where[1], where[2], kind)


def _shown(table: int, earlier: Demands, now: Demands) -> Iterator[tuple[Kind, str]]:
    valid = {each.name for each in _of(table, earlier) if each.validated}
    open_before = {each.name for each in _of(table, earlier) if not each.validated}
    for each in _of(table, now):
        if not each.validated or each.name in valid:
            continue
        if each.kind != "n":
            yield KINDS[each.kind], f"constraint {each.name}"
        elif each.name in open_before:  # since PostgreSQL 18 a NOT NULL may be declared first
            yield "not null", f"NOT NULL of {each.columns[0]}"
    declared = {each.columns for each in _of(table, now) if each.kind == "n" and not each.validated}
    for oid, column in sorted(now.required & earlier.optional):
        if oid == table and (column,) not in declared and not _implied(column, _of(table, earlier)):
            yield "not null", f"NOT NULL of {column}"


def _of(table: int, demands: Demands) -> list[Constraint]:
    return [each for each in demands.constraints if each.table == table]


def _implied(column: str, constraints: Sequence[Constraint]) -> bool:
    """Whether a valid CHECK has shown already that the column has no null: then nothing is searched."""
    return any(
        each.kind == "c"
        and each.validated
        and f"{column} IS NOT NULL" in conjuncts(each.definition.removeprefix("CHECK "))
        for each in constraints
    )


def _meanwhile(
    before: Stand, rows: Mapping[int, int], ddl: Sequence[Ddl], under: Sequence[Under]
) -> Iterator[Meanwhile]:
    for each in under:
        tables = frozenset(each.tables) & rows.keys()
        since = _held_since(each, tables, ddl)
        if since is not None and each.until > since:
            seconds = each.until - since
            yield Meanwhile(each.statement, before.named(tables), round(seconds, 3))


def _held_since(each: Under, tables: frozenset[int], ddl: Sequence[Ddl]) -> float | None:
    """From when on a statement ran under a lock that another one had taken; None where it took it itself."""
    taken = [
        told.at
        for told in ddl
        if told.ended
        and (told.pid, round(told.transaction, 5)) == (each.pid, round(each.transaction, 5))
        and any(EXCLUSIVE in told.modes(table) for table in tables)
    ]
    if tables and (not each.statement or DATA.match(each.statement)):
        return each.began
    return max(each.began, min(taken)) if taken else None
