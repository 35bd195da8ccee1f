"""The rows that a foreign key can refer to, numbered so that each new row can draw one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pytest_prodready.environment.rows_tables import Connection, Reference, Table, fetch, ident, one
from pytest_prodready.environment.rows_types import salt_of
from pytest_prodready.environment.rows_values import SLIGHT, drawn

WHOLE = ("smallint", "integer", "bigint")


@dataclass(frozen=True, slots=True)
class Parents:
    """Numbered parents; or, where some columns are set already, those that go with them."""

    reference: Reference
    count: int
    alias: str
    joins: tuple[str, ...]  # {k} stands for the number that was drawn
    sql: Mapping[str, str] = field(default_factory=dict)  # by column of the child
    grouped: bool = False

    def join(self, k: str) -> str:
        """How a row gets its parent."""
        return " ".join(self.joins).replace("{k}", k)


def in_order(table: Table, left_out: frozenset[str] = frozenset()) -> list[Reference]:
    """Foreign keys in the order in which they are drawn: those of rows that must be there come first."""
    return sorted(
        (reference for reference in table.references if reference.name not in left_out),
        key=lambda r: (r.table == table.oid, table.can_be_null(r.columns), -len(r.columns), r.name),
    )


class Numbering:
    """Numbers parents in temporary tables that last as long as the transaction."""

    def __init__(self, connection: Connection, tables: Mapping[int, Table], child: Table) -> None:
        self._connection, self._tables, self._child = connection, tables, child

    def parents(
        self,
        reference: Reference,
        known: Mapping[str, str],
        rivals: Sequence[Reference],
        *,
        fresh: bool = False,
    ) -> Parents:
        """The parents of one foreign key.

        `known` are columns that others have set already, `rivals` foreign keys that share columns and come
        later: their parents must be there too. `fresh`: only parents that no row refers to yet.
        """
        alias = f"p{self._child.references.index(reference)}"
        shared = [column for column in reference.columns if column in known]
        if not shared and not rivals and not fresh and (dense := self._dense(reference, alias)):
            return dense
        keys = dict(zip(reference.columns, reference.keys, strict=True))
        own = [column for column in reference.columns if column not in known]
        conditions = [f"t.{ident(key)} IS NOT NULL" for key in reference.keys]
        conditions += [self._has_rival(reference, rival) for rival in rivals]
        if fresh:
            conditions.append(self._unused(reference))
        source = f"FROM {self._tables[reference.table].name} AS t WHERE {' AND '.join(conditions)}"
        columns = {column: f"t.{ident(key)}" for column, key in keys.items()}
        if shared:
            return self._groups(reference, alias, source=source, columns=columns, known=known, own=own)
        picked = ", ".join(f"{sql} AS f{place}" for place, sql in enumerate(columns.values()))
        order = ", ".join(columns.values())
        self._make(
            f"prodready_{alias}", f"SELECT row_number() OVER (ORDER BY {order}) - 1 AS k, {picked} {source}"
        )
        count = int(one(self._connection, f"SELECT count(*) FROM prodready_{alias}"))  # noqa: S608
        return Parents(
            reference,
            count,
            alias,
            (f"LEFT JOIN prodready_{alias} AS {alias} ON {alias}.k = {{k}}",),
            {column: f"{alias}.f{place}" for place, column in enumerate(columns)},
        )

    def _dense(self, reference: Reference, alias: str) -> Parents | None:
        """Parents whose keys are numbers without gaps need no table."""
        parent = self._tables[reference.table]
        if len(reference.keys) != 1 or parent.column(reference.keys[0]).type_name not in WHOLE:
            return None
        key = ident(reference.keys[0])
        query = f"SELECT count({key}), min({key}), max({key}) FROM {parent.name}"  # noqa: S608
        count, low, high = fetch(self._connection, query)[0]
        if not count or high - low + 1 != count:
            return None
        type_name = self._child.column(reference.columns[0]).type_name
        joins = (f"CROSS JOIN LATERAL (SELECT ({low} + {{k}})::{type_name} AS f0) AS {alias}",)
        return Parents(reference, count, alias, joins, {reference.columns[0]: f"{alias}.f0"})

    def _groups(  # noqa: PLR0913
        self,
        reference: Reference,
        alias: str,
        *,
        source: str,
        columns: Mapping[str, str],
        known: Mapping[str, str],
        own: Sequence[str],
    ) -> Parents:
        shared = [column for column in columns if column in known]
        same = ", ".join(f"{columns[column]} AS s{place}" for place, column in enumerate(shared))
        rest = ", ".join(f"{columns[column]} AS f{place}" for place, column in enumerate(own)) or "1 AS f0"
        partition = ", ".join(columns[column] for column in shared)
        order = ", ".join(columns[column] for column in own) or "1"
        numbered = f"row_number() OVER (PARTITION BY {partition} ORDER BY {order}) - 1 AS k"
        self._make(f"prodready_{alias}", f"SELECT {numbered}, {same}, {rest} {source}")
        groups = ", ".join(f"s{place}" for place in range(len(shared)))
        self._make(
            f"prodready_g{alias}",
            f"SELECT {groups}, count(*) AS c FROM prodready_{alias} GROUP BY {groups}",  # noqa: S608
        )
        here = " AND ".join(f"g{alias}.s{place} = {known[column]}" for place, column in enumerate(shared))
        match = " AND ".join(f"{alias}.s{place} = g{alias}.s{place}" for place in range(len(shared)))
        drawn_k = drawn("g.n", hash_of(reference), 1_000_000_007, SLIGHT)
        return Parents(
            reference,
            int(one(self._connection, f"SELECT count(*) FROM prodready_{alias}")),  # noqa: S608
            alias,
            (
                f"LEFT JOIN prodready_g{alias} AS g{alias} ON {here}",
                f"LEFT JOIN prodready_{alias} AS {alias} ON {match} AND {alias}.k = {drawn_k} % g{alias}.c",
            ),
            {column: f"{alias}.f{place}" for place, column in enumerate(own)},
            grouped=True,
        )

    def _has_rival(self, reference: Reference, rival: Reference) -> str:
        """Parents whose shared columns the other foreign key's table knows too."""
        mine = dict(zip(reference.columns, reference.keys, strict=True))
        theirs = dict(zip(rival.columns, rival.keys, strict=True))
        same = " AND ".join(f"r.{ident(theirs[c])} = t.{ident(mine[c])}" for c in mine if c in theirs)
        return f"EXISTS (SELECT FROM {self._tables[rival.table].name} AS r WHERE {same})"

    def _unused(self, reference: Reference) -> str:
        pairs = zip(reference.columns, reference.keys, strict=True)
        same = " AND ".join(f"c.{ident(column)} = t.{ident(key)}" for column, key in pairs)
        return f"NOT EXISTS (SELECT FROM {self._child.name} AS c WHERE {same})"

    def _make(self, name: str, query: str) -> None:
        self._connection.execute(f"DROP TABLE IF EXISTS pg_temp.{name}".encode())  # of an earlier batch
        self._connection.execute(f"CREATE TEMPORARY TABLE {name} ON COMMIT DROP AS {query}".encode())
        self._connection.execute(f"ANALYZE {name}".encode())


def hash_of(reference: Reference) -> int:
    """A number of its own for each foreign key."""
    return salt_of(reference.name, *reference.columns)
