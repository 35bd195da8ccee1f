"""The hooks through which pytest runs the gate; registered only where it was asked for."""

from __future__ import annotations

import importlib
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from pytest_prodready import benchmarks, gathering
from pytest_prodready import session as gate
from pytest_prodready.catalogue import SUITES
from pytest_prodready.collection import TargetFile, in_target_file, without_twins
from pytest_prodready.conclusion import CONCLUDED, STARTED, conclusion
from pytest_prodready.errors import ProdreadyError
from pytest_prodready.findings import Finding
from pytest_prodready.fixtures import benchmark, rules
from pytest_prodready.fixtures.session import TARGETS
from pytest_prodready.names import FILE_NAME
from pytest_prodready.reports.terminal import Word, verdict_word
from pytest_prodready.selection import (
    add_target,
    asked_for,
    benchmarks_wanted,
    named_paths,
    starts_servers,
)
from pytest_prodready.stopwatch import MEASURING, Lap, spent
from pytest_prodready.suite import rule_of
from pytest_prodready.target import EnvironmentBroken

EARLY = pytest.StashKey[Finding | None]()


def pytest_configure(config: pytest.Config) -> None:
    """Register the fixtures of the suites, make the session's state, and add the target to the arguments."""
    config.pluginmanager.register(rules, "prodready-rules")
    for suite in SUITES:
        module = importlib.import_module(f"pytest_prodready.fixtures.{suite}")
        config.pluginmanager.register(module, f"prodready-{suite}")
    if benchmarks_wanted(config):
        config.pluginmanager.register(benchmark, "prodready-benchmark")
        config.pluginmanager.register(benchmarks, "prodready-benchmarks")
    gate.configure(config)
    if asked_for(config.option.markexpr):
        add_target(config)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop whatever is still running, and forget the session."""
    gate.unconfigure(config)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say which target, which backend and why, which versions."""
    return gate.header(config)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Refuse a wrong option or prodready.toml before anything is collected or started."""
    gate.check(session.config)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> TargetFile | None:
    """Collect prodready.toml where readiness was asked for, or where it was named."""
    config = parent.config
    if file_path.name != FILE_NAME:
        return None
    if not asked_for(config.option.markexpr) and file_path not in named_paths(config):
        return None
    if not gate.usable(config, file_path):
        return None
    return TargetFile.from_parent(parent, path=file_path)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None, None, None]:
    """Keep each rule once, and none that nobody asked for; a user's own gate tests wait to be asked too."""
    gate.raise_collected_errors(config)
    targets = config.stash[TARGETS]
    files = {item.nodeid: targets.file_for(item.path) for item in items}
    kept = without_twins(items, files)
    if not asked_for(config.option.markexpr):  # a prodready.toml was named: only its own rules are meant
        kept = [item for item in kept if rule_of(item) is None or in_target_file(item)]
    for item in kept:
        if starts_servers(item):
            item.add_marker(pytest.mark.readiness)
    chosen = {id(item) for item in kept}
    if dropped := [item for item in items if id(item) not in chosen]:
        config.hook.pytest_deselected(items=dropped)
        items[:] = kept
    yield
    gate.check_saving(config, items)  # by now nothing more is deselected


def pytest_report_collectionfinish(config: pytest.Config, items: list[pytest.Item]) -> list[str]:
    """Say how long it will take, where an earlier run knows."""
    return gate.expectation(config, items)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Fail where readiness was asked for and nothing was found: checking nothing is never a pass."""
    gate.count(session)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """Conclude early what can't be tried; a set-up that fails makes a rule inconclusive, not an error."""
    item.stash[STARTED] = Lap()
    rule = rule_of(item)
    broken: ProdreadyError | None = None
    if rule is not None and not (broken := gate.begin(item)):
        item.stash.setdefault(EARLY, gate.early(item, rule))
    if broken or item.stash.get(EARLY, None):
        item.fixturenames = []  # type: ignore[attr-defined]  # nothing is set up for what isn't tried
    try:
        yield
    except EnvironmentBroken as failure:
        broken = failure.error
    except Exception as failure:
        if rule is None:
            raise
        item.stash[EARLY] = gate.set_up_failed(item, rule, failure)
    if broken and rule is None:
        gate.stop_target(item, broken)
        pytest.fail(gate.NOT_STARTED, pytrace=False)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Run a rule's test; one that crashes or concludes nothing is inconclusive."""
    rule = rule_of(pyfuncitem)
    if rule is None:
        with spent(MEASURING):
            return (yield)
    target = gate.target(pyfuncitem)
    if target.broken is not None:
        gate.stop_target(pyfuncitem, target.broken)
        pytest.fail(gate.NOT_STARTED, pytrace=False)
    if early := pyfuncitem.stash.get(EARLY, None):
        conclusion(pyfuncitem, target, early)
        return True
    try:
        result = yield
    except Exception as failure:
        conclusion(pyfuncitem, target, gate.crashed(target, rule, failure))
        return True
    if CONCLUDED not in pyfuncitem.stash:
        conclusion(pyfuncitem, target, rule.inconclusive("the test concluded nothing"))
    return result


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Stop a target's environment when its last test has ended."""
    gate.leave(item, nextitem)


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, None, None]:
    """Stop everything, write the reports, and set the exit code."""
    gate.stop_all(session.config)
    gathering.cut_short(session)
    gathering.hand_over(session.config)
    try:
        return (yield)
    finally:
        gathering.finish(session)


def pytest_report_teststatus(report: pytest.TestReport) -> Word | None:
    """Call a verdict by its name; what isn't known is told in the summary, not as a wall of failures."""
    return verdict_word(report)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Tell what was found."""
    gathering.summary(terminalreporter)
