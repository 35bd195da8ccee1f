"""From the samples of a locustfile's users to stages: a closed model, whose requests nobody schedules."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pytest_prodready.generator.locustfile_plan import LocustfilePlan
from pytest_prodready.generator.plan import Ask
from pytest_prodready.generator.plan import Stage as Planned
from pytest_prodready.generator.stream import Sample
from pytest_prodready.probes.load import Second, Stage, Times
from pytest_prodready.probes.load_disturbed import Disturbance
from pytest_prodready.probes.load_percentiles import percentile, times
from pytest_prodready.probes.load_stats import Digest
from pytest_prodready.probes.load_throughput import good_by_second, good_per_s

LEFT = 0.9  # of a stage's users have to be there
SHORTEST_S = 0.001
MOST_IN_TURN = 1000  # requests that one held user would have sent meanwhile
NAMED = 2


class Users:
    """What is told of the users while they are at work, and what their samples amount to."""

    def __init__(self, plan: LocustfilePlan, digest: Digest) -> None:
        self._plan, self._digest = plan, digest
        self._began: dict[int, float] = {}
        self._over_s: float | None = None
        self._cut = 0
        self._raised: dict[str, int] = {}
        self._shapes: list[str] = []
        self._ended_in = ""

    def take(self, told: Mapping[str, Any]) -> None:
        """One more thing that the generator has told."""
        if "ask" in told:
            plan = self._digest.plan
            self._digest.plan = replace(plan, asks=(*plan.asks, Ask(told["ask"], "")))
        elif "stage" in told:
            number, began_s = told["stage"]
            self._began[number] = began_s
        elif "ended itself" in told:
            self._ended_in = told["ended itself"]
        self._over_s = told.get("over", self._over_s)
        self._cut = told.get("cut", self._cut)
        self._raised = told.get("raised", self._raised)
        self._shapes = told.get("shapes", self._shapes)

    def silence(self, healths: Sequence[Mapping[str, Any]], at_s: float) -> str:
        """Why there is nothing to wait for: its users have sent nothing, and had the time; else empty."""
        patience_s = sum(each.seconds for each in self._plan.stages if not each.climb) / 2
        if at_s < patience_s or any(self._digest.samples) or any(each["sent"] for each in healths):
            return ""
        return f"your locustfile sent no request within {at_s:.0f} s: {_doing(healths)}"

    def stages(self, disturbances: Sequence[Disturbance] = ()) -> tuple[Stage, ...]:
        """Each stage in which requests were sent, or users waited for the answers to those before."""
        found = (self._stage(number, disturbances) for number in sorted(self._began))
        return tuple(each for each in found if each is not None)

    def seconds(self, known: Sequence[Second]) -> tuple[Second, ...]:
        """The seconds with requests, and those in which there was none since users waited for answers."""
        by_second = {int(each.at_s): each for each in known}
        sent, came = self._everything(), good_by_second(self._digest.samples)
        for at in range(min(by_second, default=0), max(by_second, default=0)):
            held = sum(each.started_s <= at and each.ended_s >= at + 1 for each in sent)
            if at not in by_second and held:
                stage = by_second[at - 1].stage
                by_second[at] = Second(float(at), stage, 0, came[at], 0, None, None, None, 0, float(held))
        return tuple(by_second[at] for at in sorted(by_second))

    def shortfall(
        self, stages: Sequence[Stage], healths: Sequence[Mapping[str, Any]], failures: float
    ) -> str:
        """Why the load was less than planned by the locustfile's own doing; empty when it wasn't."""
        if self._ended_in:
            return f"your locustfile ended its test itself in stage {self._ended_in}"
        sending = {each.name for each in stages}
        for number in self._began:
            stage, users = self._plan.stages[number], self._plan.users_in(self._plan.stages[number])
            left = min(self._users_there(number, healths), default=users)
            if left < LEFT * users:
                there = f"only {left} of {users} users were there in stage {stage.name}"
                return f"{there}: others stopped themselves, or were slow to come"
            if stage.name not in sending:
                return f"your locustfile sent no request in stage {stage.name}"
        sent = sum(each.due for each in stages)
        return self._raising() if sum(self._raised.values()) > max(1, failures * sent) else ""

    def remarks(self) -> tuple[str, ...]:
        """What else has to be known of it."""
        told = [
            self._raising() if self._raised else "",
            f"users were stopped in {self._cut} requests that were under way, which don't count"
            if self._cut
            else "",
            f"its {', '.join(self._shapes)} isn't used: stages are the gate's" if self._shapes else "",
        ]
        return tuple(filter(None, told))

    def _raising(self) -> str:
        places = ", ".join([*self._raised][:NAMED])
        return f"tasks of your locustfile raised {sum(self._raised.values())} times: {places}"

    def _stage(self, number: int, disturbances: Sequence[Disturbance]) -> Stage | None:
        """Its own figures in place of those that only a schedule gives a meaning."""
        told, users = self._plan.stages[number], self._plan.users_in(self._plan.stages[number])
        at_s, end = self._began[number], self._end_of(number)
        ramped = at_s + self._plan.ramp_s(told)
        steady_at = ramped if ramped < end else at_s
        steady_s = end - steady_at
        found = self._digest.samples[number]
        sent = sum(each.started_s >= steady_at for each in found)
        waited = [took for each in self._everything() if (took := self._within(each, steady_at, end))]
        if not found and not waited:
            return None
        held = min(1.0, sum(waited) / (users * steady_s))
        free_s = max(SHORTEST_S, steady_s * (1 - held))
        seen = (
            self._digest.stage(number, disturbances)
            if found
            else _silent(told, told.rate / self._plan.usual_rps)
        )
        return replace(
            seen,
            at_s=round(at_s, 3),
            seconds=round(end - at_s, 3),
            rate=round(sent / steady_s, 2),
            goodput=round(good_per_s(self._digest.samples, steady_at, end), 3),
            in_time=seen.answered,
            users=users,
            steady_s=round(steady_s, 3) if steady_at > at_s else 0.0,
            held=round(held, 4),
            possible=round(len(waited) / free_s, 2),
            in_turn=_in_turn(self._digest.waits(number), users * free_s, sent, at_s),
        )

    def _within(self, sample: Sample, start: float, end: float) -> float:
        """How long a request held its user in this time; one that was given up goes on doing so."""
        given_up = sample.ended_s - sample.started_s >= self._plan.deadline_s
        until = end if given_up else min(sample.ended_s, end)
        return max(0.0, until - max(sample.started_s, start))

    def _everything(self) -> list[Sample]:
        return [each for found in self._digest.samples for each in found]

    def _end_of(self, number: int) -> float:
        """When the next stage began; of the last one, when it ended, also where that isn't told."""
        began = self._began[number]
        if later := [each for each in self._began.values() if each > began]:
            return min(later)
        if self._over_s is not None:
            return self._over_s
        latest = max((each.ended_s for each in self._everything()), default=began)
        return min(began + self._plan.stages[number].seconds, max(latest, began + SHORTEST_S))

    def _users_there(self, number: int, healths: Iterable[Mapping[str, Any]]) -> list[int]:
        """How many users there were at each look, when all had come."""
        steady_at, end = (
            self._began[number] + self._plan.ramp_s(self._plan.stages[number]),
            self._end_of(number),
        )
        return [each["users"] for each in healths if steady_at <= each["at_s"] <= end]


def _silent(told: Planned, multiple: float) -> Stage:
    """A stage in which nobody got to send anything."""
    return Stage(told.name, multiple, 0.0, 0.0, 0.0, told.planned, due=0, in_time=0, good=0, goodput=0.0)


def _doing(healths: Sequence[Mapping[str, Any]]) -> str:
    """What users do who send nothing."""
    if not healths:
        return "something in it runs without end, and lets nothing else run"
    if there := healths[-1]["users"]:
        return f"it has {there} users, who wait, or are busy in on_start or a task"
    return "none of its users is there: they stop themselves, or raise when they are made"


def _in_turn(waits: Sequence[Sample], free_s: float, count: int, at_s: float) -> Times | None:
    """The times with those of requests that were never sent, since a user was held by the one before.

    In each cycle (its own pause, and what an answer mostly takes) a user would have sent another one, which
    would have waited for the rest of that time.
    """
    if not waits or not count:
        return None
    took = sorted(each.ended_s - each.started_s for each in waits)
    cycle = max(free_s / count + percentile(took, 0.5), took[-1] / MOST_IN_TURN, SHORTEST_S)
    blocks: dict[int, list[float]] = defaultdict(list)
    for each in waits:
        took_s, since_s = each.ended_s - each.started_s, each.started_s - at_s
        for missed in range(max(1, math.ceil(took_s / cycle))):
            blocks[int(since_s + missed * cycle)].append(took_s - missed * cycle)
    return times([blocks[number] for number in sorted(blocks)])
