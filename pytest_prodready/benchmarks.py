"""The hooks of the benchmarks: what pytest-benchmark compares fails the test that got slower, by itself."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from pytest_prodready.errors import ConfigError, ProdreadyError
from pytest_prodready.names import BENCHMARK_MARK

LIBRARY, SESSION = "benchmark", "pytest-benchmark"  # its plugin, and the object with its results
FAIL = "--benchmark-compare-fail"
KEEP = f"pytest -m {BENCHMARK_MARK} --benchmark-autosave keeps some, for --benchmark-compare"
FAILED = pytest.StashKey[int]()


def check(config: pytest.Config) -> None:
    """Refuse what could not be timed or compared, before anything starts; raises ConfigError."""
    if not config.pluginmanager.hasplugin(LIBRARY):
        raise ConfigError(
            "pytest-benchmark isn't there, which times the benchmarks",
            source=f"-m {BENCHMARK_MARK}",
            remedy="install it: pip install 'pytest-prodready[load]'",
        )
    if config.getoption("dist", "no") != "no":
        raise ConfigError(
            "benchmarks beside each other would time each other",
            value=f"-n {config.getoption('numprocesses', None)}",
            source=f"-m {BENCHMARK_MARK}",
            remedy="leave out -n, or say -n 0",
        )
    session = config.pluginmanager.getplugin(SESSION)
    if session.compare_fail and not session.compared_mapping:
        raise ConfigError(
            "there are no earlier benchmarks to compare with",
            source=FAIL,
            tried=[f"{session.compare or 'no --benchmark-compare'} in {session.storage}"],
            remedy=KEEP,
        )


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse to compare where no benchmark has an earlier time: that would pass whatever it sees."""
    timed = {item.nodeid for item in session.items if item.get_closest_marker(BENCHMARK_MARK)}
    library: Any = session.config.pluginmanager.getplugin(SESSION)
    if not timed or not library.compare_fail:
        return
    known = {name for earlier in library.compared_mapping.values() for name in earlier}
    if not timed & known:
        error = ConfigError(
            "none of these benchmarks is among the earlier ones",
            value=", ".join(sorted(timed)),
            source=FAIL,
            tried=[f"{path}: {', '.join(sorted(names))}" for path, names in library.compared_mapping.items()],
            remedy=KEEP,
        )
        raise pytest.UsageError(f"prodready: {error.message}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    """What can't be timed says why."""
    with _told(item):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a benchmark that got slower than was asked for, or could not be timed."""
    with _told(item):
        result = yield
    if slower := list(_slower(item)):
        stash = item.config.stash
        stash[FAILED] = stash.get(FAILED, 0) + len(slower)
        pytest.fail("\n".join(slower), pytrace=False)
    return result


@pytest.hookimpl(tryfirst=True)
def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What a test has said of itself needn't end the session, with a traceback of pytest-benchmark's."""
    config = terminalreporter.config
    session = config.pluginmanager.getplugin(SESSION)
    if session is not None and len(session.performance_regressions) == config.stash.get(FAILED, 0):
        session.performance_regressions.clear()


@contextmanager
def _told(item: pytest.Item) -> Iterator[None]:
    """An error of a benchmark in its own words, without a traceback."""
    try:
        yield
    except ProdreadyError as error:
        if item.get_closest_marker(BENCHMARK_MARK) is None:
            raise
        pytest.fail(error.message, pytrace=False)


def _slower(item: pytest.Item) -> Iterator[str]:
    """What pytest-benchmark's own checks say of this test."""
    session: Any = item.config.pluginmanager.getplugin(SESSION)
    if item.get_closest_marker(BENCHMARK_MARK) is None or not session.compare_fail:
        return
    timed = getattr(item, "funcargs", {}).get("benchmark")  # a test with the mark may time nothing
    now: Any = timed.stats if timed is not None else None
    for path, earlier in session.compared_mapping.items():
        before = earlier.get(item.nodeid, {}).get("stats")
        for each in session.compare_fail if before and now else ():
            if each.fails(now, before):
                took, took_then = 1000 * now[each.field], 1000 * before[each.field]
                times = f"{took / took_then:.2f} times; " if took_then else ""
                yield (
                    f"{item.name} got slower: {each.field} {took:.3f} ms, {took_then:.3f} ms in {path}"
                    f" ({times}{FAIL})"
                )
