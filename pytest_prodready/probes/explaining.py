"""Explain a statement of the service: as its role, with its parameters, and without a trace in the data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from psycopg import errors, sql

from pytest_prodready.probes.explain_terms import Connection, Terms, apply
from pytest_prodready.probes.plans import Explained, Mode, Statement
from pytest_prodready.probes.statement_text import Query, filled, query_in

NAME = "prodready_explained"
LOCK_WITHIN_S = 5.0
LEFT_BEHIND = """
    SELECT EXISTS (SELECT FROM pg_prepared_statements WHERE name = %s) FROM pg_advisory_unlock_all()
"""
LONGEST_TEXT = 10_000  # of a condition; one with 100,000 constants is as good with the first thousand
LEFT_OUT = frozenset({"Output", "Query Identifier"})
UNTYPED = "unknown"  # PostgreSQL infers it
PARAMETER = re.compile(r"parameter \$(\d+)")
KINDS = (
    ("bigint", re.compile(r"[+-]?\d{1,18}")),
    ("numeric", re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")),
    ("boolean", re.compile(r"t|f|true|false")),
    ("uuid", re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")),
    ("timestamptz", re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d.*)?")),
    ("date", re.compile(r"\d{4}-\d\d-\d\d")),
)
TYPED_WRONG = (
    errors.IndeterminateDatatype,
    errors.AmbiguousParameter,
    errors.AmbiguousFunction,
    errors.UndefinedFunction,
    errors.DatatypeMismatch,
    errors.CannotCoerce,
    psycopg.DataError,
)


@dataclass
class _Attempt:
    """One statement in one mode, with the types of its parameters as far as they are deduced."""

    query: Query
    parameters: Sequence[str | None]
    settings: Mapping[str, str]
    types: list[str]

    def deduce(self, error: psycopg.Error) -> bool:
        """Give a type to the parameter that PostgreSQL couldn't tell, or to all; False when all have one."""
        if UNTYPED not in self.types:
            return False
        named = PARAMETER.search(error.diag.message_primary or "")
        number = int(named[1]) - 1 if named else -1
        if 0 <= number < len(self.types) and self.types[number] == UNTYPED:
            self.types[number] = deduced(self.parameters[number])
        else:
            self.types = [deduced(value) for value in self.parameters]
        return True


def with_plans(
    connection: Connection, statements: Iterable[Statement], terms: Terms
) -> tuple[Statement, ...]:
    """The statements with their plans, or why they have none; those that write are explained last.

    What is rolled back leaves dead rows behind, and other plans would step over them.
    """
    found = dict(enumerate(statements))
    queries = {number: query_in(statement.example) for number, statement in found.items()}
    for number in sorted(found, key=lambda each: queries[each].writes):
        plans = () if queries[number].why else explain(connection, found[number], terms)
        found[number] = replace(found[number], skipped=queries[number].why, plans=plans)
    return tuple(found.values())


def explain(connection: Connection, statement: Statement, terms: Terms) -> tuple[Explained, ...]:
    """Its plans: the one for its parameters and, where it is prepared by name, the generic one.

    It needs a superuser's connection that commits each statement. Nothing is left of what the statement
    wrote, but that sequences have moved on.
    """
    query = query_in(statement.example)
    if query.why:
        return ()
    return tuple(
        plan
        for mode in modes(statement, query, terms)
        for plan in _explained(connection, query, statement, terms, mode)
    )


def modes(statement: Statement, query: Query, terms: Terms) -> tuple[Mode, ...]:
    """Which plans the server may use for it."""
    chosen = terms.settings_for(statement).get("plan_cache_mode")
    if not (statement.prepared and query.parameters and not query.cursor) or chosen == "force_custom_plan":
        return ("custom",)
    return ("generic",) if chosen == "force_generic_plan" else ("custom", "generic")


def deduced(value: str | None) -> str:
    """The type that a parameter seems to have, as the server's log writes its value."""
    return next((kind for kind, pattern in KINDS if value is not None and pattern.fullmatch(value)), "text")


def _explained(
    connection: Connection, query: Query, statement: Statement, terms: Terms, mode: Mode
) -> Iterator[Explained]:
    settings = {**terms.settings_for(statement), "plan_cache_mode": f"force_{mode}_plan"}
    problem = ""
    for analyze in (True, False) if terms.data == "rows" else (False,):
        types = [UNTYPED] * len(statement.parameters)
        try:
            plans = _typed(connection, _Attempt(query, statement.parameters, settings, types), terms, analyze)
        except psycopg.Error as error:
            if connection.closed:
                raise
            problem = problem or _words(error, statement, terms)
            continue
        yield from (Explained(mode, terms.data, _pruned(plan), problem) for plan in plans)
        return
    yield Explained(mode, terms.data, error=problem)


def _typed(connection: Connection, attempt: _Attempt, terms: Terms, analyze: bool) -> list[Any]:
    """The plans; where PostgreSQL can't infer the type of a parameter, it is told what it looks like."""
    first: psycopg.Error | None = None
    while True:
        try:
            return _planned(connection, attempt, terms, analyze)
        except TYPED_WRONG as error:
            first = first or error
            if connection.closed or not attempt.deduce(error):
                raise first from None


def _planned(connection: Connection, attempt: _Attempt, terms: Terms, analyze: bool) -> list[Any]:
    with _rolled_back(connection, terms, attempt.settings):
        text = _explainable(connection, attempt)
        if analyze:  # warm; what writes only once, for a second run would step over what the first one left
            _run(connection, text, analyze=not attempt.query.writes)
        return _run(connection, text, analyze=analyze)


@contextmanager
def _rolled_back(connection: Connection, terms: Terms, settings: Mapping[str, str]) -> Iterator[None]:
    """A transaction of the service's role that leaves nothing behind."""
    limits = {
        "statement_timeout": str(int(terms.within_s * 1000)),
        "lock_timeout": str(int(LOCK_WITHIN_S * 1000)),
    }
    try:
        with connection.transaction(force_rollback=True):
            connection.execute("SET TRANSACTION READ WRITE")
            apply(connection, {**settings, **limits})
            connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(terms.role)))
            yield
    finally:
        if not connection.closed:
            _forget(connection)


def _forget(connection: Connection) -> None:
    """Undo what outlives a transaction: the prepared statement, and advisory locks of the session."""
    row = connection.execute(LEFT_BEHIND, (NAME,)).fetchone()
    if row is not None and row[0]:
        connection.execute(sql.SQL("DEALLOCATE {}").format(sql.Identifier(NAME)))


def _explainable(connection: Connection, attempt: _Attempt) -> str:
    """What EXPLAIN takes: the cursor itself, since it is planned for its first rows, or EXECUTE."""
    values = [sql.Literal(value).as_string(connection) for value in attempt.parameters]
    if attempt.query.cursor:
        return f"DECLARE {NAME} CURSOR FOR {filled(attempt.query.text, values)}"
    types = f" ({', '.join(attempt.types)})" if attempt.types else ""
    _execute(connection, f"PREPARE {NAME}{types} AS {attempt.query.text}")
    return f"EXECUTE {NAME} ({', '.join(values)})" if values else f"EXECUTE {NAME}"


def _run(connection: Connection, text: str, *, analyze: bool) -> list[Any]:
    running = "ANALYZE, BUFFERS, TIMING OFF, " if analyze else ""
    row = _execute(connection, f"EXPLAIN ({running}VERBOSE, SETTINGS, FORMAT JSON) {text}").fetchone()
    found: list[Any] = [] if row is None else row[0]
    return [plan for plan in found if "Plan" in plan]


def _execute(connection: Connection, text: str) -> psycopg.Cursor[Any]:
    # Binary results make it one statement alone: a text with a COMMIT inside would leave the transaction.
    return connection.execute(text.encode(), binary=True)


def _pruned(plan: Any) -> Any:
    """The plan without what nobody judges, and with conditions of a readable length."""
    if isinstance(plan, Mapping):
        return {name: _pruned(value) for name, value in plan.items() if name not in LEFT_OUT}
    if isinstance(plan, list):
        return [_pruned(each) for each in plan]
    if isinstance(plan, str) and len(plan) > LONGEST_TEXT:
        return f"{plan[:LONGEST_TEXT]} … ({len(plan):,} characters)"
    return plan


def _words(error: psycopg.Error, statement: Statement, terms: Terms) -> str:
    """Why a statement has no plan, or was only planned."""
    said = error.diag.message_primary or str(error) or type(error).__name__
    if isinstance(error, errors.QueryCanceled):
        return f"it ran for more than {terms.within_s:g} s and was stopped"
    if isinstance(error, errors.LockNotAvailable):
        return f"it waited for a lock for more than {LOCK_WITHIN_S:g} s"
    if statement.nested:
        return f"a function runs it with variables of its own, and by itself PostgreSQL says: {said}"
    return f"PostgreSQL says: {said}"
