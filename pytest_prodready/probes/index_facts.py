"""What an audit of indexes finds in the catalogue: the service's own tables, indexes, keys and sequences.

Names are SQL: quoted where they must be, and with their schema unless the service's search_path leads there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Table:
    """A table, a partition or a materialized view, and how it was read since its counters were reset."""

    name: str
    rows: int  # an estimate; -1: unknown
    partitioned: bool = False
    parent: str = ""  # whose partition it is
    seq_scans: int = 0
    index_scans: int = 0


@dataclass(frozen=True, slots=True)
class Key:
    """A column of an index, or an expression."""

    text: str
    column: str = ""  # its name, where it is a column
    opclass: str = ""
    collation: str = ""  # where it isn't the column's own
    descending: bool = False
    nulls_first: bool = False


@dataclass(frozen=True, slots=True)
class Index:
    """An index as the catalogue tells it."""

    name: str
    table: str
    keys: tuple[Key, ...]
    method: str = "btree"
    included: tuple[str, ...] = ()
    predicate: str = ""
    unique: bool = False
    constraint: str = ""  # that it belongs to
    replica_identity: bool = False
    usable: bool = True  # valid, ready and live
    building: bool = False  # at this moment, by somebody
    partitioned: bool = False
    parent: str = ""  # the partitioned index that it is attached to
    size_bytes: int = 0
    scans: int = 0
    wasted_bytes: int | None = None  # by bloat; None: not measured
    wasted_by: Literal["", "pgstattuple", "estimate"] = ""


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key, on the side of the table that refers."""

    name: str
    table: str
    columns: tuple[str, ...]
    references: str


@dataclass(frozen=True, slots=True)
class Sequence:
    """A sequence and one column that takes its numbers from it."""

    name: str
    last: int | None  # None: never asked, or hidden
    minimum: int
    maximum: int
    increment: int = 1
    cycles: bool = False
    identity: bool = False  # GENERATED AS IDENTITY: its type follows the column's
    table: str = ""
    column: str = ""
    type: str = ""  # of the column, such as integer
    column_maximum: int | None = None  # None: its type has none that matters
    column_minimum: int | None = None
    hidden: bool = False  # from the role that asks


@dataclass(frozen=True, slots=True)
class Indexes:
    """The audit of one database."""

    origin: Literal["gate", "external"]
    tables: tuple[Table, ...] = ()
    indexes: tuple[Index, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    sequences: tuple[Sequence, ...] = ()
    counted_since: str = ""  # when the counters of scans were reset; empty: never
    server: str = ""  # its version
