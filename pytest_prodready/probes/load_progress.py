"""What is told while a load is under way, every second."""

from __future__ import annotations

from pytest_prodready.generator.locustfile_plan import LocustfilePlan
from pytest_prodready.generator.plan import Plan
from pytest_prodready.generator.stream import Sample
from pytest_prodready.probes.load_percentiles import percentile

TELL_EVERY_S = 1.0


class Progress:
    """How far a plan has come, as its samples tell; times are monotonic."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.stage = 0  # the latest that anything was heard of
        self._since = self._told_at = self._ends = 0.0
        self._took_s: list[float] = []  # the requests of this stage

    def begin(self, at: float) -> None:
        """The first stage begins now."""
        self._since, self._ends = at, at + sum(each.seconds for each in self._plan.stages)

    def add(self, told: Sample, now: float) -> None:
        """A request is over."""
        if told.stage > self.stage:
            self.stage, self._since, self._took_s = told.stage, now, []
        self._took_s.append(told.ended_s - told.intended_s)

    def skip_climb(self, now: float) -> None:
        """What is left of the climb isn't waited for."""
        last = max((number for number, each in enumerate(self._plan.stages) if each.climb), default=0)
        rest = sum(each.seconds for each in self._plan.stages[max(last, self.stage) + 1 :])
        self._ends = min(self._ends, now + rest)

    def line(self, now: float, failed: int) -> str:
        """The stage, its rate so far, p95, errors and the time left; empty where it was just told."""
        if now < max(self._told_at, self._since) + TELL_EVERY_S or not self._took_s:
            return ""
        self._told_at = now
        stage, plan = self._plan.stages[self.stage], self._plan
        users = f" {plan.users_in(stage)} users" if isinstance(plan, LocustfilePlan) else ""
        rate = len(self._took_s) / (now - self._since)
        p95_ms = percentile(sorted(self._took_s), 0.95) * 1000
        left_s = max(0.0, self._ends - now)
        # Behind the name of a test a terminal of 80 columns has room for about 40.
        return f"{stage.name}{users} {rate:.0f}/s, p95 {p95_ms:.0f} ms, {failed} err, {left_s:.0f} s left"
