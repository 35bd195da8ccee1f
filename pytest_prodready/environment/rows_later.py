"""Foreign keys in a circle of tables: they are set once all of its tables have rows."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_prodready.environment.rows_numbers import N
from pytest_prodready.environment.rows_order import one_to_one
from pytest_prodready.environment.rows_parents import Numbering, hash_of
from pytest_prodready.environment.rows_recipe import NULLS
from pytest_prodready.environment.rows_tables import Connection, Reference, Table, ident
from pytest_prodready.environment.rows_values import chance, drawn

WORTH_IT = 1000  # rows; what is left of the old versions of fewer is no trouble


def set_later(
    connection: Connection, tables: Mapping[int, Table], table: Table, reference: Reference, existing: int
) -> None:
    """Let rows that were added refer to their parents; the first `existing` ones are not ours."""
    with connection.transaction():
        changed = connection.execute(
            _update(connection, tables, table, reference, existing).encode()
        ).rowcount
    if changed >= WORTH_IT:
        connection.execute(f"VACUUM (FULL) {table.name}".encode())  # each row was written twice


def _update(
    connection: Connection, tables: Mapping[int, Table], table: Table, reference: Reference, existing: int
) -> str:
    others = {c for r in table.references if r.name != reference.name for c in r.columns}
    shared = [column for column in reference.columns if column in others]
    known = {column: f"g.{ident(column)}" for column in shared}
    once = one_to_one(table, reference)
    parents = Numbering(connection, tables, table).parents(reference, known, (), fresh=once)
    number = f"({N} - 1)" if once else drawn(N, hash_of(reference), max(1, parents.count))
    assigned = ", ".join(f"{ident(column)} = {sql}" for column, sql in parents.sql.items())
    first = next(iter(parents.sql.values()))
    columns = "".join(f", {ident(column)}" for column in shared)
    return (
        f"UPDATE {table.name} AS t SET {assigned} FROM (SELECT *, row_number() OVER () AS n FROM ("  # noqa: S608
        f"SELECT tableoid AS place, ctid AS row{columns}, row_number() OVER (ORDER BY tableoid, ctid) AS age"
        f" FROM {table.name}) AS r WHERE age > {existing}) AS g {parents.join(number)}"
        f" WHERE t.tableoid = g.place AND t.ctid = g.row AND {first} IS NOT NULL"
        f" AND {chance(N, hash_of(reference) + 1)} >= {NULLS}"
    )
