"""The service as it was before the newest step, on the schema that the step makes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from pytest_prodready.environment.cache import Cache
from pytest_prodready.environment.database import Database
from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.roles import ApplicationRole
from pytest_prodready.environment.rows import NotGenerated, generate
from pytest_prodready.errors import ProdreadyError
from pytest_prodready.probes.migration_state import of_the_tool
from pytest_prodready.probes.migration_tables import declared_rows, rows_of, stand
from pytest_prodready.probes.migration_tool import Tool, stepping
from pytest_prodready.probes.redis_costs import empty
from pytest_prodready.probes.traffic import Answer, Traffic
from pytest_prodready.settings import Request, Settings

TIMES = 3  # each request before the step, and after it
EVERY_S = 0.05
DEADLINE_S = 10.0
MOST_ROWS = 1000  # of a table: enough for requests to find something
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """How one request was answered at one time."""

    sent: int
    failed: int  # answered otherwise than declared, or not at all
    said: str = ""  # of the first that failed


@dataclass(frozen=True, slots=True)
class OldRequest:
    """One declared request to the previous code."""

    request: str
    before: Asked
    during: Asked  # a polite refusal (503, 429) counts as an answer
    after: Asked


@dataclass(frozen=True, slots=True)
class SideBySide:
    """The previous code while the newest step runs, and afterwards."""

    revision: str = ""
    requests: tuple[OldRequest, ...] = ()
    step_ended: str = ""  # how the step ended, if not well
    doubt: str = ""  # why nothing was tried


def side_by_side(environment: Environment, settings: Settings, progress: Progress) -> SideBySide:
    """Start the previous code on the schema before the newest step, send requests, and run the step."""
    with environment.blank("previous") as beside:
        tool = stepping(environment, beside, settings.migration, progress)
        newest = tool.history().newest(1)
        if not newest or not tool.steps_by_name:
            return SideBySide(doubt=tool.history().doubt or "its steps can't be told apart")
        ((at, revision),) = newest
        if not at:
            return SideBySide(revision, doubt=f"{revision} is the first step: no code was there before it")
        if not (ran := tool.up(at)).succeeded:
            return SideBySide(revision, doubt=f"{at} can't be reached on an empty database: it {ran.ended}")
        try:
            _fill(beside.database, settings)
            progress("starting the previous code")
            with environment.previous(beside) as previous:
                return _asked(environment, previous, settings, tool, revision)
        except NotGenerated as error:
            return SideBySide(revision, doubt=f"the previous code can't be tried: {error.problem}")
        except ProdreadyError as error:
            remedy = f" ({error.remedy})" if error.remedy else ""
            return SideBySide(revision, doubt=f"the previous code can't be tried: {error.problem}{remedy}")


def _asked(
    environment: Environment, previous: ApplicationRole, settings: Settings, tool: Tool, revision: str
) -> SideBySide:
    requests = [*settings.traffic, *([settings.writes.create] if settings.writes else [])]
    traffic = Traffic(previous.base_url, requests)
    try:
        before = _each(traffic, requests, environment.cache)
        with traffic.stream(requests, EVERY_S, DEADLINE_S) as answers:
            ran = tool.up(revision)
        during = answers()
        after = _each(traffic, requests, environment.cache)
    finally:
        traffic.close()
        _forget(environment.cache)
    return SideBySide(
        revision,
        requests=tuple(_by_request(requests, before, during, after)),
        step_ended="" if ran.succeeded else f"it {ran.ended}",
    )


def _each(traffic: Traffic, requests: Sequence[Request], cache: Cache | None) -> list[Answer]:
    """Each request a few times, without what the cache remembers."""
    _forget(cache)
    return [traffic.send(request, DEADLINE_S) for _ in range(TIMES) for request in requests]


def _by_request(
    requests: Sequence[Request], before: Sequence[Answer], during: Sequence[Answer], after: Sequence[Answer]
) -> Iterator[OldRequest]:
    for name in dict.fromkeys(request.label for request in requests):
        meanwhile = [each for each in during if not each.refused_politely]
        yield OldRequest(name, _of(name, before), _of(name, meanwhile), _of(name, after))


def _of(name: str, answers: Iterable[Answer]) -> Asked:
    own = [each for each in answers if each.request == name]
    failed = [each for each in own if not each.expected]
    said = (f"status {failed[0].status}" if failed[0].status else failed[0].error) if failed else ""
    return Asked(len(own), len(failed), said)


def _fill(database: Database, settings: Settings) -> None:
    """Give every empty table some rows, but the tool's own."""
    declared = settings.explain.rows
    with database.superuser() as admin:
        names = [each.name for each in stand(admin).tables.values() if each.takes_rows]
        others = [name for name in names if not of_the_tool(name, settings.migration)]
        empties = [name for name in others if rows_of(admin, name) == 0]
        generate(
            admin, {name: min(declared_rows(name, declared) or MOST_ROWS, MOST_ROWS) for name in empties}
        )


def _forget(cache: Cache | None) -> None:
    """What is cached would hide what the database refuses, and is of another one than the service's."""
    if cache is not None and cache.origin == "gate":
        empty(cache)
