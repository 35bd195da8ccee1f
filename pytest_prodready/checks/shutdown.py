"""Judge an instance that got SIGTERM."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.health_words import outcome, seconds
from pytest_prodready.findings import Finding
from pytest_prodready.probes.shutdown import Sent, Termination
from pytest_prodready.probes.shutdown_held import Held
from pytest_prodready.probes.shutdown_ledger import Ledger
from pytest_prodready.settings import HealthSettings

EDGE_S = 0.05  # a request sent at the very end of the drain window may meet a listener that closes on time


def finishes_requests(seen: Held) -> Finding:
    """Every request that was being served at SIGTERM gets its answer."""
    rule = RULES["health.shutdown-finishes-requests"]
    limit = "every request in flight at SIGTERM answered as declared"
    if not seen.control or not all(each.expected for each in seen.control):
        told = _outcomes(seen.control) or "nothing"
        return rule.inconclusive(f"a request held by a lock for a moment got {told} even without SIGTERM")
    if not seen.in_flight:
        return rule.inconclusive("no request was seen waiting in the database when SIGTERM was sent")
    in_flight = [each for each in seen.in_flight if each.at_s + each.seconds > 0]
    if not in_flight:
        return rule.inconclusive(f"all {len(seen.in_flight)} requests were answered before SIGTERM")
    cut = [each for each in in_flight if not each.expected]
    summary = f"{len(in_flight)} requests in flight at SIGTERM: {_outcomes(in_flight)}"
    queued = f"; {len(seen.queued)} more still queued: {_outcomes(seen.queued)}" if seen.queued else ""
    if cut:
        return rule.failed(f"{summary} ({len(cut)} cut off){queued}", limit=limit)
    return rule.passed(f"{summary}{queued}", limit=limit)


def drains(seen: Termination, limits: HealthSettings) -> Finding:
    """New connections are served for as long as the orchestrator may still send them."""
    rule = RULES["health.shutdown-drains"]
    limit = f"new connections served for {limits.drain_s:g} s after SIGTERM"
    wanted = {"drain_s": limits.drain_s}
    if limits.drain_s == 0:
        return rule.passed("no drain window is asked for ([health] drain_s = 0)", limit=limit, limits=wanted)
    well = _always_served(seen.sent)
    if not well:
        told = _outcomes([each for each in seen.sent if each.at_s < 0]) or "nothing was sent"
        return rule.inconclusive(f"no declared request was served before SIGTERM: {told}")
    window = [each for each in seen.sent if 0 <= each.at_s <= limits.drain_s and each.request in well]
    if not window:
        return rule.inconclusive("no request was sent in the drain window")
    lost = [each for each in window if not each.expected and each.at_s < limits.drain_s - EDGE_S]
    summary = f"{len(window)} requests on new connections in the {limits.drain_s:g} s after SIGTERM"
    if lost:
        first = seconds(min(each.at_s for each in lost))
        summary = f"{summary}: {len(lost)} not served, the first {first} after it ({_outcomes(lost)})"
        return rule.failed(summary, limit=limit, limits=wanted)
    return rule.passed(f"{summary}: all served", limit=limit, limits=wanted)


def in_time(seen: Termination, limits: HealthSettings) -> Finding:
    """The whole process group is gone within the grace period."""
    rule = RULES["health.shutdown-in-time"]
    limit = f"gone within {limits.grace_s:g} s"
    wanted = {"grace_s": limits.grace_s}
    end = seen.exit
    if not end.processes:
        return rule.inconclusive("the instance had ended before it got SIGTERM", limit=limit, limits=wanted)
    if end.main_gone_s is None:
        summary = (
            f"still alive {seconds(end.waited_s)} after SIGTERM ({end.left} of {end.processes} processes)"
        )
        return rule.failed(summary, limit=limit, limits=wanted)
    if end.all_gone_s is None:
        summary = (
            f"the main process was gone after {seconds(end.main_gone_s)}, but {end.left} of {end.processes} "
            f"processes were still alive {seconds(end.waited_s)} after SIGTERM"
        )
        change = (
            "Pass SIGTERM on to children and wait for them; start the server with exec, not under a shell."
        )
        return rule.failed(summary, limit=limit, limits=wanted, change=change)
    summary = f"gone {seconds(end.all_gone_s)} after SIGTERM under traffic"
    if end.all_gone_s > limits.grace_s:
        return rule.failed(summary, limit=limit, limits=wanted)
    return rule.passed(summary, limit=limit, limits=wanted)


def leaves_no_backend(seen: Held) -> Finding:
    """No backend of the instance outlives it."""
    rule = RULES["health.shutdown-leaves-no-backend"]
    limit = "no backend of the instance after its end"
    if not seen.backends:
        return rule.inconclusive("the instance was not seen to have any backend before SIGTERM", limit=limit)
    if seen.left:
        states = Counter(each.state for each in seen.left)
        told = ", ".join(f"{number} x {state}" for state, number in states.most_common())
        summary = (
            f"{len(seen.left)} of {seen.backends} backends left {seconds(seen.looked_for_s)} after the end"
        )
        if not seen.whose_is_known:
            return rule.inconclusive(
                f"{summary}: {told}; nobody can tell whether they are another instance's",
                limit=limit,
            )
        return rule.failed(f"{summary}: {told}", limit=limit)
    return rule.passed(
        f"{seen.backends} backends before SIGTERM, none {seconds(seen.looked_for_s)} after the end",
        limit=limit,
    )


def writes_survive(seen: Termination) -> Finding:
    """Every acknowledged write is found again."""
    rule = RULES["health.writes-survive-sigterm"]
    ledger = seen.ledger
    if ledger is None:
        return rule.inconclusive("no writes are configured")
    if doubt := _doubt(ledger):
        return rule.inconclusive(doubt)
    summary = (
        f"{len(ledger.acknowledged)} writes acknowledged ({ledger.acknowledged_after_signal} after SIGTERM), "
        f"{len(ledger.refused)} refused, {len(ledger.unknown)} unknown: {len(ledger.lost)} lost"
    )
    limit = "every acknowledged write found again"
    if ledger.lost:
        return rule.failed(summary, limit=limit)
    if ledger.unreadable:
        return rule.inconclusive(f"{len(ledger.unreadable)} acknowledged writes could not be read back")
    return rule.passed(summary, limit=limit)


def _doubt(ledger: Ledger) -> str:
    control = ledger.control
    if not control.found:
        return (
            "a write could not be read back even before SIGTERM: "
            f"create answered {outcome(control.created)}, read_back {outcome(control.read)} without its token"
        )
    if not ledger.acknowledged:
        return "no write was acknowledged around SIGTERM"
    return ""


def _always_served(sent: Sequence[Sent]) -> set[str]:
    """The requests that were served each time before the signal, as far as they had the time to be."""
    before = [each for each in sent if each.at_s + each.seconds < 0]
    return {each.request for each in before} - {each.request for each in before if not each.expected}


def _outcomes(sent: Sequence[Sent]) -> str:
    count = Counter(outcome(each.status, each.error) for each in sent)
    return ", ".join(f"{number} x {what}" for what, number in count.most_common())
