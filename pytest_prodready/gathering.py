"""What comes together as a session ends: findings, also of other processes; the reports; the exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_prodready.conclusion import PROPERTY, in_kinds
from pytest_prodready.fixtures.session import TARGETS
from pytest_prodready.printable import without_credentials
from pytest_prodready.reports import files, terminal
from pytest_prodready.reports.collect import TargetReport
from pytest_prodready.reports.doubts import doubts
from pytest_prodready.selection import asked_for, distributed, nothing_found
from pytest_prodready.state import SESSION, Session

MISCONFIGURED = pytest.ExitCode.USAGE_ERROR
CUT_SHORT = (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.INTERNAL_ERROR)
ONLY_SHOWN = ("collectonly", "setuponly", "setupplan")  # nothing is run
FAILED = {
    "setup": "its set-up failed",
    "call": "it failed",
    "teardown": "what it made could not be cleared up",
}


class Gatherer:
    """Gathers findings from the reports of tests, which also come from other processes."""

    def __init__(self, state: Session) -> None:
        self._state = state

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the finding that a report carries; make room for pytest's own line."""
        self._state.status.clear()
        found = [str(value) for name, value in report.user_properties if name == PROPERTY]
        if report.when == "call" and found:
            self._state.findings.add(found[0])
        elif report.failed and "readiness" in report.keywords:
            self._state.failures.append(f"{report.nodeid}: {FAILED[str(report.when)]}; pytest tells how")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """What can't be collected isn't checked; workers go on without it, and say so each by itself."""
        if report.failed and asked_for(self._state.config.option.markexpr):
            text = f"{report.nodeid} can't be collected: {_reason(report.longreprtext)}"
            self._state.errors += [text] if text not in self._state.errors else []

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Let the status follow the running test."""
        self._state.status.follow(nodeid)


def worker_ended(config: pytest.Config, output: dict[str, Any]) -> None:
    """Take over a worker's count and errors."""
    state = config.stash[SESSION]
    state.counted += output.get("prodready_counted", 0)
    state.errors += [text for text in output.get("prodready_errors", ()) if text not in state.errors]
    for path, rules in output.get("prodready_chosen", {}).items():
        state.chosen.setdefault(Path(path), set()).update(rules)
    if "prodready_spent" in output:
        state.findings.add_process(output["prodready_spent"])


def hand_over(config: pytest.Config) -> None:
    """In a worker: give its state to the controller, before xdist sends what it sends at the end."""
    output = getattr(config, "workeroutput", None)
    if output is not None:
        output["prodready_counted"] = config.stash[SESSION].counted
        output["prodready_errors"] = config.stash[SESSION].errors
        chosen = config.stash[SESSION].chosen.items()
        output["prodready_chosen"] = {str(path): sorted(rules) for path, rules in chosen}
        output["prodready_spent"] = _spent(config.stash[SESSION])


def _spent(state: Session) -> dict[str, float]:
    return {"work_s": state.lap.seconds, **in_kinds(state.lap)}


def cut_short(session: pytest.Session) -> None:
    """Note, before anything is told, whether the session came to its end."""
    session.config.stash[SESSION].interrupted = session.exitstatus in CUT_SHORT


def finish(session: pytest.Session) -> None:
    """In the controller: write the reports and set the exit code."""
    config = session.config
    state = config.stash[SESSION]
    if hasattr(config, "workerinput"):
        return
    if _found_nothing(state):
        state.errors.append(nothing_found(config))
    state.status.clear()
    if not state.findings.processes:
        state.findings.add_process(_spent(state))
    reports, told = _judged(state)
    for report in reports:
        files.write(report, state.run, told)
    if state.errors:
        session.exitstatus = MISCONFIGURED
    elif told and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _found_nothing(state: Session) -> bool:
    """Whether no worker found anything; of one that was interrupted nobody knows what it had found."""
    asked = distributed(state.config) and asked_for(state.config.option.markexpr)
    return asked and not (state.counted or state.errors or state.interrupted)


def summary(terminalreporter: Any) -> None:
    """Print the table of rules, the details of what isn't passed, and the verdict."""
    state = terminalreporter.config.stash[SESSION]
    reports, told = _judged(state)
    terminal.summary(terminalreporter, reports, state.run, told)
    for known in terminalreporter.config.stash[TARGETS].all():
        if known.kept:
            terminalreporter.write_line(f"prodready: {known.name} is still running, until the next run:")
            for line in known.kept:
                terminalreporter.write_line(f"  {line}")


def _judged(state: Session) -> tuple[tuple[TargetReport, ...], list[str]]:
    """The reports, and why they are no verdict: what kept the gate from judging, or what it left out."""
    reports = state.findings.by_target()
    if state.errors or any(getattr(state.config.option, name, False) for name in ONLY_SHOWN):
        return reports, state.errors
    return reports, doubts(reports, state.chosen, state.failures, interrupted=state.interrupted)


def _reason(text: str) -> str:
    """Why something can't be collected: the first line of the exception, without passwords."""
    lines = text.strip().splitlines()
    told = next(
        (each[1:].strip() for each in lines if each.startswith("E ")), lines[-1].strip() if lines else ""
    )
    return without_credentials(told)


class XdistHooks:
    """Hooks that exist only where xdist is installed."""

    def pytest_configure_node(self, node: Any) -> None:
        """Give each worker the run's id, so that all write into one folder."""
        node.workerinput["prodready_run"] = node.config.stash[SESSION].run

    def pytest_testnodedown(self, node: Any, error: object | None) -> None:
        """Take over what a worker counted and what went wrong there."""
        worker_ended(node.config, getattr(node, "workeroutput", {}))
