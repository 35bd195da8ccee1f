"""What is seen of a service while one of its servers fails and comes back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

DIED_OF = re.compile(r"panic: |fatal error: |(Uncaught )?[\w.]*([Ee]rror|Exception): ")
IN_A_ROW = 5  # successes that count as recovered: one alone may be luck


@dataclass(frozen=True, slots=True)
class Sent:
    """One request of the schedule; `status` is None when no answer came, `error` then says why."""

    request: str
    at_s: float  # when it was sent, in seconds since the drill began
    seconds: float
    status: int | None
    expected: bool
    error: str = ""

    @property
    def ended_at_s(self) -> float:
        """When its answer, or the lack of one, was known."""
        return self.at_s + self.seconds

    @property
    def refused_politely(self) -> bool:
        """Whether it was told that the service can't serve now (503, or 429)."""
        return self.status in (429, 503)

    @property
    def kind(self) -> str:
        """The answer in a word: its status, or why there was none."""
        return str(self.status) if self.status is not None else self.error


@dataclass(frozen=True, slots=True)
class Mark:
    """A named moment: fault, promoted, healed."""

    name: str
    at_s: float


@dataclass(frozen=True, slots=True)
class Backends:
    """The service's connections on the server at one moment."""

    at_s: float
    total: int
    busy: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """What became of each write: by what its client was told, and by what was found afterwards.

    What was acknowledged must be there, what is there must be acknowledged or unknown, and nothing twice.
    """

    acknowledged: int = 0
    refused: int = 0
    unknown: int = 0  # no answer: it may be there or not
    retried: int = 0  # unknown ones that were sent again with the same token in a header
    lost: tuple[str, ...] = ()  # acknowledged, and not found
    lost_at_s: tuple[float, ...] = ()  # when these were acknowledged
    twice: tuple[str, ...] = ()
    refused_but_there: int = 0
    unknown_but_there: int = 0
    read_from: tuple[str, ...] = ()  # database, service: where rows were looked for
    doubt: str = ""  # why it can't be told what was lost


@dataclass(frozen=True, slots=True)
class Drill:
    """One failure from steady state to steady state."""

    name: str
    fault: str  # in words: "connections to the database refused for 5 s"
    doubt: str = ""  # why nothing was tried: the service never got steady, or the fault can't be had
    seconds: float = 0.0
    every_s: float = 0.0  # between two requests of the schedule
    marks: tuple[Mark, ...] = ()
    sent: tuple[Sent, ...] = ()  # by time
    health: tuple[Sent, ...] = ()  # request: liveness or readiness
    writes: tuple[Sent, ...] = ()  # every attempt of the journal, by time
    ledger: Ledger | None = None  # None: no [writes]
    backends: tuple[Backends, ...] = ()
    accepted_at_s: tuple[float, ...] | None = None  # at the proxy; None: it can't tell
    statements: int | None = None  # of the service during the fault
    same_process: bool | None = None  # None: not started by us
    last_words: str = ""  # of a process that ended: the line that says why
    steady_after: bool = False
    unsteady: str = ""  # what was still wrong at the end

    def mark(self, name: str) -> float | None:
        """When this moment was; None when it never came."""
        return next((mark.at_s for mark in self.marks if mark.name == name), None)

    @property
    def fault_at_s(self) -> float:
        """When the fault began."""
        return self.mark("fault") or 0.0

    @property
    def healed_at_s(self) -> float:
        """When the fault was over."""
        healed = self.mark("healed")
        return self.seconds if healed is None else healed

    @property
    def uncertainty_s(self) -> float:
        """How exact such times are.

        Service may have been restored since the request before the first that was served, and the heal may
        have been felt since it began. On a busy machine requests are sent and answered late; this tells it.
        """
        healing = self.mark("healing")
        healed = self.healed_at_s - healing if healing is not None else 0.0
        return round(self._served_within_s() + healed, 3)

    def _served_within_s(self) -> float:
        """From the request before the first that was served after the heal until that was answered."""
        row = first_served(self.after(), IN_A_ROW)
        if row is None:
            return self.every_s
        earlier = max((each.at_s for each in self.sent if each.at_s < row.at_s), default=row.at_s)
        return max(self.every_s, row.at_s - earlier) + row.seconds

    def before(self) -> tuple[Sent, ...]:
        """Requests whose answers were known when the fault began."""
        return tuple(each for each in self.sent if each.ended_at_s < self.fault_at_s)

    def during(self, settle_s: float = 0.0) -> tuple[Sent, ...]:
        """Requests sent while the fault held, leaving out its first moments if wanted."""
        return tuple(each for each in self.sent if self.fault_at_s + settle_s <= each.at_s < self.healed_at_s)

    def after(self) -> tuple[Sent, ...]:
        """Requests sent when the fault was over."""
        return tuple(each for each in self.sent if each.at_s >= self.healed_at_s)

    def recovered_at_s(self, request: str | None = None) -> float | None:
        """When the first of several successes in a row after the heal was known; None: never."""
        answers = [each for each in self.after() if request is None or each.request == request]
        return first_of(answers, IN_A_ROW)

    def write_recovered_at_s(self) -> float | None:
        """The same for the writes of the journal."""
        return first_of([each for each in self.writes if each.at_s >= self.healed_at_s], IN_A_ROW)

    @property
    def rto_from_heal_s(self) -> float | None:
        """From the end of the fault until service was restored; None: it never was."""
        recovered = self.recovered_at_s()
        return None if recovered is None else max(0.0, recovered - self.healed_at_s)

    @property
    def rto_from_fault_s(self) -> float | None:
        """From the last success before the fault until service was restored; 0: never interrupted."""
        recovered = self.recovered_at_s()
        if recovered is None:
            return None
        if all(each.expected for each in self.during()):
            return 0.0
        good = [each.ended_at_s for each in self.sent if each.expected and each.ended_at_s <= self.fault_at_s]
        return recovered - max(good, default=self.fault_at_s)

    @property
    def longest_silence_s(self) -> float:
        """The longest that any request was left without an answer."""
        return max((each.seconds for each in self.sent if each.ended_at_s >= self.fault_at_s), default=0.0)

    @property
    def first_refusal_s(self) -> float | None:
        """From the fault until the first request was told that it can't be served; None: none was."""
        told = [each.ended_at_s for each in self.sent if each.refused_politely]
        first = min((at for at in told if at >= self.fault_at_s), default=None)
        return None if first is None else first - self.fault_at_s

    @property
    def behind_s(self) -> float:
        """How far the schedule of requests fell behind at most: so late a busy machine makes everything."""
        times = sorted(each.at_s for each in self.sent)
        planned = (times[0] + number * self.every_s for number in range(len(times))) if times else ()
        return max((at - due for at, due in zip(times, planned, strict=False)), default=0.0)

    def of_health(self, check: str) -> tuple[Sent, ...]:
        """Questions to liveness or readiness from the fault on."""
        return tuple(each for each in self.health if each.request == check and each.at_s >= self.fault_at_s)

    def most_accepts_in_a_second(self) -> int | None:
        """The most clients that came to the proxy within any second from the fault on."""
        if self.accepted_at_s is None:
            return None
        times = sorted(each for each in self.accepted_at_s if each >= self.fault_at_s)
        start, most = 0, 0
        for end, at in enumerate(times):
            while at - times[start] > 1.0:
                start += 1
            most = max(most, end - start + 1)
        return most


def first_of(answers: Sequence[Sent], in_a_row: int) -> float | None:
    """When the first of so many successes in a row (in the order of sending) was known."""
    first = first_served(answers, in_a_row)
    return None if first is None else first.ended_at_s


def first_served(answers: Sequence[Sent], in_a_row: int) -> Sent | None:
    """The first of so many successes in a row, in the order of sending."""
    row: list[Sent] = []
    for each in answers:
        row = [*row, each] if each.expected else []
        if len(row) == in_a_row:
            return row[0]
    return None


def counted(answers: Iterable[Sent]) -> dict[str, int]:
    """How many answers of each kind there were, the most frequent first."""
    counts: dict[str, int] = {}
    for each in answers:
        counts[each.kind] = counts.get(each.kind, 0) + 1
    return dict(sorted(counts.items(), key=lambda pair: -pair[1]))


def last_words(log: str) -> str:
    """The line of a log that says why a process ended: the error's own, which may stand above its stack."""
    lines = [line for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if DIED_OF.match(line)]
    return (errors or lines or [""])[-1].strip()
