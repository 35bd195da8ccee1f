"""The hooks of the markers max_queries and explain_budget; registered only where a test has one."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from pytest_prodready.errors import ConfigError
from pytest_prodready.fixtures.session import TARGETS
from pytest_prodready.in_process import explaining, recording, repeated
from pytest_prodready.in_process.marks import EXPLAIN_BUDGET, MAX_QUERIES, most_queries

if TYPE_CHECKING:  # heavy, and only of use to explain_budget
    from pytest_prodready.in_process.budget import Budget

MOST = pytest.StashKey[int | None]()
BUDGET = pytest.StashKey["Budget | None"]()
WRONG = pytest.StashKey[str]()
TITLE = "prodready"


def check(items: Sequence[pytest.Item]) -> None:
    """Read the markers of these tests, so that what is wrong is said before any of them runs.

    A worker of xdist can't end the run; there the test fails, with the same words.
    """
    errors: list[str] = []
    for item in items:
        try:
            item.stash[MOST] = most_queries(item)
            item.stash[BUDGET] = _budget(item)
        except ConfigError as error:
            item.stash[WRONG] = error.message
            errors.append(f"prodready: {error.message}")
    if errors and not hasattr(items[0].config, "workerinput"):
        raise pytest.UsageError(*dict.fromkeys(errors))


def _budget(item: pytest.Item) -> Budget | None:
    if item.get_closest_marker(EXPLAIN_BUDGET) is None:
        return None
    from pytest_prodready.in_process.budget import budget  # noqa: PLC0415 (max_queries needs none of it)

    explaining.listen()  # no sooner: connections are slower from then on
    return budget(item)


def pytest_configure() -> None:
    """Hear of what engines do."""
    recording.listen()


def pytest_unconfigure() -> None:
    """Leave SQLAlchemy as it was."""
    recording.forget()
    explaining.forget()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """In a worker of xdist: say what is wrong with the test's markers."""
    if wrong := item.stash.get(WRONG, None):
        pytest.fail(wrong, pytrace=False)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Record what the test itself runs, and hold it against its markers when it has passed so far."""
    most, limits = item.stash.get(MOST, None), item.stash.get(BUDGET, None)
    with ExitStack() as stack:
        seen = stack.enter_context(recording.recorded()) if most is not None else None
        explained = None if limits is None else _explained(item, limits, stack)
        result = yield
    failures = []
    if seen is not None and most is not None:
        failures.append(_too_many(item, most, seen))
    if limits is not None and explained is not None:
        failures.append(_over_budget(item, limits, explained))
    if text := "\n\n".join(filter(None, failures)):
        pytest.fail(text, pytrace=False)
    return result


def _explained(item: pytest.Item, limits: Budget, stack: ExitStack) -> explaining.Explaining:
    found = explaining.Explaining(_owns(item), limits.count_to)
    stack.enter_context(explaining.explained(found))
    return found


def _too_many(item: pytest.Item, most: int, seen: recording.Recording) -> str:
    """What a test that isn't within max_queries did run."""
    statements = repeated.counted(seen.statements())
    if not statements and most:
        return (
            f"{MAX_QUERIES}({most}): nothing was checked\n  no SQLAlchemy engine of this process ran a query"
            f" during the test (its fixtures don't count); where none is to be run, say {MAX_QUERIES}(0)"
        )
    if len(statements) <= most:
        return ""
    groups = repeated.grouped(statements)
    lines = repeated.told(groups, item.config.rootpath)
    return "\n".join([f"{MAX_QUERIES}({most}): {len(statements)} queries", *lines, *repeated.advice(groups)])


def _over_budget(item: pytest.Item, limits: Budget, explained: explaining.Explaining) -> str:
    from pytest_prodready.in_process.budget import judged  # noqa: PLC0415

    failure, notes = judged(limits, explained, item.config.rootpath)
    if notes:
        item.add_report_section("call", TITLE, notes)
    return failure


def _owns(item: pytest.Item) -> Callable[[Any], bool]:
    """Whether an engine is the one of the fixture prodready_engine, on a server that the gate started."""

    def owns(engine: Any) -> bool:
        given = getattr(item, "funcargs", {}).get("prodready_engine")
        if given is None or getattr(given, "sync_engine", given).pool is not engine.pool:
            return False
        target = item.config.stash[TARGETS].of(item)
        database = None if target is None else target.environment().database
        return database is not None and database.origin == "gate"

    return owns
