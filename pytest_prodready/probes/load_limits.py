"""What the probe has to know of limits: when a climb is lost, and when the machine has spoiled a run.

Checks judge by the same functions, so that a run ends, and is repeated, for what would be judged.
"""

from __future__ import annotations

from collections.abc import Sequence

from pytest_prodready.generator.answers import NEVER_SENT, NO_ANSWER, WRONG_STATUS
from pytest_prodready.generator.stream import Sample
from pytest_prodready.probes.load import Generator, Interval, Load, Stage, Times, judged
from pytest_prodready.probes.load_closed import short
from pytest_prodready.probes.load_recovery import in_time
from pytest_prodready.settings import LoadSettings

LOST = 2.0  # times more than may be are too many for chance, and for the rest of the stage to make good
FEWEST = 10
SOME = 20  # requests: of fewer a single one that fails is more than may, and tells nothing
FEWEST_FOR_P99 = 100  # requests
FEWEST_SECONDS = 2.5  # of fewer blocks than three a bootstrap tells nothing
SELF_TEST = 0.99
CPU, DELAY, STEAL, LAG_MS, SERVICE_DELAY = 0.9, 0.4, 0.1, 50.0, 0.5
OTHERS, IDLE, ROOM = 0.2, 0.15, 0.5
FAILED = (
    WRONG_STATUS,
    NO_ANSWER,
    NEVER_SENT,
)  # an answer that is wrong, or an error in disguise, ends nothing
TWICE = 2.0  # the share of before: so many more fail since the peak
FAILURES, SLOWNESS = "failures", "slowness"


class Counted:
    """What was seen of one stage so far, as far as limits ask for it."""

    def __init__(self, planned: int) -> None:
        self.planned = planned  # or more: nobody plans how many a locustfile's users make
        self.failed = self.slow = self.slowest = self._count = 0

    def add(self, sample: Sample, limits: LoadSettings) -> None:
        """One more request."""
        took_ms = 1000 * (sample.ended_s - sample.intended_s)
        self._count += 1
        self.planned = max(self.planned, self._count)
        self.failed += sample.verdict in FAILED
        if sample.verdict != WRONG_STATUS:
            self.slow += took_ms > limits.p95_ms
            self.slowest += took_ms > limits.p99_ms

    def lost(self, limits: LoadSettings) -> tuple[str, str]:
        """What for and why no limit of this stage can be met any more; empty while it can."""
        if self.failed > max(FEWEST, LOST * limits.failures * self.planned):
            return FAILURES, f"{self.failed} of {self.planned} requests had failed"
        for count, share, ms in (
            (self.slow, 0.05, limits.p95_ms),
            (self.slowest, 0.01, limits.p99_ms),
        ):
            if count > max(FEWEST, LOST * share * self.planned):
                return SLOWNESS, f"{count} of {self.planned} requests had taken longer than {ms:g} ms"
        return "", ""


def too_many(stage: Stage, limits: LoadSettings) -> bool:
    """Whether more requests of a stage failed than may."""
    return beyond(stage.failures, stage.due, limits)


def too_few_to_tell(stage: Stage, limits: LoadSettings) -> bool:
    """Whether a single failure, where any may fail, is more than may only since the stage is so short."""
    return stage.failures == 1 and limits.failures > 0 and stage.due < SOME and too_many(stage, limits)


def too_many_in_all(stages: Sequence[Stage], limits: LoadSettings) -> bool:
    """Whether single failures, each too few to tell anything of its stage, are too many together."""
    return beyond(sum(each.failures for each in stages), sum(each.due for each in stages), limits)


def beyond(failed: int, due: int, limits: LoadSettings) -> bool:
    """Whether so many are more than may fail; a single one of some tells nothing, where any may."""
    chance = 1 if limits.failures > 0 and due >= SOME else 0
    return failed > max(chance, limits.failures * due)


def too_slow(stage: Stage, usual: Stage | None, limits: LoadSettings) -> str:
    """Which percentile of a stage is beyond its limit, and by how much; empty when none is.

    A percentile counts by the lower end of its confidence.
    """
    times = stage.response
    if times is None:
        return "no request was served"
    for name, seen, limit in _limited(times, limits):
        if seen.ms > limit:
            return _in_words(name, seen)
    return "" if usual is None or usual.response is None else _slower(times.p95, usual.response.p95, limits)


def _slower(p95: Interval, usual: Interval, limits: LoadSettings) -> str:
    """How many times as long as at 1x it takes, where that is too many and noticed."""
    if p95.low_ms <= max(limits.unnoticed_ms, limits.slowdown * usual.high_ms):
        return ""
    return f"p95 was {p95.ms:.0f} ms, {p95.ms / usual.ms:.0f} times that of 1x"


def _in_words(name: str, seen: Interval) -> str:
    return f"{name} was {seen.ms:.0f} ms ({seen.low_ms:.0f} to {seen.high_ms:.0f})"


def sure(stage: Stage, limits: LoadSettings) -> bool:
    """Whether that can't be chance: the lower end of a confidence is beyond the limit, too."""
    times = stage.response
    if times is None or all(seen.ms <= limit for _, seen, limit in _limited(times, limits)):
        return True
    return any(seen.low_ms > limit for _, seen, limit in _limited(times, limits))


def slow_by_itself(stage: Stage, limits: LoadSettings) -> str:
    """What is beyond its limit without all that the machine may have added to it; empty when nothing is.

    A percentile counts by the lower end of its confidence.
    """
    times = stage.undisturbed
    if times is None:
        return ""
    for name, seen, limit in _limited(times, limits):
        if seen.low_ms > limit:
            return (
                f"{name} is {seen.ms:.0f} ms without all the time for which anything here"
                " waited for a processor, or ran slower beside others"
            )
    return ""


def _limited(times: Times, limits: LoadSettings) -> tuple[tuple[str, Interval, float], ...]:
    """The percentiles that have a limit, by name, with it."""
    return ("p95", times.p95, limits.p95_ms), ("p99", times.p99, limits.p99_ms)


def missed(seen: Load, limits: LoadSettings) -> bool:
    """Whether a run fell short of the target in rate, time or failures, or in coming back from it."""
    if seen.again is not None and _out_of_order(seen, limits):
        return True
    if seen.ended or seen.peak is None or too_many_in_all(seen.climb, limits):
        return True
    last, best = seen.climb[-1], max(each.goodput for each in seen.climb)
    fewer = not last.users and last.goodput < limits.goodput * best
    return fewer or any(short_of(each, seen, limits) for each in seen.climb)


def short_of(stage: Stage, seen: Load, limits: LoadSettings) -> bool:
    """Whether a stage fell short of the target in rate, time or failures."""
    return (
        stage.achieved < limits.achieved
        or (stage.users > 0 and short(stage, seen, limits.achieved))
        or too_many(stage, limits)
        or too_slow(stage, seen.usual, limits) != ""
    )


def _out_of_order(seen: Load, limits: LoadSettings) -> bool:
    """Whether a peak left something behind in the usual load; without one there is nothing to leave."""
    return seen.multiplier > 1 and (not in_time(seen, limits) or unsettled(seen, limits) != "")


def unsettled(seen: Load, limits: LoadSettings) -> str:
    """Which limit the usual load misses for long after the peak, though it didn't before; empty for none."""
    usual, settled = seen.usual, seen.settled
    if usual is None or settled is None or settled.due < SOME or settled.seconds < FEWEST_SECONDS:
        return ""
    if too_many(settled, limits) and settled.failed_share > TWICE * usual.failed_share:
        return f"{settled.failures} of {settled.due} requests failed ({settled.failed_share:.2%})"
    before, after = usual.response, settled.response
    if before is None or after is None:
        return ""
    for (_, was, _), (name, now, limit) in zip(
        _limited(before, limits), _limited(after, limits), strict=True
    ):
        tells = name != "p99" or after.count >= FEWEST_FOR_P99
        if tells and now.low_ms > limit and not _was_so(was, now, limit):
            return _in_words(name, now)
    return _slower(after.p95, before.p95, limits)


def _was_so(was: Interval, now: Interval, limit: float) -> bool:
    """Whether a percentile beyond its limit was so before: surely, or perhaps and as long as now."""
    return was.ms > limit and (was.low_ms > limit or now.low_ms <= was.high_ms)


def firm(seen: Load, limits: LoadSettings) -> bool:
    """Whether something was seen that no machine can be blamed for: then no other run makes it good."""
    if any(slow_by_itself(each, limits) for each in judged(seen.stages)):
        return True
    ledger = seen.ledger
    untrue = ledger is not None and bool(ledger.lost or ledger.twice or ledger.refused_but_there)
    return (
        untrue
        or seen.same_process is False
        or any(each.wrong or each.hidden for each in seen.stages)
        or any(
            too_many_errors(each, limits) and not too_few_to_tell(each, limits)
            for each in judged(seen.stages)
        )
        or errors_in_all(seen.climb, limits)
        or _firm_after_the_peak(seen, limits)
    )


def _firm_after_the_peak(seen: Load, limits: LoadSettings) -> bool:
    """Whether what is wrong for long after the peak is no machine's fault."""
    settled = seen.settled
    if settled is None or seen.multiplier <= 1 or not unsettled(seen, limits):
        return False
    return too_many_errors(settled, limits) or slow_by_itself(settled, limits) != ""


def too_many_errors(stage: Stage, limits: LoadSettings) -> bool:
    """Whether the service itself told more errors (5xx, but 503) in a stage than may be."""
    return beyond(stage.server_errors, stage.due, limits)


def errors_in_all(stages: Sequence[Stage], limits: LoadSettings) -> bool:
    """Whether the service itself told more errors in all of these stages than may be."""
    return beyond(sum(each.server_errors for each in stages), sum(each.due for each in stages), limits)


def doubts(generator: Generator) -> str:
    """Why a shortfall may be the generator's or the machine's, with the figures; empty when it can't be."""
    found = [
        (generator.self_test is not None and generator.self_test < SELF_TEST, _self_test(generator)),
        *(
            (value is not None and value > limit, words.format(value if value is not None else 0))
            for value, limit, words in (
                (generator.cpu, CPU, "the generator was busy {:.0%} of the time"),
                (generator.delay, DELAY, "it waited for a processor {:.0%} of the time"),
                (generator.lag_ms, LAG_MS, "its clock was late by up to {:.0f} ms"),
                (generator.steal, STEAL, "{:.0%} of a processor was taken from this machine"),
                (
                    generator.service_delay,
                    SERVICE_DELAY,
                    "the service waited for a processor {:.0%} of the time",
                ),
            )
        ),
        (
            (generator.others or 0.0) > OTHERS and (generator.idle or 0.0) < IDLE,
            f"others used {generator.others or 0.0:.0%} of this machine's processors",
        ),
    ]
    return ", ".join(words for true, words in found if true)


def disturbed(seen: Load, stage: Stage) -> str:
    """What others did meanwhile that may have made this stage slower than in another run; empty for nothing.

    Times are moved by less than what makes a target be missed.
    """
    seconds = [each for each in seen.seconds_of(stage) if each.others is not None and each.idle is not None]
    if not seconds:
        return ""
    others = sum(each.others or 0.0 for each in seconds) / len(seconds)
    idle = sum(each.idle or 0.0 for each in seconds) / len(seconds)
    if others <= OTHERS or idle >= ROOM:
        return ""
    return f"others used {others:.0%} of this machine's processors at {stage.name}, and {idle:.0%} were idle"


def _self_test(generator: Generator) -> str:
    share = generator.self_test or 0.0
    return (
        f"on a server that does nothing the generator reached {share:.1%} of {generator.self_test_rate:g}/s"
    )
