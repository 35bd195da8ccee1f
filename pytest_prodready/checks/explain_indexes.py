"""Judge the indexes: foreign keys without one, those that are there twice, those that are invalid."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.explain_index_words import NO_TABLE, counted, listed, shown
from pytest_prodready.findings import Finding
from pytest_prodready.probes.index_facts import ForeignKey, Index, Indexes, Table
from pytest_prodready.probes.index_sql import create_index, unqualified
from pytest_prodready.settings import ExplainSettings

LEFT_BEHIND = re.compile(r"_cc(new|old)\d*$")  # by a REINDEX CONCURRENTLY that failed


def foreign_keys_indexed(seen: Indexes, limits: ExplainSettings) -> Finding:
    """Each foreign key is led by an index of the table that refers."""
    rule = RULES["explain.foreign-keys-indexed"]
    details: dict[str, Any] = {"limit": "an index whose first columns are the key's"}
    if not seen.tables:
        return rule.inconclusive(NO_TABLE, **details)
    small = {key for key in seen.foreign_keys if _declared_small(key.table, limits)}
    missing = [key for key in seen.foreign_keys if key not in small and not _indexed(seen, key)]
    left_out = f"; {counted(len(small), 'key')} of small tables left out" if small else ""
    number = counted(len(seen.foreign_keys), "foreign key")
    if not missing:
        return rule.passed(f"{number}, each with an index that it needs{left_out}", **details)
    names = listed([f"{key.table} ({', '.join(key.columns)})" for key in missing])
    summary = f"{len(missing)} of {number} without an index: {names}{left_out}"
    return rule.failed(summary, change="; ".join(_index_for(seen, key) for key in missing), **details)


def no_duplicate_index(seen: Indexes) -> Finding:
    """No index is there that another one makes superfluous."""
    rule = RULES["explain.no-duplicate-index"]
    details: dict[str, Any] = {"limit": "none that equals another, or is the beginning of another"}
    if not seen.tables:
        return rule.inconclusive(NO_TABLE, **details)
    found = [(index, kept) for index in seen.indexes if (kept := _kept_instead(index, seen)) is not None]
    if not found:
        return rule.passed(f"{_number_of(seen)}, none of them superfluous", **details)
    words = listed(
        [
            f"{index.name} {'equals' if len(index.keys) == len(kept.keys) else 'is the beginning of'} "
            f"{kept.name} on {kept.table} {shown(kept)}"
            for index, kept in found
        ]
    )
    change = "; ".join(_drop(index) for index, _ in found)
    return rule.failed(f"{len(found)} of {_number_of(seen)}: {words}", change=change, **details)


def indexes_valid(seen: Indexes) -> Finding:
    """No index is invalid."""
    rule = RULES["explain.indexes-valid"]
    details: dict[str, Any] = {"limit": "all valid and ready"}
    if not seen.tables:
        return rule.inconclusive(NO_TABLE, **details)
    broken = [each for each in seen.indexes if not each.usable and not each.building]
    building = sum(each.building for each in seen.indexes)
    note = f"; {counted(building, 'index', 'indexes')} being built at this moment" if building else ""
    if not broken:
        return rule.passed(f"{_number_of(seen)}, all valid{note}", **details)
    names = listed([f"{each.name} on {each.table} {shown(each)}" for each in broken])
    change = "; ".join(_mend(each) for each in broken)
    return rule.failed(
        f"{len(broken)} of {_number_of(seen)} invalid: {names}{note}", change=change, **details
    )


def needed_by_foreign_key(seen: Indexes, index: Index) -> bool:
    """Whether a foreign key has no other index than this."""
    others = tuple(each for each in seen.indexes if each != index)
    return any(
        key.table == index.table
        and _serves(index, key)
        and not any(each.table == key.table and _serves(each, key) for each in others)
        for key in seen.foreign_keys
    )


def _number_of(seen: Indexes) -> str:
    return counted(len(seen.indexes), "index", "indexes")


def _declared_small(table: str, limits: ExplainSettings) -> bool:
    """Whether production's table is so small that reading all of it costs nothing."""
    rows: Mapping[str, int] = limits.rows
    known = next((rows[name] for name in (table, unqualified(table)) if name in rows), None)
    return known is not None and known < limits.large_table_rows


def _indexed(seen: Indexes, key: ForeignKey) -> bool:
    return _covered(seen, {table.name: table for table in seen.tables}[key.table], key)


def _covered(seen: Indexes, table: Table, key: ForeignKey) -> bool:
    """Whether the table has an index for the key, or each of its partitions has one."""
    if any(index.table == table.name and _serves(index, key) for index in seen.indexes):
        return True
    partitions = [each for each in seen.tables if each.parent == table.name]
    return bool(partitions) and all(_covered(seen, each, key) for each in partitions)


def _serves(index: Index, key: ForeignKey) -> bool:
    if not index.usable or not _holds_all_of(index.predicate, key.columns):
        return False
    columns = ["" if each.collation else each.column for each in index.keys]
    if set(columns[: len(key.columns)]) == set(key.columns):
        return True
    return index.unique and set(columns) <= set(key.columns)  # then there is one row at most


def _holds_all_of(predicate: str, columns: tuple[str, ...]) -> bool:
    """Whether the index has all rows that refer to something: those whose columns are not null."""
    for column in columns:
        predicate = predicate.replace(f"({column} IS NOT NULL)", "")
    return not predicate.replace("AND", "").strip(" ()")


def _index_for(seen: Indexes, key: ForeignKey) -> str:
    broken = (each for each in seen.indexes if each.table == key.table and not each.usable)
    for index in broken:
        if {each.column for each in index.keys[: len(key.columns)]} == set(key.columns):
            return _mend(index)
    table = next(each for each in seen.tables if each.name == key.table)
    taken = [each.name for each in seen.indexes]
    sql = create_index(key.table, key.columns, taken=taken, concurrently=not table.partitioned)
    if table.partitioned:
        return f"{sql} (of a partitioned table: first CONCURRENTLY on each partition, where it is large)"
    return sql


def _kept_instead(index: Index, seen: Indexes) -> Index | None:
    """The index that makes this one superfluous."""
    if not _droppable(index):
        return None
    kept = [
        each
        for each in seen.indexes
        if each is not index
        and _makes_superfluous(each, index)
        and not (_droppable(each) and _makes_superfluous(index, each) and index.name < each.name)
    ]
    return max(kept, key=lambda each: (len(each.keys), each.unique), default=None)


def _droppable(index: Index) -> bool:
    needed = index.unique or index.constraint or index.replica_identity or index.parent
    return index.usable and not needed


def _makes_superfluous(kept: Index, index: Index) -> bool:
    same = (kept.table, kept.method, kept.predicate) == (index.table, index.method, index.predicate)
    beginning = kept.keys[: len(index.keys)] == index.keys
    comparable = len(kept.keys) == len(index.keys) or index.method == "btree"
    held = {*kept.included, *(key.text for key in kept.keys)}
    return kept.usable and same and beginning and comparable and set(index.included) <= held


def _drop(index: Index) -> str:
    return f"DROP INDEX {'' if index.partitioned else 'CONCURRENTLY '}{index.name}"


def _mend(index: Index) -> str:
    if LEFT_BEHIND.search(unqualified(index.name)):
        return _drop(index)
    if index.partitioned:
        return f"ALTER INDEX {index.name} ATTACH PARTITION …, one of each partition that has none attached"
    first = ", once no two rows are equal in it" if index.unique else ""
    return f"REINDEX INDEX CONCURRENTLY {index.name}{first}"
