"""What it costs to capture statements: in the process that sends them, and by the server's log.

    python bench/bench_capture.py [--rounds 60] [--queries 50] [--statements 400]

The contenders take turns, so that a busy machine is equally unfair to all. In each round each of them sends
some queries, of which the fastest quarter counts; a figure is the median over the rounds, a cost the median
of its differences from "off" in the same round. In process: the marker max_queries
beside what else records statements. By the log: what the explain suite switches on for its own database
beside the settings that one would try first.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import logging
import os
import platform
import statistics
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Engine, create_engine, event, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from pytest_prodready.environment.binaries import find_postgres
from pytest_prodready.environment.certificates import Authority
from pytest_prodready.environment.postgres import PostgresServer
from pytest_prodready.environment.postgres_config import Account
from pytest_prodready.environment.runs import Run
from pytest_prodready.in_process import recording
from pytest_prodready.probes.capture import LOGGED

LIMIT = 0.05  # of a query
OURS = "max_queries"
BY_THE_GATE = "the explain suite's"
ROWS = 20_000
FILL = "INSERT INTO jobs SELECT n, 'r' || n % 1000, 'open' FROM generate_series(1, 20000) AS n"
Contender = Callable[[], AbstractContextManager[None]]
Query = Callable[[Engine, int], None]


class Base(DeclarativeBase):
    """All tables."""


class Job(Base):
    """A row of an ordinary width."""

    __tablename__ = "jobs"
    id: Mapped[int] = mapped_column(primary_key=True)
    region: Mapped[str]
    state: Mapped[str]


# In process


@contextlib.contextmanager
def off() -> Iterator[None]:
    """Nothing is captured."""
    yield


@contextlib.contextmanager
def idle() -> Iterator[None]:
    """A run with the marker, while a test without it is under way."""
    recording.listen()
    try:
        yield
    finally:
        recording.forget()


@contextlib.contextmanager
def ours() -> Iterator[None]:
    """A test with the marker."""
    with idle(), recording.recorded():
        yield


@contextlib.contextmanager
def listening(listener: Callable[..., None]) -> Iterator[None]:
    """A listener to the connection's event, as most tools have it."""
    event.listen(Engine, "before_cursor_execute", listener)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", listener)
        Engine._has_events = False  # it would stay so, and slow the others down


def texts() -> AbstractContextManager[None]:
    """The text of each statement and nothing else, which is django-perf-rec's way."""
    found: list[str] = []
    return listening(lambda conn, cursor, statement, parameters, context, many: found.append(statement))


def stacks() -> AbstractContextManager[None]:
    """Text and stack of each statement by the traceback module, as debug toolbars do."""
    found: list[tuple[str, Any]] = []

    def note(conn: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:  # noqa: PLR0913, PLR0917
        found.append((statement, traceback.extract_stack()))

    return listening(note)


@contextlib.contextmanager
def logged() -> Iterator[None]:
    """SQLAlchemy's own log of statements and parameters, into a file."""
    logger = logging.getLogger("sqlalchemy.engine")
    with tempfile.TemporaryDirectory() as folder:
        handler = logging.FileHandler(Path(folder) / "sql.log")
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        try:
            yield
        finally:
            logger.setLevel(logging.NOTSET)
            logger.removeHandler(handler)
            handler.close()


def nplusone() -> Contender | None:
    """The package of that name, where it can be imported beside this SQLAlchemy; else says why not."""
    try:
        importlib.import_module("nplusone.ext.sqlalchemy")
        profiler = importlib.import_module("nplusone.core.profiler").Profiler
    except Exception as error:  # it reaches into SQLAlchemy's private parts
        print(f"nplusone is left out: {type(error).__name__}: {error}")
        return None
    return lambda: profiler(whitelist=[{"model": "*"}])


def one(engine: Engine, number: int) -> None:
    """The barest query that there is."""
    with engine.connect() as connection:
        _repeat(lambda: connection.execute(ONE, {"n": 1}).all(), number)


def by_key(engine: Engine, number: int) -> None:
    """A row by its key, without the ORM."""
    query = select(Job.__table__).where(Job.id == 77)
    with engine.connect() as connection:
        _repeat(lambda: connection.execute(query).all(), number)


def by_orm(engine: Engine, number: int) -> None:
    """A row by its key, as an object."""

    def load() -> None:
        session.expunge_all()
        session.get(Job, 77)

    with Session(engine) as session:
        _repeat(load, number)


def page(engine: Engine, number: int) -> None:
    """A page of 20 objects."""

    def load() -> None:
        session.expunge_all()
        session.scalars(query).all()

    query = select(Job).order_by(Job.id).limit(20)
    with Session(engine) as session:
        _repeat(load, number)


ONE = text("SELECT :n")
BAREST = "SELECT $1"
QUERIES: Mapping[str, Query] = {
    BAREST: one,
    "row by key": by_key,
    "object by key": by_orm,
    "20 objects": page,
}
IN_PROCESS: dict[str, Contender] = {
    "off": off,
    "idle": idle,
    OURS: ours,
    "texts alone (django-perf-rec's way)": texts,
    "texts and traceback.extract_stack": stacks,
    "SQLAlchemy's log, to a file": logged,
}
_times: list[float] = []


def _repeat(query: Callable[[], object], number: int) -> None:
    _times.clear()
    for _ in range(number):
        began = time.perf_counter()
        query()
        _times.append(time.perf_counter() - began)


def in_process(engine: Engine, rounds: int, number: int) -> float:
    """Print a table; returns the cost of ours as a part of the barest query, where it weighs most."""
    contenders = dict(IN_PROCESS)
    if other := nplusone():
        contenders["nplusone"] = other
    seen = {(name, query): [] for name in contenders for query in QUERIES}  # type: dict[tuple[str, str], list[float]]
    for _ in range(rounds + 1):
        for label, query in QUERIES.items():
            for name, contender in contenders.items():
                with contender():
                    query(engine, number)
                seen[name, label].append(statistics.quantiles(_times, n=4)[0] * 1e6)
    print("\n| in process | " + " | ".join(f"{label}, µs" for label in QUERIES) + " |\n|---" * 1, end="")
    print("|---" * len(QUERIES) + "|")
    weight = 0.0
    for name in contenders:
        cells = []
        for label in QUERIES:
            taken, base = seen[name, label][1:], seen["off", label][1:]
            cost = statistics.median(mine / theirs - 1 for mine, theirs in zip(taken, base, strict=True))
            cells.append(
                f"{statistics.median(taken):.1f} ({cost:+.1%})"
                if name != "off"
                else f"{statistics.median(taken):.1f}"
            )
            weight = cost if (name, label) == (OURS, BAREST) else weight
        print(f"| {name} | " + " | ".join(cells) + " |")
    return weight


# By the server's log

QUIET: Mapping[str, str | int] = {
    "log_min_duration_statement": -1,
    "log_statement": "none",
    "compute_query_id": "on",
    "pg_stat_statements.track": "none",
    "auto_explain.log_min_duration": -1,
}
EXPLAINED: Mapping[str, str | int] = {
    **QUIET,
    "auto_explain.log_min_duration": 0,
    "auto_explain.log_format": "json",
}
BY_LOG: Mapping[str, Mapping[str, str | int]] = {
    "off": QUIET,
    "pg_stat_statements": {**QUIET, "pg_stat_statements.track": "all"},
    "every statement logged": {**QUIET, "log_min_duration_statement": 0},
    "auto_explain, not analyzed": {**EXPLAINED, "auto_explain.log_analyze": "off"},
    "auto_explain, analyzed without timing": {
        **EXPLAINED,
        "auto_explain.log_analyze": "on",
        "auto_explain.log_buffers": "on",
        "auto_explain.log_timing": "off",
    },
    "auto_explain, analyzed": {
        **EXPLAINED,
        "auto_explain.log_analyze": "on",
        "auto_explain.log_buffers": "on",
        "auto_explain.log_timing": "on",
    },
    "auto_explain, threshold of 1 s": {
        **EXPLAINED,
        "auto_explain.log_min_duration": 1000,
        "auto_explain.log_analyze": "on",
        "auto_explain.log_timing": "off",
    },
    BY_THE_GATE: LOGGED,
}


def by_log(server: PostgresServer, rounds: int, number: int) -> None:
    """Print a table of what one client gets done."""
    seen: dict[str, list[float]] = {name: [] for name in BY_LOG}
    for _ in range(rounds + 1):
        for name, settings in BY_LOG.items():
            with server.connect("bench") as connection:
                for key, value in settings.items():
                    connection.execute("SELECT set_config(%s, %s, false)", (key, str(value)))
                seen[name].append(statements_per_s(connection, number))
    print("\n| by the server's log | statements/s | of those without |\n|---|---|---|")
    for name, taken in seen.items():
        part = statistics.median(mine / base for mine, base in zip(taken[1:], seen["off"][1:], strict=True))
        print(f"| {name} | {statistics.median(taken[1:]):,.0f} | {part:.0%} |")


def statements_per_s(connection: psycopg.Connection[Any], number: int) -> float:
    """How often a prepared statement could read a row by its key, by the fastest quarter of so many."""
    keys = iter(range(1, number + 1))
    query = "SELECT * FROM jobs WHERE id = %s"
    _repeat(lambda: connection.execute(query, (next(keys),), prepare=True).fetchall(), number)
    return 1 / statistics.quantiles(_times, n=4)[0]


@contextlib.contextmanager
def filled() -> Iterator[tuple[PostgresServer, Engine]]:
    """A server of our own with a table of rows."""
    run = Run.open()
    server = PostgresServer(
        run, find_postgres(), Authority(run.folder), Account("bench", "bench", "bench-only")
    )
    server.create()
    with server.connect("bench") as connection:
        connection.execute("GRANT ALL ON SCHEMA public TO bench")
    place = server.endpoint
    engine = create_engine(f"postgresql+psycopg://bench:bench-only@{place.host}:{place.port}/bench")
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(text(FILL))
    with server.connect("bench") as connection:
        connection.execute("VACUUM ANALYZE jobs")
    try:
        yield server, engine
    finally:
        engine.dispose()
        run.close()


def main() -> None:
    """Print both tables, and fail where ours costs more than the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--queries", type=int, default=50)
    parser.add_argument("--statements", type=int, default=400)
    options = parser.parse_args()
    with filled() as (server, engine):
        print(f"{os.cpu_count()} CPUs, Python {platform.python_version()}, PostgreSQL {server.version}")
        cost = in_process(engine, options.rounds, options.queries)
        by_log(server, options.rounds, options.statements)
    print(f"\n{OURS}: {cost:.1%} of the barest query (limit {LIMIT:.0%})")
    if cost > LIMIT:
        sys.exit("slower than that")


if __name__ == "__main__":
    main()
