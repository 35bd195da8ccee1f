"""Check of the load suite: what the peak leaves behind in the usual load."""

from __future__ import annotations

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.load_users import users_left_too_soon
from pytest_prodready.checks.load_words import (
    as_far_as_it_went,
    by_enough_users,
    judged,
    kinds,
    of_either_model,
    unmeasured,
    without_a_peak,
)
from pytest_prodready.findings import Finding, Rule
from pytest_prodready.probes.load import Load, Stage
from pytest_prodready.probes.load_limits import slow_by_itself, too_many_errors, unsettled
from pytest_prodready.probes.load_recovery import in_time, recovered_at, relapsed, settled_after_s
from pytest_prodready.settings import LoadSettings


@of_either_model
@by_enough_users
def recovers(seen: Load, limits: LoadSettings) -> Finding:
    """The usual load is soon served after the peak as before it."""
    rule = RULES["load.recovers"]
    if nothing := unmeasured(rule, seen):
        return nothing
    if seen.multiplier <= 1:
        return without_a_peak(rule)
    again, limit = seen.again, _recovered_words(limits)
    if again is None or (seen.usual is None or seen.usual.response is None):
        return rule.inconclusive("the usual load was not tried before and after the peak", limit=limit)
    if seen.same_process is False:
        when = "at the usual load after the peak" if seen.died_in else "soon after the last request"
        return rule.failed(f"the service's process ended {when}", limit=limit)
    if not in_time(seen, limits):
        return _not_recovered(rule, seen, again, limits)
    return _settled(rule, seen, again, limits)


def _settled(rule: Rule, seen: Load, again: Stage, limits: LoadSettings) -> Finding:
    """What comes after a recovery in time: the usual load within its limits for long, or not."""
    limit = _recovered_words(limits)
    if seen.settled and (late := unsettled(seen, limits)):
        failed = f": {kinds(seen.settled.failed)}" if seen.settled.failed else ""
        wrong = f"from {settled_after_s(limits):g} s after the peak on {late}{failed}"
        firm, own = too_many_errors(seen.settled, limits), slow_by_itself(seen.settled, limits)
        return judged(rule, seen, wrong=wrong, told="", limit=limit, firm=firm, own=own)
    told = f"as before {_since_the_peak(recovered_at(seen, limits), again)}: {_before_and_after(seen)}"
    return as_far_as_it_went(rule, seen, told, limit, needs_more=True)


def _recovered_words(limits: LoadSettings) -> str:
    return f"as before within {limits.recover_within_s:g} s (known to the second), and from then on"


def _not_recovered(rule: Rule, seen: Load, again: Stage, limits: LoadSettings) -> Finding:
    """Too late, not for good, or never; open where the users of a locustfile had left."""
    at_s, first, limit = recovered_at(seen, limits), relapsed(seen, limits), _recovered_words(limits)
    if at_s is None and (why := users_left_too_soon(again, seen, limits)):
        return rule.inconclusive(f"the usual load was hardly tried after the peak: {why}", limit=limit)
    if first and first[0] != at_s:
        since = _since_the_peak(first[0], again)
        wrong = f"as before {since}, but not for good: {first[1]} seconds after that were not"
    elif at_s is None:
        wrong = f"{again.seconds:.0f} s after the peak it was not as before"
    else:
        wrong = f"as before {_since_the_peak(at_s, again)}"
    wrong += f": {_before_and_after(seen)}" + (f", {kinds(again.failed)}" if again.failed else "")
    return judged(rule, seen, wrong=wrong, told="", limit=limit, own=slow_by_itself(again, limits))


def _since_the_peak(at_s: float | None, again: Stage) -> str:
    return f"{max(0.0, (at_s or 0.0) - again.at_s):.0f} s after the peak"


def _before_and_after(seen: Load) -> str:
    usual, again = seen.usual, seen.again
    before = usual.response.p95.high_ms if usual and usual.response else 0.0
    now = f"{again.response.p95.ms:.0f} ms" if again and again.response else "no answer"
    return f"p95 {before:.0f} ms before, {now} afterwards"
