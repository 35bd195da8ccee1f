"""Fills one table up in batches, around what unique constraints refuse; or says why it can't be done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import ceil

import psycopg

from pytest_prodready.environment.rows_fitting import Fitted, Fitting
from pytest_prodready.environment.rows_numbers import WHOLE_NUMBERS, Numbers, Sources, numbered
from pytest_prodready.environment.rows_parents import Numbering, Parents, in_order
from pytest_prodready.environment.rows_recipe import Recipe, recipe
from pytest_prodready.environment.rows_tables import (
    Check,
    Connection,
    NotGenerated,
    Reference,
    Table,
    fetch,
    ident,
    literal,
    one,
    refused,
)
from pytest_prodready.environment.rows_types import Types

BATCH = 200_000
SAMPLE = 2000
WORTH_IT = 10_000  # rows; fewer are let through the triggers of foreign keys one by one
ROOTS = 20  # one row in so many is made before others of its table refer to it
LEAST_SHARE = 0.01  # of the rows made that all conditions accept
STUCK = 3  # batches without a row
Progress = Callable[[str], None]


class Filling:
    """Adds rows to one table."""

    def __init__(  # noqa: PLR0913
        self,
        connection: Connection,
        tables: Mapping[int, Table],
        types: Types,
        table: Table,
        *,
        postponed: frozenset[str] = frozenset(),
        progress: Progress,
    ) -> None:
        self._connection, self._tables, self._types = connection, tables, types
        self._table, self._progress = table, progress
        self._references = in_order(table, postponed)
        self._left_null = {
            column
            for reference in table.references
            if reference.name in postponed
            for column in reference.columns
        } - {column for reference in self._references for column in reference.columns}
        self._around_conflicts = bool(table.uniques)

    def fill(self, existing: int, wanted: int) -> int:
        """Add what is missing; returns how many rows were added."""
        if wanted <= existing:
            return 0
        try:
            with self._connection.transaction():
                self._connection.execute("SET LOCAL work_mem = '64MB'")
                self._connection.execute("SET LOCAL jit = off")
                with self._references_checked_at_once(existing, wanted):
                    self._fill(existing, wanted)
        except psycopg.Error as error:
            raise self._explained(error) from error
        return wanted - existing

    def _fill(self, existing: int, wanted: int) -> None:
        sources = self._sources(existing, wanted)
        numbers = numbered(sources)
        checks = self._checks()
        to_itself = any(reference.table == self._table.oid for reference in self._references)
        made = self._recipe(sources, numbers, checks)
        share = self._share(made, existing + 1)
        if share < 1:
            sources = replace(sources, tries=ceil(sources.rows / share))
            made = self._recipe(sources, numbers, checks)
        added, used, number, empty, missing = 0, 0, existing + 1, 0, wanted - existing
        while added < missing:
            if to_itself and added:
                made = self._recipe(sources, numbers, checks)
            limit = min(BATCH, missing - added)
            if to_itself and not added and not existing:
                limit = max(1, missing // ROOTS)
            last = number + ceil(limit / share * 1.05) + 10
            got = self._insert(made, number, last - 1, limit=limit, used=used)
            number = number + limit if got == limit and share == 1 else last
            added, used = added + got, used + limit  # numbers of rows that were refused are gone
            empty = 0 if got else empty + 1
            if empty == STUCK or number > existing + 100_000 + 20 * missing / share:
                self._give_up(made, number, added, missing)
            self._progress(f"{added + existing:,} of {wanted:,} rows of {self._table.name}")
        self._set_sequences(sources)

    def _sources(self, existing: int, wanted: int) -> Sources:
        counts = {
            reference.name: self._count(f"SELECT FROM {self._tables[reference.table].name}")
            for reference in self._references
        }
        sequences = dict(self._sequences())
        fitted = {each.column.name: each for each in self._fitted(wanted, sequences)}
        return Sources(
            *(self._table, fitted, self._references, sequences, counts),
            rows=wanted - existing,
            start=existing + 1,
            tries=wanted - existing,
        )

    def _fitted(self, wanted: int, sequences: Mapping[str, int]) -> Iterator[Fitted]:
        taken = {column for reference in self._references for column in reference.columns}
        unique = {column for each in self._table.uniques for column in each.columns}
        fitting = Fitting(self._connection, self._types, self._table, wanted)
        for column in self._table.columns:
            if column.name not in taken | set(sequences) | self._left_null:
                yield fitting.fitted(column, alone=column.name in unique)

    def _sequences(self) -> Iterator[tuple[str, int]]:
        """Columns that count up, and where they stand."""
        taken = {column for reference in self._table.references for column in reference.columns}
        for column in self._table.columns:
            if column.sequence is None or column.name in taken or column.type_name not in WHOLE_NUMBERS:
                continue
            query = (
                f"SELECT greatest(coalesce(max({column.sql}), 0), (SELECT CASE WHEN is_called THEN last_value"  # noqa: S608
                f" ELSE last_value - 1 END FROM {self._sequence(column.sequence)})) FROM {self._table.name}"
            )
            yield column.name, int(one(self._connection, query))

    def _sequence(self, oid: int) -> str:
        query = "SELECT quote_ident(nspname) || '.' || quote_ident(relname) FROM pg_class c"
        return str(
            one(self._connection, f"{query} JOIN pg_namespace n ON n.oid = relnamespace WHERE c.oid = {oid}")
        )

    def _checks(self) -> list[Check]:
        domains = (check for column in self._table.columns for check in self._types.checks(column))
        return [*self._table.checks, *domains]

    def _recipe(self, sources: Sources, numbers: Numbers, checks: Sequence[Check]) -> Recipe:
        numbering = Numbering(self._connection, self._tables, self._table)
        known: dict[str, str] = {}
        parents: dict[str, Parents] = {}
        for place, reference in enumerate(self._references):
            if set(reference.columns) <= set(known):
                continue
            later = self._references[place + 1 :]
            fresh = f"key: {reference.name}" in numbers.fresh
            found = numbering.parents(reference, known, self._rivals(reference, later), fresh=fresh)
            parents[reference.name] = found
            known.update(found.sql if found.count else {})
        return recipe(sources, numbers, parents, checks)

    def _rivals(self, reference: Reference, later: Sequence[Reference]) -> list[Reference]:
        """Foreign keys that share columns with this one and have to be met too."""
        mine = set(reference.columns)
        return [
            other
            for other in later
            if mine & set(other.columns)
            and other.table != self._table.oid
            and (set(other.columns) <= mine or not self._table.can_be_null(other.columns))
        ]

    def _share(self, made: Recipe, first: int) -> float:
        """The share of rows that all conditions accept; raises where they hardly accept any."""
        if made.condition == "true":
            return 1.0
        last = first + SAMPLE - 1
        accepted = self._count(made.select(first, last))
        if accepted >= SAMPLE * LEAST_SHARE:
            return accepted / SAMPLE
        tried = [
            f"{check.name} accepted"
            f" {self._count(made.select(first, last, f'({check.sql}) IS NOT FALSE')):,} of {SAMPLE:,} rows"
            for check in made.checks
        ]
        hard = [check for check in made.checks if len(check.columns) > 1] or list(made.checks)
        names = ", ".join(dict.fromkeys(check.name for check in hard)) or "its foreign keys"
        raise refused(
            self._table.name,
            f"{names} accepted {accepted} of {SAMPLE:,} rows that were tried",
            value="; ".join(dict.fromkeys(check.definition for check in hard)) or None,
            tried=list(dict.fromkeys(tried)),
        )

    def _count(self, select: str) -> int:
        return int(one(self._connection, f"SELECT count(*) FROM ({select}) AS s"))  # noqa: S608

    def _insert(self, made: Recipe, first: int, last: int, *, limit: int, used: int) -> int:
        if self._around_conflicts:
            try:
                with self._connection.transaction():
                    statement = made.insert(first, last, limit=limit, used=used, around_conflicts=True)
                    return self._run(statement)
            except psycopg.errors.ObjectNotInPrerequisiteState:
                self._around_conflicts = False  # a deferrable constraint can't be gone around
        return self._run(made.insert(first, last, limit=limit, used=used, around_conflicts=False))

    def _run(self, statement: str) -> int:
        return self._connection.execute(statement.encode()).rowcount

    def _give_up(self, made: Recipe, number: int, added: int, missing: int) -> None:
        """Say what keeps further rows out: the same again, so that the server names the constraint."""
        why = "its triggers let no further row in"
        try:
            with self._connection.transaction(force_rollback=True):
                last = number + SAMPLE
                self._run(
                    made.insert(number, last, limit=SAMPLE, used=missing + number, around_conflicts=False)
                )
        except psycopg.errors.IntegrityError as error:
            why = f"{error.diag.constraint_name} refuses the others ({error.diag.message_detail})"
        raise refused(
            self._table.name,
            why,
            value=self._definition(why),
            tried=[f"{number:,} rows, of which {added:,} got in; {missing:,} are wanted"],
        )

    @contextmanager
    def _references_checked_at_once(self, existing: int, wanted: int) -> Iterator[None]:
        """Let foreign keys be checked by a join at the end where it matters: it takes a tenth of the time."""
        table = self._table
        names = [name for r in self._references for name in r.trigger_names]
        if existing or wanted < WORTH_IT or table.kind != "r" or not names:
            yield
            return
        for name in names:
            self._connection.execute(f"ALTER TABLE {table.name} DISABLE TRIGGER {ident(name)}".encode())
        yield
        self._connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for reference in self._references:
            self._verify(reference)
        for name in names:
            self._connection.execute(f"ALTER TABLE {table.name} ENABLE TRIGGER {ident(name)}".encode())

    def _verify(self, reference: Reference) -> None:
        pairs = list(zip(reference.columns, reference.keys, strict=True))
        same = " AND ".join(f"c.{ident(column)} = p.{ident(key)}" for column, key in pairs)
        given = " AND ".join(f"c.{ident(column)} IS NOT NULL" for column, _ in pairs)
        orphans = one(
            self._connection,
            f"SELECT count(*) FROM {self._table.name} AS c"  # noqa: S608
            f" LEFT JOIN {self._tables[reference.table].name} AS p ON {same}"
            f" WHERE {given} AND p.{ident(reference.keys[0])} IS NULL",
        )
        if orphans:
            raise refused(
                self._table.name, f"a trigger left {orphans:,} rows that {reference.name} doesn't allow"
            )

    def _set_sequences(self, sources: Sources) -> None:
        for name, before in sources.sequences.items():
            sequence = self._table.column(name).sequence
            assert sequence is not None
            fetch(
                self._connection,
                f"SELECT setval({literal(self._sequence(sequence))}::regclass, max({ident(name)}))"  # noqa: S608
                f" FROM {self._table.name} HAVING max({ident(name)}) > {before}",
            )

    def _explained(self, error: psycopg.Error) -> NotGenerated:
        """What the server said, with what it was about."""
        said = error.diag
        about = f"{said.constraint_name}: " if said.constraint_name else ""
        facts = [text for text in (said.message_detail, said.context) if text]
        why = f"{about}{said.message_primary or error}"
        return refused(
            self._table.name, why, value=self._definition(why), tried=[f"the server says {f}" for f in facts]
        )

    def _definition(self, why: str) -> str | None:
        """The definition of the constraint that a text names."""
        known = [(each.name, each.definition) for each in self._table.uniques]
        known += [(each.name, each.definition) for each in self._table.checks]
        return next((definition for name, definition in known if name in why), None)
