"""Check of the load suite: a run against an earlier one, by what a server that does nothing took in both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.load_words import at, judged, unmeasured
from pytest_prodready.findings import Finding, Verdict
from pytest_prodready.probes.load import SELF_TEST, Interval, Load, Stage
from pytest_prodready.probes.load_baseline import Baseline, differences, measured
from pytest_prodready.probes.load_limits import disturbed
from pytest_prodready.settings import LoadSettings

RULE = RULES["load.no-slower-than-before"]
JUDGED = ("p50", "p95")  # a stage has too few requests for its p99 to be the same twice
SAVE = "pytest -m load --prodready-load-save=prodready.load.json"
COMPARE = "--prodready-load-compare"
ANEW = f"If it has to be so, keep a run of today to compare with: {SAVE}"
ALONE = "Load it once more, while nothing else uses this machine."
NAMED = 3
LEAST_MS = 0.001


@dataclass(frozen=True, slots=True)
class Expected:
    """How many times as long as before something may take, since this may be another machine."""

    surely: float
    at_most: float


@dataclass(frozen=True, slots=True)
class Pair:
    """One percentile of one stage in both runs."""

    stage: Stage
    name: str
    now: Interval
    before: Interval
    expected: Expected
    disturbed: str  # what others did meanwhile
    itself: Interval | None  # less all that the machine may have added; None: not known

    @property
    def times(self) -> float:
        """How many times as long as before it took."""
        return self.now.ms / max(self.before.ms, LEAST_MS)

    def slower(self, limits: LoadSettings) -> bool:
        """Whether neither the machine, nor others on it, nor chance explains it."""
        return self._apart(self.now, limits) and (not self.disturbed or self.by_itself(limits))

    def by_itself(self, limits: LoadSettings) -> bool:
        """Whether it is so without all that the machine may have added."""
        return self.itself is not None and self._apart(self.itself, limits)

    def open(self, limits: LoadSettings) -> bool:
        """Whether something explains it, or nothing does: both may be."""
        return self._beyond(self.now, self.expected.surely, limits)

    def why_open(self, limits: LoadSettings) -> str:
        """What may explain it."""
        if self.disturbed:
            return self.disturbed
        if self._beyond(self.now, self.expected.at_most, limits):
            return "too close to tell it from chance"
        if self.expected.surely < 1:
            return "this machine is the quicker one, and what is waited for may take its time on any"
        return "how much slower this machine is isn't known well enough"

    def _apart(self, seen: Interval, limits: LoadSettings) -> bool:
        most = self.expected.at_most
        return self._beyond(seen, most, limits) and seen.low_ms > most * self.before.high_ms

    def _beyond(self, seen: Interval, expected: float, limits: LoadSettings) -> bool:
        as_before_ms = expected * self.before.ms
        return seen.ms > max(limits.slower * as_before_ms, as_before_ms + limits.slower_ms)


def no_slower_than_before(seen: Load, limits: LoadSettings, earlier: Baseline) -> Finding:
    """No stage takes much longer than in the earlier run; this one is kept where that was asked for."""
    finding = unmeasured(RULE, seen) or _compared(seen, limits, earlier)
    if earlier.unkept and finding.verdict is not Verdict.FAILED:
        compared = f"; {finding.summary}" if earlier.found else ""
        told = f"this run is not kept: {earlier.unkept}{compared}"
        return RULE.inconclusive(told, limit=finding.limit, change=ALONE)
    kept = f"this run is kept in {earlier.kept}; " if earlier.kept else ""
    return replace(finding, summary=kept + finding.summary)


def _compared(seen: Load, limits: LoadSettings, earlier: Baseline) -> Finding:
    if not earlier.found:
        next_ = (
            f"{COMPARE}={earlier.kept} holds later ones against it" if earlier.kept else f"{SAVE} keeps one"
        )
        return RULE.unverified(f"no earlier run was named to compare with: {next_}")
    limit = f"{limits.slower:g} times as long as in {earlier.path}, and {limits.slower_ms:g} ms more"
    now = measured(seen)
    whole = seen.peak is not None and not seen.ended
    if unlike := list(differences(earlier, now, whole=whole)):
        told = f"it isn't the load of {earlier.path}: {'; '.join(unlike[:NAMED])}"
        return RULE.inconclusive(told, limit=limit, change=ANEW)
    if silent := _silent(seen, now, earlier):
        return RULE.inconclusive(silent, limit=limit)
    pairs = list(_pairs(seen, now, earlier))
    wrong = [pair for pair in pairs if pair.slower(limits)]
    unsure = [pair for pair in pairs if pair.open(limits)]
    if unsure and not wrong:
        pair = max(unsure, key=_times)
        return RULE.inconclusive(f"{_told(pair, now, earlier)}; {pair.why_open(limits)}", limit=limit)
    told = _told(max(wrong, key=_times) if wrong else pairs[-1], now, earlier)
    own = next((_own(pair) for pair in wrong if pair.by_itself(limits)), "")
    finding = judged(RULE, seen, wrong=told if wrong else "", told=told, limit=limit, own=own)
    return replace(finding, change=f"{RULE.remedy} {ANEW}") if wrong else finding


def _silent(seen: Load, now: Baseline, earlier: Baseline) -> str:
    """Where nothing was answered, in either run."""
    for name in (SELF_TEST, *(stage.name for stage in seen.climb)):
        for run, where in ((now, "in this run"), (earlier, f"in {earlier.path}")):
            if not run.response(name):
                return f"nothing was answered in stage {name} {where}"
    return ""


def _pairs(seen: Load, now: Baseline, earlier: Baseline) -> Iterator[Pair]:
    here, there = now.response(SELF_TEST), earlier.response(SELF_TEST)
    for stage in seen.climb:
        for name in JUDGED:
            yield Pair(
                stage,
                name,
                now.response(stage.name)[name],
                earlier.response(stage.name)[name],
                _expected(here, there, name),
                disturbed(seen, stage),
                None if stage.undisturbed is None else getattr(stage.undisturbed, name),
            )


def _expected(here: Mapping[str, Interval], there: Mapping[str, Interval], name: str) -> Expected:
    """A slower machine is known by the same percentile; a quicker one by the median, which is moved least."""
    low, high = _times_as_long(here[name], there[name])
    _, quicker = _times_as_long(here["p50"], there["p50"])
    return Expected(surely=low if low > 1 else min(1.0, quicker), at_most=max(1.0, high))


def _times_as_long(here: Interval, there: Interval) -> tuple[float, float]:
    """The least and the most that it can be."""
    return here.low_ms / max(there.high_ms, LEAST_MS), here.high_ms / max(there.low_ms, LEAST_MS)


def _times(pair: Pair) -> float:
    return pair.times


def _told(pair: Pair, now: Baseline, earlier: Baseline) -> str:
    here, there = (run.response(SELF_TEST)[pair.name].ms for run in (now, earlier))
    return (
        f"{at(pair.stage)} {pair.name} was {_interval(pair.now)}, {pair.times:.1f} times the"
        f" {_interval(pair.before)} of {earlier.path}; a server that does nothing took {here:.1f} ms,"
        f" and {there:.1f} ms then"
    )


def _own(pair: Pair) -> str:
    assert pair.itself is not None
    return f"{pair.name} at {pair.stage.name} is {pair.itself.ms:.1f} ms without all that it may have added"


def _interval(found: Interval) -> str:
    return f"{found.ms:.1f} ms ({found.low_ms:.1f} to {found.high_ms:.1f})"
