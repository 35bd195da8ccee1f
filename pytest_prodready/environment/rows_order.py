"""Which tables are filled, how far, and in which order: those first that others refer to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil

from pytest_prodready.environment.rows_tables import Reference, Table, refused

FEWEST, MOST = 10, 10_000  # rows of a parent that nobody declared
SHARE = 10  # rows that refer to each of them
RowsIn = Callable[[int], int]


@dataclass(frozen=True, slots=True)
class Order:
    """The tables in the order of filling."""

    sizes: Mapping[int, int]  # the rows that each shall have in the end
    postponed: Mapping[int, frozenset[str]] = field(
        default_factory=dict
    )  # foreign keys that are set at the end


def in_order(tables: Mapping[int, Table], declared: Mapping[int, int], rows_in: RowsIn) -> Order:
    """The declared tables and those that they need, parents first."""
    for oid in declared:
        _require_rows(tables[oid])
    involved = _closure(tables, declared, rows_in)
    order, postponed = _sorted(tables, involved)
    sizes = {oid: declared.get(oid, 0) for oid in order}
    for oid in reversed(order):
        _size_parents(tables[oid], sizes, declared, rows_in)
    return Order(sizes, postponed)


def one_to_one(table: Table, reference: Reference) -> bool:
    """Whether each parent can be referred to once only."""
    keys = set(reference.columns)
    return any(unique.whole and set(unique.columns) <= keys for unique in table.uniques)


def _require_rows(table: Table) -> None:
    if table.partition:
        raise refused(table.name, "it is a partition", remedy="name the partitioned table itself")
    if table.kind not in "rp":
        kinds = {"v": "a view", "m": "a materialized view", "f": "a foreign table"}
        raise refused(
            table.name, f"it is {kinds[table.kind]}", remedy="name the tables that its rows come from"
        )


def _closure(tables: Mapping[int, Table], declared: Mapping[int, int], rows_in: RowsIn) -> list[int]:
    """The declared tables, and the empty ones that they refer to."""
    found: list[int] = []
    waiting = sorted(declared, key=lambda oid: tables[oid].name)
    while waiting:
        oid = waiting.pop(0)
        if oid in found:
            continue
        found.append(oid)
        for reference in tables[oid].references:
            short = one_to_one(tables[oid], reference) and rows_in(reference.table) < declared.get(oid, 0)
            if short or not rows_in(reference.table):
                waiting.append(reference.table)
    return found


def _sorted(tables: Mapping[int, Table], involved: list[int]) -> tuple[list[int], dict[int, frozenset[str]]]:
    done: list[int] = []
    left = sorted(involved, key=lambda oid: tables[oid].name)
    postponed: dict[int, frozenset[str]] = {}

    def waits_for(oid: int) -> set[int]:
        later = postponed.get(oid, frozenset())
        return {r.table for r in tables[oid].references if r.name not in later and r.table in left} - {oid}

    while left:
        ready = next((oid for oid in left if not waits_for(oid)), None)
        if ready is None:
            oid, name = _to_postpone(tables, {oid: waits_for(oid) for oid in left}, postponed)
            postponed[oid] = postponed.get(oid, frozenset()) | {name}
        else:
            left.remove(ready)
            done.append(ready)
    return done, postponed


def _to_postpone(
    tables: Mapping[int, Table],
    waiting: Mapping[int, set[int]],
    postponed: Mapping[int, frozenset[str]],
) -> tuple[int, str]:
    """A foreign key of a circle that can be null until the end."""
    circles = {oid for oid in waiting if oid in _reached(waiting, oid)}
    for oid in (oid for oid in waiting if oid in circles):
        for reference in tables[oid].references:
            again = reference.name in postponed.get(oid, frozenset())
            closes = reference.table in waiting[oid] and oid in {
                reference.table,
                *_reached(waiting, reference.table),
            }
            if not again and closes and _may_wait(tables[oid], reference):
                return oid, reference.name
    names = ", ".join(tables[oid].name for oid in waiting if oid in circles)
    raise refused(names, "they refer to each other by foreign keys that can't be null")


def _may_wait(table: Table, reference: Reference) -> bool:
    others = {c for r in table.references if r.name != reference.name for c in r.columns}
    own = [column for column in reference.columns if column not in others]
    return bool(own) and not any(table.column(column).required for column in own)


def _reached(waiting: Mapping[int, set[int]], start: int) -> set[int]:
    """The tables that this one waits for, whatever lies between."""
    found: set[int] = set()
    front = set(waiting[start])
    while front:
        oid = front.pop()
        if oid not in found:
            found.add(oid)
            front |= waiting.get(oid, set())
    return found


def _size_parents(table: Table, sizes: dict[int, int], declared: Mapping[int, int], rows_in: RowsIn) -> None:
    rows = sizes[table.oid]
    for reference in _undeclared(table, sizes, declared):
        once = one_to_one(table, reference)
        need = rows if once else min(rows, max(FEWEST, min(rows // SHARE, MOST)))
        sizes[reference.table] = max(sizes[reference.table], need)
    for unique in table.uniques:
        covering = [r for r in table.references if set(r.columns) & set(unique.columns)]
        if not unique.whole or not set(unique.columns) <= {c for r in covering for c in r.columns}:
            continue
        for reference in _undeclared(table, sizes, declared):
            others = 1
            for other in covering:
                if other.name != reference.name:
                    others *= max(1, sizes.get(other.table, 0) or rows_in(other.table))
            sizes[reference.table] = max(sizes[reference.table], ceil(rows / others))


def _undeclared(table: Table, sizes: Mapping[int, int], declared: Mapping[int, int]) -> Iterator[Reference]:
    for reference in table.references:
        if reference.table in sizes and reference.table not in declared and reference.table != table.oid:
            yield reference
