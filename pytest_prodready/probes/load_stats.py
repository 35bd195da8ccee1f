"""From samples to figures: stages and seconds."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from pytest_prodready.generator.answers import (
    HIDDEN_ERROR,
    NEVER_SENT,
    NO_ANSWER,
    OUT_OF_TIME,
    RIGHT,
    WRONG_CONTENT,
    WRONG_STATUS,
)
from pytest_prodready.generator.plan import Plan
from pytest_prodready.generator.stream import Sample
from pytest_prodready.probes.load import Kind, Second, Stage
from pytest_prodready.probes.load_asked import asked
from pytest_prodready.probes.load_busy import held_ms
from pytest_prodready.probes.load_disturbed import Disturbance
from pytest_prodready.probes.load_percentiles import milliseconds, percentile, times
from pytest_prodready.probes.load_throughput import good_by_second, good_per_s

GRACE_S = 1.0  # at most a tenth of the stage; an answer so long after its end is still one of that stage
BUSY = 503  # what a service that is short of a processor rightly says when it has no room left
SILENT = (NO_ANSWER, NEVER_SENT)


class Digest:
    """What is known of all samples so far."""

    def __init__(self, plan: Plan, multiples: Mapping[str, float], unnoticed_s: float) -> None:
        self.plan, self._multiples, self._unnoticed_s = plan, multiples, unnoticed_s
        self.samples: list[list[Sample]] = [[] for _ in plan.stages]
        self.errors: list[str] = []

    def add(self, sample: Sample) -> None:
        """One more."""
        self.samples[sample.stage].append(sample)

    def stages(self, disturbances: Sequence[Disturbance] = ()) -> tuple[Stage, ...]:
        """Each stage that it came to; what the machine may have added is taken off where that is known."""
        return tuple(self.stage(number, disturbances) for number, found in enumerate(self.samples) if found)

    def stage(self, number: int, disturbances: Sequence[Disturbance] = ()) -> Stage:
        """One stage that has samples."""
        told, found = self.plan.stages[number], self.samples[number]
        at_s, seconds = _span(found, told.rate)
        good = [each for each in found if each.verdict == RIGHT]
        waits = self.waits(number)
        sent = [each for each in waits if each.verdict != NEVER_SENT]
        return Stage(
            name=told.name,
            multiple=self._multiples.get(told.name, 0.0),
            rate=told.rate,
            at_s=round(at_s, 3),
            seconds=round(seconds, 3),
            planned=told.planned,
            due=len(found),
            in_time=_in_time(found, _end(found, told.rate)),
            good=len(good),
            goodput=self._goodput(good, told.rate, at_s, seconds),
            checked=sum(self.plan.asks[each.ask].content_known for each in good),
            shaped=sum(self.plan.asks[each.ask].error_known for each in good),
            failed=self._kinds(found, WRONG_STATUS, NO_ANSWER, NEVER_SENT),
            server_errors=sum(each.verdict == WRONG_STATUS and _is_error(each.status) for each in found),
            wrong=self._kinds(found, WRONG_CONTENT),
            hidden=self._kinds(found, HIDDEN_ERROR),
            busy=sum(each.busy for each in found),
            unsent=sum(map(self._too_late, found)),
            held_ms=held_ms(self.samples, found),
            response=times(_blocks(waits, at_s)),
            service=times(_blocks(sent, at_s, from_intended=False)),
            undisturbed=times(_blocks(waits, at_s, disturbances=disturbances)) if disturbances else None,
            mean_s=round(sum(e.ended_s - e.started_s for e in good) / len(good), 6) if good else 0.0,
            asked=asked(waits, self.plan.asks),
        )

    def _too_late(self, each: Sample) -> bool:
        """Whether it waited for a user until its deadline, or until there was little left for an answer."""
        unanswered = each.verdict == NO_ANSWER and each.error >= 0 and self.errors[each.error] == OUT_OF_TIME
        return each.verdict == NEVER_SENT or bool(each.busy and unanswered)

    def _goodput(self, own: Sequence[Sample], rate: float, at_s: float, seconds: float) -> float:
        """Good answers a second from the stage's first one on, for as long as it lasted.

        That is what the service got done, whatever stage it was due in. No more than was asked for counts:
        what it caught up on after a stall is no rate that it holds.
        """
        first_s = min((each.ended_s for each in own), default=at_s)
        found = good_per_s(self.samples, first_s, first_s + seconds)
        return round(min(rate, found), 3)

    def waits(self, number: int) -> list[Sample]:
        """The requests of a stage whose time is known: good ones, and those that waited in vain."""
        found = self.samples[number]
        return [each for each in found if each.verdict == RIGHT or _without_answer(each, self.errors)]

    def since(self, number: int, seconds: float) -> Digest:
        """What is known of one stage's requests that were due so long after its beginning, or later."""
        found, late = self.samples[number], Digest(self.plan, self._multiples, self._unnoticed_s)
        began_s = min((each.intended_s for each in found), default=0.0)
        late.errors = self.errors
        late.samples[number] = [each for each in found if each.intended_s >= began_s + seconds]
        return late

    def least_achieved(self, name: str, slices: int) -> float | None:
        """What the worst slice of a stage has achieved; None where it did not come to that."""
        number = next((n for n, each in enumerate(self.plan.stages) if each.name == name), None)
        if number is None or not self.samples[number]:
            return None
        found: list[list[Sample]] = [[] for _ in range(slices)]
        for each in self.samples[number]:
            found[each.number % slices].append(each)
        end = _end(self.samples[number], self.plan.stages[number].rate)
        return round(min(_in_time(each, end) / len(each) for each in found if each), 4)

    def seconds(self) -> tuple[Second, ...]:
        """Each second in which requests were due."""
        by_second: dict[int, list[Sample]] = defaultdict(list)
        everything = [each for found in self.samples for each in found]
        for each in everything:
            by_second[math.floor(each.intended_s)].append(each)
        under_way, came = _under_way(everything), good_by_second(self.samples)
        return tuple(self._second(at, by_second[at], under_way[at], came[at]) for at in sorted(by_second))

    def _second(self, at: int, found: Sequence[Sample], under_way: float, came: int) -> Second:
        good = sorted(each.ended_s - each.intended_s for each in found if each.verdict == RIGHT)
        return Second(
            at_s=float(at),
            stage=found[0].stage,
            due=len(found),
            good=came,
            failed=len(found) - len(good),
            p50_ms=milliseconds(percentile(good, 0.5)) if good else None,
            p95_ms=milliseconds(percentile(good, 0.95)) if good else None,
            p99_ms=milliseconds(percentile(good, 0.99)) if good else None,
            slow=sum(each > self._unnoticed_s for each in good),
            under_way=round(under_way, 3),
        )

    def what(self, sample: Sample) -> str:
        """How a request ended, in a word or two."""
        return self.errors[sample.error] if sample.error >= 0 else str(sample.status)

    def _kinds(self, found: Iterable[Sample], *verdicts: int) -> tuple[Kind, ...]:
        counts = Counter((each.ask, self.what(each)) for each in found if each.verdict in verdicts)
        return tuple(
            Kind(self.plan.asks[ask].label, what, count) for (ask, what), count in counts.most_common()
        )


def _span(found: Sequence[Sample], rate: float) -> tuple[float, float]:
    """When a stage began, and how long it lasted, by its requests."""
    at_s = min(each.intended_s for each in found)
    return at_s, max(each.intended_s for each in found) - at_s + 1 / rate


def _end(found: Sequence[Sample], rate: float) -> float:
    """Until when an answer is one within the stage."""
    at_s, seconds = _span(found, rate)
    return at_s + seconds + _grace(found, at_s, seconds)


def _in_time(found: Iterable[Sample], end: float) -> int:
    return sum(each.ended_s <= end and each.verdict not in SILENT for each in found)


def _grace(found: Sequence[Sample], at_s: float, seconds: float) -> float:
    """How long after a stage's end an answer still counts for it.

    As long as answers took in its first third, where no queue had grown: a steady time is no want of rate.
    """
    early = sorted(e.ended_s - e.intended_s for e in found if e.intended_s < at_s + seconds / 3)
    usual = min(percentile(early, 0.95), seconds / 2) if early else 0.0
    return max(min(GRACE_S, seconds / 10), 1.1 * usual)


def _is_error(status: int) -> bool:
    """Whether that says of itself that something is wrong, and not just that too many came."""
    return status >= 500 and status != BUSY


def _without_answer(sample: Sample, errors: Sequence[str]) -> bool:
    """Whether it waited in vain: a refused connection is known at once, and no wait."""
    return sample.verdict == NEVER_SENT or (sample.verdict == NO_ANSWER and "in time" in errors[sample.error])


def _blocks(
    found: Iterable[Sample],
    at_s: float,
    *,
    from_intended: bool = True,
    disturbances: Sequence[Disturbance] = (),
) -> list[list[float]]:
    blocks: dict[int, list[float]] = defaultdict(list)
    for each in found:
        since = each.intended_s if from_intended else each.started_s
        lost = sum(disturbance.most(since, each.ended_s) for disturbance in disturbances)
        blocks[int(each.intended_s - at_s)].append(max(0.0, each.ended_s - since - lost))
    return [blocks[number] for number in sorted(blocks)]


def _under_way(found: Iterable[Sample]) -> Mapping[int, float]:
    """How many requests were under way in each second, on average."""
    seconds: dict[int, float] = defaultdict(float)
    for each in found:
        for at in range(math.floor(each.started_s), math.floor(each.ended_s) + 1):
            seconds[at] += min(each.ended_s, at + 1) - max(each.started_s, at)
    return seconds
