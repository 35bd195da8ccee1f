"""Our listener beside the locustfile's own: a sample for each request that Locust tells of."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from typing import Any

from pytest_prodready.generator.answers import NO_ANSWER, OUT_OF_TIME
from pytest_prodready.generator.loading import place_of
from pytest_prodready.generator.locustfile_plan import LocustfilePlan
from pytest_prodready.generator.marked import marked
from pytest_prodready.generator.stream import Sample, Writer
from pytest_prodready.generator.under_way import Sent, UnderWay

MOST_NAMES = 500  # of requests; a locustfile that doesn't group its addresses has one for each
LONGEST_S = 3600.0
OTHERS = "other requests"
NAME = 80  # characters


class Listener:
    """Writes samples by the stage in which each request was sent, from its actual start."""

    def __init__(self, plan: LocustfilePlan, writer: Writer) -> None:
        self._plan, self._writer = plan, writer
        self._zero = 0.0  # monotonic
        self._began: list[tuple[float, int]] = []  # stages, the latest last
        self._over_s: float | None = None
        self._numbers = itertools.count()
        self._names: dict[str, int] = {}
        self._raised: Counter[str] = Counter()
        self._cut = 0
        self.under_way = UnderWay(self._cut_off)

    @property
    def now_s(self) -> float:
        """Seconds since the first stage began."""
        return time.monotonic() - self._zero

    def start_clock(self) -> float:
        """Times count from this moment (monotonic)."""
        self._zero = time.monotonic()
        return self._zero

    def begin(self, stage: int) -> float:
        """A stage begins now."""
        now_s = self.now_s
        self._began.append((now_s, stage))
        return now_s

    def over(self) -> None:
        """What is sent from now on belongs to no stage."""
        self._over_s = self.now_s
        self._writer.tell("over", round(self._over_s, 6))

    def listen(self, events: Any) -> None:
        """Hear of every request, and of tasks that raise."""
        events.request.add_listener(self._requested)
        events.user_error.add_listener(self._raising)

    def give_up(self) -> None:
        """What has waited for so long has failed, however long its client would go on."""
        for each in self.under_way.give_up(self._plan.deadline_s):
            self._late(each)

    def tell(self) -> None:
        """What is known at the end."""
        self._writer.tell("unfinished", len(self.under_way))
        self._writer.tell("cut", self._cut)
        self._writer.tell("raised", dict(self._raised.most_common()))
        self._writer.tell("done", round(self.now_s, 3))

    def _cut_off(self, sent: Sent) -> None:
        """A user was stopped while its request was under way, which had waited long enough or not."""
        if time.monotonic() - sent.at < self._plan.deadline_s:
            self._cut += 1
        else:
            self._late(sent)

    def _late(self, sent: Sent) -> None:
        self._write(sent.what, sent.at - self._zero, self.now_s, (NO_ANSWER, 0, OUT_OF_TIME))

    def _requested(self, **told: Any) -> None:
        if self.under_way.was_given_up():
            return
        took_s = float(told.get("response_time") or 0.0) / 1000
        started_s = self.now_s - _ago_s(told.get("start_time"), took_s)
        name = f"{told.get('request_type') or ''} {told.get('name') or ''}".strip()
        self._write(name, started_s, started_s + took_s, marked(told.get("exception"), told.get("response")))

    def _write(self, name: str, started_s: float, ended_s: float, ended: tuple[int, int, str]) -> None:
        stage = self._stage_at(started_s)
        if stage is None:
            return
        verdict, status, words = ended
        started = round(started_s, 6)
        self._writer.sample(
            Sample(
                number=next(self._numbers),
                stage=stage,
                ask=self._number_of(name[:NAME]),
                intended_s=started,
                started_s=started,
                ended_s=round(ended_s, 6),
                status=status,
                verdict=verdict,
                error=self._writer.error(words) if words else -1,
                busy=0,
                write=-1,
            )
        )

    def _stage_at(self, moment_s: float) -> int | None:
        if self._over_s is not None and moment_s >= self._over_s:
            return None
        return next((stage for began, stage in reversed(self._began) if began <= moment_s), None)

    def _number_of(self, name: str) -> int:
        if name not in self._names:
            name = name if len(self._names) < MOST_NAMES else OTHERS
        if name not in self._names:
            self._names[name] = len(self._names)
            self._writer.tell("ask", name)
        return self._names[name]

    def _raising(self, *, exception: Any, tb: Any, **_: Any) -> None:
        where = place_of(tb, self._plan.file)
        self._raised[f"{type(exception).__name__}{f' ({where})' if where else ''}"] += 1


def _ago_s(start_time: float | None, took_s: float) -> float:
    """How long ago a request began, by the clock of Locust's clients; others may have another, or none."""
    ago_s = took_s if start_time is None else time.time() - float(start_time)
    return ago_s if 0 <= ago_s < LONGEST_S else took_s
