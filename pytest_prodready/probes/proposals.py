"""Indexes that would help: each is built, planned with, and taken away again before it is proposed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

import psycopg
from psycopg import sql

from pytest_prodready.probes.explain_terms import Connection, Terms, apply
from pytest_prodready.probes.explaining import explain
from pytest_prodready.probes.index_candidates import Candidate, candidates, needs
from pytest_prodready.probes.index_trial import Built, Table, build, order_of, table_of
from pytest_prodready.probes.plan_text import named
from pytest_prodready.probes.plan_tree import Node
from pytest_prodready.probes.plans import Mode, Proposal, Statement
from pytest_prodready.settings import ExplainSettings

CHEAPER = 0.5  # of the cost before: a smaller gain isn't worth an index
AS_CHEAP, NEXT_TO_NOTHING = 1.25, 5.0  # times the cheapest, and pages: then the narrower one is better
ROUNDS = 3  # indexes for one statement
BUILD_WITHIN_S = 20.0
LOCK_WITHIN_S = 5.0
WITHIN_S = 180.0  # for all statements together


@dataclass(frozen=True, slots=True)
class _Tried:
    table: Table
    candidate: Candidate
    built: Built
    root: Node
    node: str  # that uses it


def proposals(
    connection: Connection,
    statements: Iterable[Statement],
    terms: Terms,
    limits: ExplainSettings,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[Proposal, ...]:
    """Indexes with which a statement would cost half as much or less by the planner; none of them is left.

    It needs a superuser's connection that commits each statement, on a server of ours.
    """
    until, found = time.monotonic() + WITHIN_S, []
    for statement in statements:
        for mode, root in _roots(statement, terms):
            if time.monotonic() > until or not needs(root, limits.examined_rows):
                continue
            progress(f"trying indexes for {statement.who or 'a statement'}")
            bench = _Bench(connection, statement, replace(terms, data="statistics"), mode, limits)
            with suppress(psycopg.Error), bench.undone():
                found += bench.proposed(root, analyze=terms.data == "rows")
            _require_open(connection)
    return tuple(dict.fromkeys(found))


def _roots(statement: Statement, terms: Terms) -> Iterator[tuple[Mode, Node]]:
    """Its plans on this data; a generic one only counts where there is no other."""
    found = [each for each in statement.plans if each.data == terms.data and each.plan]
    for each in found:
        if each.mode == "custom" or len(found) == 1:
            yield each.mode, Node.parse(each.plan)


def _require_open(connection: Connection) -> None:
    if connection.closed:
        raise psycopg.OperationalError("the server closed the connection while an index was tried")


@dataclass(frozen=True, slots=True)
class _Bench:
    """One statement, planned again and again."""

    connection: Connection
    statement: Statement
    terms: Terms
    mode: Mode
    limits: ExplainSettings

    @contextmanager
    def undone(self) -> Iterator[None]:
        """A transaction of ours with the names of the service's search_path, rolled back at the end."""
        settings = self.terms.settings_for(self.statement)
        path = settings.get("search_path", '"$user", public')
        settings["search_path"] = path.replace('"$user"', sql.Identifier(self.terms.role).as_string())
        with self.connection.transaction(force_rollback=True):
            self.connection.execute("SET TRANSACTION READ WRITE")
            limits = {
                "statement_timeout": str(int(BUILD_WITHIN_S * 1000)),
                "lock_timeout": str(int(LOCK_WITHIN_S * 1000)),
            }
            apply(self.connection, {**settings, **limits})
            yield

    def proposed(self, root: Node, *, analyze: bool) -> list[Proposal]:
        """The best index, then the best beside it, as long as each makes it cheaper by half."""
        found: list[Proposal] = []
        before = self._planned()
        for _ in range(ROUNDS):
            best = self._best(root, before, analyze=analyze) if before is not None else None
            if before is None or best is None:
                break
            build(self.connection, best.table, best.candidate, analyze=analyze)
            found.append(
                Proposal(
                    text=self.statement.text,
                    relation=best.table.name,
                    sql=best.built.sql,
                    cost_before=before.cost,
                    cost_after=best.root.cost,
                    node_after=best.node,
                    replaces=best.built.replaces,
                )
            )
            root = before = best.root
        return found

    def _best(self, root: Node, before: Node, *, analyze: bool) -> _Tried | None:
        tried = [
            each for each in self._tried(root, analyze=analyze) if each.root.cost <= CHEAPER * before.cost
        ]
        cheapest = min((each.root.cost for each in tried), default=0.0)
        as_good = [each for each in tried if each.root.cost <= AS_CHEAP * cheapest + NEXT_TO_NOTHING]
        return min(as_good, key=lambda each: len(each.candidate.keys), default=None)

    def _tried(self, root: Node, *, analyze: bool) -> Iterator[_Tried]:
        for need in needs(root, self.limits.examined_rows):
            table = table_of(self.connection, need)
            if table is None:
                continue
            for candidate in candidates(need, order_of(self.connection, need)):
                if (found := self._trial(table, candidate, analyze=analyze)) is not None:
                    yield found

    def _trial(self, table: Table, candidate: Candidate, *, analyze: bool) -> _Tried | None:
        """The plan with this index; None where it can't be built, or isn't used."""
        with suppress(psycopg.Error), self.connection.transaction(force_rollback=True):
            built = build(self.connection, table, candidate, analyze=analyze)
            root = self._planned()
            if root is not None and (node := _uses(root, built)) is not None:
                return _Tried(table, candidate, built, root, named(node))
        _require_open(self.connection)
        return None

    def _planned(self) -> Node | None:
        for plan in explain(self.connection, self.statement, self.terms):
            if plan.mode == self.mode and plan.plan:
                return Node.parse(plan.plan)
        return None


def _uses(root: Node, built: Built) -> Node | None:
    """The node that uses the index; for a bitmap the one that reads the table by it."""
    for place in root.walk():
        if place.node.index in built.names:
            scan = next((each for each in reversed(place.parents) if each.scans_table), place.node)
            return place.node if place.node.relation else scan
    return None
