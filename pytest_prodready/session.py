"""The gate's state in one pytest session, and what each hook does with it."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from types import FrameType

import pytest

from pytest_prodready import benchmarks
from pytest_prodready.configuration import load
from pytest_prodready.environment import placeholders
from pytest_prodready.environment.recipe import check_command
from pytest_prodready.environment.select import Choice, choose
from pytest_prodready.errors import ConfigError, ProdreadyError
from pytest_prodready.findings import Finding, Rule
from pytest_prodready.fixtures import load_file
from pytest_prodready.fixtures.session import TARGETS, Targets
from pytest_prodready.gathering import Gatherer, XdistHooks
from pytest_prodready.names import BENCHMARK_MARK, FILE_NAME
from pytest_prodready.options import SAVING_RULE, Options, read_options
from pytest_prodready.probes.load_locustfile import check_locustfile
from pytest_prodready.records import Record, new_run_id
from pytest_prodready.reports import terminal
from pytest_prodready.reports.status import StatusLine
from pytest_prodready.selection import (
    asked_for,
    benchmarks_wanted,
    distributed,
    named_paths,
    named_targets,
    nothing_found,
)
from pytest_prodready.settings import Settings
from pytest_prodready.state import SESSION, Session
from pytest_prodready.suite import rule_of
from pytest_prodready.target import EnvironmentBroken, Target, Unmeasured
from pytest_prodready.verdicts import bypassed, lacking

KNOWN_ENOUGH = 0.8  # of the rules, for a forecast
STARTING_S = 5.0
NOT_STARTED = "the environment could not be started; the reason is said below"


def configure(config: pytest.Config) -> None:
    """Make the session's state; nothing is read or started yet."""
    worker = getattr(config, "workerinput", None)
    run = new_run_id() if worker is None else worker["prodready_run"]
    state = Session(config, run, StatusLine(enabled=worker is None and asked_for(config.option.markexpr)))
    config.stash[SESSION] = state
    config.stash[TARGETS] = Targets(lambda path: _make_target(state, path), config.rootpath)
    if worker is None:
        config.pluginmanager.register(Gatherer(state), "prodready-gatherer")
    if config.pluginmanager.hasplugin("xdist") and worker is None:
        config.pluginmanager.register(XdistHooks(), "prodready-xdist")
    if asked_for(config.option.markexpr) and worker is None and config.option.verbose == 0:
        config.option.verbose = 1  # a line for each rule


def _make_target(state: Session, path: Path) -> Target:
    options = state.options or read_options(state.config)
    settings = load(path, profile=options.profile, variables=os.environ, assignments=options.assignments)
    placeholders.check(settings)
    check_command(settings.service, path.parent)
    check_locustfile(settings.load, path.parent, options)
    load_file.check(options, settings)
    choice = _choice(options, settings)
    record = Record.of(path.parent, state.run)
    return Target(path, settings, options, choice, record, state.status.update)


def _choice(options: Options, settings: Settings) -> Choice:
    """The backend that fits; while recorded measurements are judged, the one that they were made on."""
    if options.judge is not None:
        return Choice(str(Record(options.judge).read_run()["backend"]), "as recorded")
    return choose(options.backend, settings)


def unconfigure(config: pytest.Config) -> None:
    """Stop what is left (a session may have ended anywhere), and forget the state."""
    state = config.stash.get(SESSION, None)
    if state is None:
        return
    stop_all(config)
    state.status.close()
    if state.previous_sigterm is not None:
        signal.signal(signal.SIGTERM, state.previous_sigterm)
        state.previous_sigterm = None


def check(config: pytest.Config) -> None:
    """Read options and every named target now, so that what is wrong is said before anything starts."""
    state = config.stash[SESSION]
    relevant = asked_for(config.option.markexpr) or any(p.name == FILE_NAME for p in named_paths(config))
    if not relevant:
        return
    try:
        state.options = read_options(config)
        for path in named_targets(config):
            config.stash[TARGETS].at(path)
        if benchmarks_wanted(config):
            benchmarks.check(config)
    except ConfigError as error:
        if hasattr(config, "workerinput"):
            return  # the controller has said it
        raise pytest.UsageError(f"prodready: {error.message}") from None
    _end_cleanly_on_sigterm(state)


def usable(config: pytest.Config, path: Path) -> bool:
    """Whether this prodready.toml can be read; what is wrong with it is kept for raise_collected_errors."""
    try:
        config.stash[TARGETS].at(path)
    except ConfigError as error:
        config.stash[SESSION].errors.append(error.message)
        return False
    return True


def raise_collected_errors(config: pytest.Config) -> None:
    """End the collection where a prodready.toml that was found on the way isn't right."""
    errors = config.stash[SESSION].errors
    if errors and not hasattr(config, "workerinput"):
        raise pytest.UsageError(*[f"prodready: {text}" for text in errors])


def check_saving(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse to run where --prodready-load-save was given and nothing that is to be run keeps a load."""
    state = config.stash[SESSION]
    if state.options is None or config.getoption("prodready_load_save") is None:
        return  # a variable may be there for another run of the same job
    assert state.options.load_save is not None
    rules = ((item, rule) for item in items if (rule := rule_of(item)) and rule.id == SAVING_RULE)
    try:
        untried = [_untried(target(item), rule) for item, rule in rules]
        load_file.check_saving(state.options.load_save, [each.summary if each else "" for each in untried])
    except ConfigError as error:
        if not hasattr(config, "workerinput"):
            raise pytest.UsageError(f"prodready: {error.message}") from None
        state.errors.append(error.message)
        items.clear()


def header(config: pytest.Config) -> list[str]:
    """A line for each target that is known by now, and one for what it will run on."""
    if not (asked_for(config.option.markexpr) or any(p.name == FILE_NAME for p in named_paths(config))):
        return []
    return [line for target in config.stash[TARGETS].all() for line in terminal.header(target)]


def count(session: pytest.Session) -> None:
    """Count what was collected for readiness; none at all is an error."""
    state = session.config.stash[SESSION]
    marks = ("readiness", BENCHMARK_MARK)
    state.counted = sum(any(item.get_closest_marker(mark) for mark in marks) for item in session.items)
    targets = session.config.stash[TARGETS]
    for item in session.items:
        if rule_of(item) is not None and (path := targets.file_for(item.path)) is not None:
            state.chosen.setdefault(path, set()).add(item.nodeid)
    if not asked_for(session.config.option.markexpr) or state.counted or session.testsfailed:
        return
    if session.config.option.keyword or hasattr(session.config, "workerinput") or distributed(session.config):
        return
    if session.config.getoption("lf", False):
        return
    raise pytest.UsageError(f"prodready: {nothing_found(session.config)}")


def expectation(config: pytest.Config, items: list[pytest.Item]) -> list[str]:
    """How long these rules took last time, if most of them are known."""
    state = config.stash[SESSION]
    known: dict[str, float] = {}
    for each in config.stash[TARGETS].all():
        known |= each.record.durations_before()
    rules = [item.nodeid for item in items if rule_of(item) is not None]
    seconds = [known[nodeid] for nodeid in rules if nodeid in known]
    if not rules or len(seconds) < KNOWN_ENOUGH * len(rules):
        return []
    state.status.expect(sum(seconds) + STARTING_S)
    return [f"prodready: these {len(rules)} rules took {sum(seconds):.0f} s when they were last run"]


def target(item: pytest.Item) -> Target:
    """The target of a rule's test; raises ConfigError when there is none."""
    found = item.config.stash[TARGETS].of(item)
    if found is None:
        raise ConfigError(f"there is no {FILE_NAME} for this test", source=str(item.path))
    return found


def begin(item: pytest.Item) -> ProdreadyError | None:
    """Start the target's environment before its first rule, if any of its rules can be tried.

    So what keeps it from starting is said once and first. Returns that error, also for the later rules.
    """
    mine = target(item)
    if mine.begun or mine.options.judge is not None:
        return mine.broken
    mine.begun = True
    targets = item.config.stash[TARGETS]
    rules = [rule_of(each) for each in item.session.items if targets.file_for(each.path) == mine.path]
    if any(rule is not None and _untried(mine, rule) is None for rule in rules):
        try:
            mine.environment()
        except EnvironmentBroken as failure:
            return failure.error
    return None


def early(item: pytest.Item, rule: Rule) -> Finding | None:
    """The finding of a rule that isn't tried; None for one that is."""
    mine = target(item)
    mine.progress(rule.id)
    return _untried(mine, rule)


def _untried(mine: Target, rule: Rule) -> Finding | None:
    return bypassed(rule, mine.settings) or lacking(rule, mine.planned_capabilities())


def set_up_failed(item: pytest.Item, rule: Rule, failure: Exception) -> Finding:
    """The finding of a rule whose measurement, or another of its fixtures, failed."""
    if isinstance(failure, Unmeasured):
        return rule.inconclusive(str(failure))
    text = failure.message if isinstance(failure, ProdreadyError) else f"{type(failure).__name__}: {failure}"
    return rule.inconclusive(f"the set-up failed: {target(item).redacted(text.splitlines()[0])}")


def crashed(mine: Target, rule: Rule, failure: Exception) -> Finding:
    """The finding of a rule whose check failed."""
    return rule.inconclusive(f"the check failed: {mine.traced(f'checks/{rule.id}.error.txt', failure)}")


def stop_target(item: pytest.Item, error: ProdreadyError) -> None:
    """Note why a target's environment could not be started, and run nothing more of it."""
    state = item.config.stash[SESSION]
    if error.message not in state.errors:
        state.errors.append(error.message)
    if len(item.config.stash[TARGETS].all()) == 1:
        item.session.shouldstop = NOT_STARTED


def leave(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Stop the environment of a target when the next test belongs to another one."""
    targets = item.config.stash[TARGETS]
    mine = targets.file_for(item.path)
    if mine is None or (nextitem is not None and targets.file_for(nextitem.path) == mine):
        return
    for known in targets.all():
        if known.path == mine:
            known.stop()


def stop_all(config: pytest.Config) -> None:
    """Stop every environment of this process."""
    for known in config.stash[TARGETS].all():
        known.stop()


def _end_cleanly_on_sigterm(state: Session) -> None:
    """Turn SIGTERM into the same orderly end that Ctrl-C has; pytest alone would die at once."""
    if threading.current_thread() is not threading.main_thread():
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt("SIGTERM")

    state.previous_sigterm = signal.signal(signal.SIGTERM, interrupt)
