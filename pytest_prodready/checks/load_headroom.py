"""Check of the load suite: how much more than the peak the service could take, by its own figures."""

from __future__ import annotations

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.load_words import judged, of_either_model, too_few_users, unmeasured
from pytest_prodready.findings import Finding, Rule
from pytest_prodready.probes.load import Knee, Load
from pytest_prodready.probes.load_busy import short_of_users
from pytest_prodready.probes.load_knee import BEND, TOGETHER, under_way
from pytest_prodready.probes.load_limits import doubts, short_of
from pytest_prodready.settings import LoadSettings


@of_either_model
def has_headroom(seen: Load, limits: LoadSettings) -> Finding:
    """How much more it could take, as far as that can be told from here."""
    rule = RULES["load.has-headroom"]
    if nothing := unmeasured(rule, seen):
        return nothing
    limit = f"{limits.headroom:g} times the peak (advice)"
    short = next((each for each in reversed(seen.climb) if short_of_users(each, limits)), None)
    if short:
        return too_few_users(rule.inconclusive("its limit can't be told", limit=limit), seen, short)
    if seen.knee is None:
        return rule.inconclusive("too few stages to estimate it from", limit=limit)
    if seen.knee.most_per_s is None:
        return _no_sign_of_a_limit(rule, seen, limits, limit)
    return _by_the_knee(rule, seen, seen.knee, limits, limit)


def _by_the_knee(rule: Rule, seen: Load, knee: Knee, limits: LoadSettings, limit: str) -> Finding:
    """Where the curve bends: how far that is from the peak."""
    assert knee.most_per_s is not None
    most, peak = knee.most_per_s, _highest(seen)
    told = (
        f"about {most:.0f}/s is the most by this machine's figures, {most / peak:.1f} times {peak:g}/s"
        f" (contention {knee.alpha:.3f}, coherence {knee.beta:.5f}){_processor(seen)}"
    )
    if most >= limits.headroom * peak:
        return judged(rule, seen, wrong="", told=told, limit=limit)
    if doubt := doubts(seen.generator):
        return rule.inconclusive(f"{told}; but {doubt}", limit=limit)
    return rule.failed(told, limit=limit)


def _no_sign_of_a_limit(rule: Rule, seen: Load, limits: LoadSettings, limit: str) -> Finding:
    """Where no curve bends: what that is worth."""
    none = f"no sign of a limit up to {_highest(seen):g}/s"
    if beyond := next((each for each in seen.climb if not each.good or short_of(each, seen, limits)), None):
        told = f"no curve could be fitted to its times, but at {beyond.name} it missed its limits"
        return rule.inconclusive(f"{told}{_processor(seen)}", limit=limit)
    return judged(rule, seen, wrong="", told=f"{none}: {_worth(seen, limits)}{_processor(seen)}", limit=limit)


def _worth(seen: Load, limits: LoadSettings) -> str:
    """What it is worth that there is no sign of a limit: little where hardly anything was under way."""
    usual, last = seen.climb[0], seen.climb[-1]
    together = max(under_way(each) for each in seen.climb)
    if limits.headroom * under_way(last) <= 1:
        alone = f"even one after the other {1 / last.mean_s:.0f}/s could be served"
        return f"{under_way(last):.2f} requests were under way at once there, so that {alone}"
    if together < TOGETHER:
        return f"only {together:.1f} requests were ever under way at once, too few to fit a curve to"
    if last.mean_s < BEND * usual.mean_s:
        return f"answers take no longer there than at {usual.name} ({together:.1f} were under way at once)"
    return f"what is under way at once ({together:.1f}) is not what makes answers take longer"


def _highest(seen: Load) -> float:
    """The rate that more is wanted than: what the climb came to, or what was planned where it was ended."""
    planned = seen.expected_rps * seen.multiplier if seen.ended or seen.peak is None else 0.0
    return max(planned, *(each.rate for each in seen.climb))


def _processor(seen: Load) -> str:
    peak = seen.climb[-1]
    used = [each for each in seen.usage or () if peak.at_s <= each.at_s <= peak.at_s + peak.seconds]
    if len(used) < 2 or used[-1].at_s <= used[0].at_s:
        return ""
    share = (used[-1].cpu_s - used[0].cpu_s) / (used[-1].at_s - used[0].at_s)
    return f"; it used {share:.0%} of a processor there"
