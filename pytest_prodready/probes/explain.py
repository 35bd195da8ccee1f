"""The plans of what the service runs, on a copy of its database with as much data as production has."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from pytest_prodready.environment.cache import Cache
from pytest_prodready.environment.copies import Beside
from pytest_prodready.environment.database import LONG_S, Database
from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.ran import Command
from pytest_prodready.environment.rows import generate
from pytest_prodready.environment.statistics import inject, unsupported
from pytest_prodready.probes.capture import Capture, Window
from pytest_prodready.probes.explain_terms import Connection, terms
from pytest_prodready.probes.explaining import with_plans
from pytest_prodready.probes.health import wait_until
from pytest_prodready.probes.migration_state import of_the_tool
from pytest_prodready.probes.plans import Plans
from pytest_prodready.probes.proposals import proposals
from pytest_prodready.probes.repeats import repeats
from pytest_prodready.probes.statements import IN_THE_BACKGROUND, asked, declared, statements
from pytest_prodready.probes.table_sizes import table_sizes
from pytest_prodready.probes.traffic import Traffic, new_token
from pytest_prodready.settings import Request, Settings

DEADLINE_S = 30.0  # of a request while every statement is analysed and logged
REHEARSALS = 7  # on each connection: drivers prepare a statement after five runs
MOST_REHEARSALS = 100  # of one request
IDLE_S = 0.5

Progress = Callable[[str], None]


def plans(environment: Environment, settings: Settings, progress: Progress) -> Plans:
    """Copy the database, fill it, capture what each declared request runs, and explain every statement."""
    database = environment.database
    assert database is not None
    if settings.explain.statistics is not None and (why := unsupported(database.version)):
        return Plans(server=database.version, doubt=why)
    progress("copying the database for its plans")
    with environment.copy() as beside:
        with beside.database.superuser() as connection:
            origin = _fill(environment, beside, settings, connection, progress)
            if settings.explain.statistics is None and not _has_rows(connection, settings):
                return Plans(server=database.version, doubt=f"every table is empty: the data is {origin}")
            found = replace(_captured(environment, beside, settings, connection, progress), origin=origin)
            if settings.explain.seed is not None or settings.explain.rows:
                found = _explained(found, beside.database, settings, connection, progress)
        if settings.explain.statistics is not None:
            found = _planned(found, environment, beside.database, settings, progress)
        return found


def _fill(
    environment: Environment,
    beside: Beside,
    settings: Settings,
    connection: Connection,
    progress: Progress,
) -> str:
    """Bring the copy to production's size; returns in words where the rows come from."""
    words = ["as [service] setup left it"]
    if settings.explain.seed is not None:
        command = Command("explain-seed", settings.explain.seed, "[explain] seed")
        environment.run_command(beside.application, command, progress)
        words = ["filled by [explain] seed"]
    made = generate(connection, settings.explain.rows, progress) if settings.explain.rows else ()
    words += [f"{each.rows:,} rows generated in {each.table}" for each in made if each.rows]
    progress("vacuuming and analysing the copy")
    connection.execute("VACUUM (ANALYZE)")
    return ", ".join(words)


def _has_rows(connection: Connection, settings: Settings) -> bool:
    """Whether any table but the migration tool's own has rows: without them every plan is a good one."""
    sizes = table_sizes(connection, {})
    return any(each.rows and not of_the_tool(each.name, settings.migration) for each in sizes)


def _captured(
    environment: Environment,
    beside: Beside,
    settings: Settings,
    connection: Connection,
    progress: Progress,
) -> Plans:
    """What each declared request runs, and what it runs again and again."""
    run = _Run(beside, environment.cache, settings, progress)
    with run.captured():
        windows = run.windows()
        progress("running repeated statements on fewer rows")
        repeated = repeats(connection, windows, beside.database.user, settings.explain.repeats, run.again)
    return Plans(
        asked=tuple(asked(windows)),
        statements=(*statements(windows), *declared(settings.explain.queries, environment.folder)),
        missed=tuple(missed for window in windows for missed in window.missed),
        repeats=repeated,
        server=beside.database.version,
        doubt=run.doubt(),
    )


def _explained(
    found: Plans, database: Database, settings: Settings, connection: Connection, progress: Progress
) -> Plans:
    """The same with plans on the rows of the copy, and the indexes that would help."""
    connection.execute("VACUUM (ANALYZE)")  # the requests have written
    how = terms(connection, database.user, settings.explain.settings)
    told = [each for each in found.statements if not each.nested]
    progress(f"explaining {len(told)} statements")
    explained = iter(with_plans(connection, told, how))
    # A nested statement keeps the plan that the server logged.
    planned = tuple(each if each.nested else next(explained) for each in found.statements)
    return replace(
        found,
        statements=planned,
        proposals=proposals(connection, planned, how, settings.explain, progress),
        tables=table_sizes(connection, settings.explain.rows),
        settings=how.effective,
    )


def _planned(
    found: Plans, environment: Environment, database: Database, settings: Settings, progress: Progress
) -> Plans:
    """The same with plans for production's sizes, as its statistics tell them."""
    server, dump = database.server, settings.explain.statistics
    assert server is not None
    assert dump is not None
    progress("injecting production's statistics")
    file, name = environment.folder / dump, f"{database.name}_statistics"
    with (
        inject(server, file, like=database.name, name=name, progress=progress) as injected,
        server.connect(injected.database, timeout_s=LONG_S) as connection,
    ):
        how = terms(connection, database.user, settings.explain.settings, data="statistics")
        more = with_plans(connection, found.statements, how)
        helpful = proposals(connection, more, how, settings.explain, progress)
        sizes = table_sizes(connection, settings.explain.rows)
    return replace(
        found,
        statements=tuple(
            replace(each, plans=(*each.plans, *planned.plans), skipped=planned.skipped)
            for each, planned in zip(found.statements, more, strict=True)
        ),
        proposals=tuple(dict.fromkeys((*found.proposals, *helpful))),
        tables=found.tables or sizes,
        settings=found.settings or how.effective,
        origin=f"{found.origin}; production's statistics of {injected.tables} tables",
    )


@dataclass
class _Run:
    """The service on the copy, while it is asked one request at a time."""

    beside: Beside
    cache: Cache | None
    settings: Settings
    progress: Progress

    def __post_init__(self) -> None:
        self._capture = Capture(self.beside.database)
        self._forgotten = self._capture.forgotten()
        self._traffic: Traffic | None = None
        self._token = new_token()
        self._requests = self._declared()

    @contextmanager
    def captured(self) -> Iterator[None]:
        """The service runs on the copy, and each of its statements is logged."""
        self._capture.switch_on()
        self.progress("starting the service on the copy")
        self.beside.application.start()
        self._traffic = Traffic(self.beside.application.base_url, self.settings.requests)
        try:
            yield
        finally:
            self._traffic.close()
            self.beside.application.stop()

    def windows(self) -> tuple[Window, ...]:
        """What each request had the service run, and what it runs by itself."""
        with self._capture.window(IN_THE_BACKGROUND):
            wait_until(time.monotonic() + IDLE_S)
        for name, request in self._requests.items():
            self.progress(f"capturing the statements of {name}")
            self._rehearse(request)
            self._ask(name)
        return self._capture.windows()

    def again(self, name: str) -> Window:
        """One more run of a request."""
        self._ask(name)
        (window,) = self._capture.windows()
        return window

    def doubt(self) -> str:
        """Why nothing of this can be told, if so."""
        if self._capture.forgotten() > self._forgotten:
            return "the server dropped counters of statements (pg_stat_statements.max): some may be missing"
        return ""

    def _declared(self) -> dict[str, Request]:
        writes = self.settings.writes
        found = {request.label: request for request in self.settings.requests}
        if writes is not None:
            found |= {"[writes] create": writes.create, "[writes] read_back": writes.read_back}
        return found

    def _rehearse(self, request: Request) -> None:
        """Have the driver prepare what it prepares; pools take one connection after another."""
        connections = max(1, self._capture.connections())
        for _ in range(min(MOST_REHEARSALS, REHEARSALS * connections)):
            self._forget_cached()
            self._send(request, new_token())

    def _ask(self, name: str) -> None:
        with self._capture.window(name) as window:
            self._forget_cached()
            window.answer = self._send(self._requests[name], self._token)

    def _send(self, request: Request, token: str) -> Any:
        assert self._traffic is not None
        return self._traffic.send(request, DEADLINE_S, token)

    def _forget_cached(self) -> None:
        """What is cached would hide the statements that fetch it."""
        if self.cache is not None and self.cache.origin == "gate":
            with self.cache.client() as client:
                client.flushall()
