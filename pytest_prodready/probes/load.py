"""What is seen of a service under load: stage by stage, second by second, and of what it stands on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_prodready.probes.drill import Ledger
from pytest_prodready.probes.load_parts import Asked, Awaited, Rise

SELF_TEST, WARM_UP, USUAL, AGAIN = "self-test", "warm-up", "1x", "1x again"


@dataclass(frozen=True, slots=True)
class Interval:
    """A percentile in milliseconds, and where it lies with 90 % confidence (by bootstrap over seconds)."""

    ms: float
    low_ms: float
    high_ms: float


@dataclass(frozen=True, slots=True)
class Times:
    """Exact percentiles of times."""

    count: int
    p50: Interval
    p95: Interval
    p99: Interval
    most_ms: float


@dataclass(frozen=True, slots=True)
class Kind:
    """So many requests that ended in the same way: which request, and its status or why there was none."""

    request: str
    what: str
    count: int


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the schedule; a request belongs to the stage that it was due in."""

    name: str
    multiple: float  # of the expected rate
    rate: float  # requests a second, as planned
    at_s: float
    seconds: float
    planned: int
    due: int  # of these, as far as the stage went
    in_time: int  # had any answer before the stage's end, or a moment later
    good: int  # were answered as declared, and rightly
    goodput: float  # good answers a second, by when they came; no more than were asked for
    checked: int = 0  # good ones whose content is known: `contains`, or a write read back
    shaped: int = 0  # good ones for which an error would have been seen, by their JSON or content
    failed: tuple[Kind, ...] = ()  # other statuses, and no answer
    server_errors: int = 0  # of these: status 500 and above, but 503: so a service says that it is busy
    wrong: tuple[Kind, ...] = ()  # the declared status with wrong content
    hidden: tuple[Kind, ...] = ()  # the declared status, and yet an error
    busy: int = 0  # had to wait until one of the generator's users was free
    unsent: int = 0  # of these, and of those failed: none was until their deadline, or too late for an answer
    held_ms: float | None = (
        None  # of the users' time meanwhile, half was taken by requests no longer than this
    )
    response: Times | None = None  # from the intended start; None: no answer
    service: Times | None = None  # from the actual start, of what was sent
    undisturbed: Times | None = None  # from the intended start, less all that the machine may have added
    mean_s: float = 0.0  # service time
    asked: tuple[Asked, ...] = ()  # the slowest requests, by p95
    users: int = 0  # of a locustfile, whose `rate` is what they made of it; 0: an open schedule
    steady_s: float = 0.0  # when its users had come: `rate` and `held` are of these seconds
    held: float = 0.0  # share of the users' time that they waited for answers
    possible: float = 0.0  # requests a second, had every answer come at once
    in_turn: Times | None = None  # with what held users would have sent meanwhile

    @property
    def failures(self) -> int:
        """How many requests weren't answered as declared."""
        return sum(each.count for each in self.failed)

    @property
    def answered(self) -> int:
        """How many requests had any answer."""
        return self.due - sum(each.count for each in self.failed if not each.what[:3].isdigit())

    @property
    def failed_share(self) -> float:
        """Their share."""
        return self.failures / self.due if self.due else 0.0

    @property
    def achieved(self) -> float:
        """The share of what was due that had an answer in time."""
        return self.in_time / self.due if self.due else 0.0


@dataclass(frozen=True, slots=True)
class Second:
    """One second of the run: what was due in it, and what was answered in it whenever it was due."""

    at_s: float
    stage: int
    due: int
    good: int  # answers that came in it
    failed: int  # of what was due in it
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    slow: int  # good ones of these that took longer than what goes unnoticed
    under_way: float  # on average
    service_delay: float | None = None  # share of the time that its threads waited for a processor, together
    others: float | None = None  # share of this machine's processors that others used
    idle: float | None = None  # and that nobody used


@dataclass(frozen=True, slots=True)
class Generator:
    """How well the generator and the machine were, in the seconds that trouble was seen in, or in all.

    Shares are of the time.
    """

    seconds: int = 0  # that trouble was seen in: slow answers, or none
    self_test: float | None = None  # achieved on a server that does nothing; None: it had no test
    self_test_rate: float = 0.0
    cpu: float | None = None
    delay: float | None = None  # ready to run, and waiting for a processor
    steal: float | None = None
    pressure: float | None = None
    lag_ms: float | None = None  # of a short sleep, 99th percentile
    busy: float = 0.0  # requests that had to wait for a user
    service_delay: float | None = None  # of the service's threads, taken together
    others: float | None = None  # used by others, of this machine's processors
    idle: float | None = None


@dataclass(frozen=True, slots=True)
class PoolLook:
    """The service's connections on the server at one moment."""

    at_s: float
    total: int
    in_use: int
    idle_in_transaction: int
    waiting: int  # for a lock


@dataclass(frozen=True, slots=True)
class Usage:
    """What the service's processes used at one moment: processor time since their start, memory."""

    at_s: float
    cpu_s: float
    memory_mb: float
    delay_s: float | None = None


@dataclass(frozen=True, slots=True)
class MachineLook:
    """What the machine's processors had done at one moment, in seconds of all of them."""

    at_s: float
    total_s: float
    busy_s: float
    ours_s: float  # of the gate, the service and the servers
    serving_s: float = 0.0  # of these, by all that a request may wait for: the gate only looks on
    waited_s: float | None = None  # for which those were ready to run; None: the system doesn't tell
    stolen_s: float = 0.0  # by the host, from all processors


@dataclass(frozen=True, slots=True)
class Counter:
    """How much a server's counter rose."""

    name: str
    count: float


@dataclass(frozen=True, slots=True)
class Knee:
    """R(N) = a + b N + c N², fitted to time and requests under way; the universal scalability law."""

    rate_of_one: float  # requests a second without any wait (N)
    alpha: float  # contention
    beta: float  # coherence
    most_per_s: float | None  # None: no limit can be seen from here


@dataclass(frozen=True, slots=True)
class Topology:
    """From where the load came: only runs of the same topology can be held against each other."""

    workers: int = 1  # processes of the generator, each with its slice of the schedule
    hosts: int = 1  # that they ran on


@dataclass(frozen=True, slots=True)
class Part:
    """One request of the mix."""

    request: str
    asks: str  # method and path
    share: float  # of all requests


@dataclass(frozen=True, slots=True)
class Worker:
    """One of several processes of the generator, and how it was; shares are of the time."""

    host: str
    clock_ms: float | None = None  # it began with the others to within so much
    cpu: float | None = None
    delay: float | None = None  # ready to run, and waiting for a processor
    lag_ms: float | None = None  # of a short sleep


@dataclass(frozen=True, slots=True)
class Load:
    """One run of all stages."""

    expected_rps: float
    multiplier: float
    doubt: str = ""  # why nothing was measured
    lacking: str = ""  # what has to be installed first
    stages: tuple[Stage, ...] = ()
    seconds: tuple[Second, ...] = ()
    settled: Stage | None = None  # the usual load after the peak, from when it has to be as before
    generator: Generator = Generator()
    ended: str = ""  # why the climb was ended early
    ended_in: str = ""  # the stage
    ended_for: str = ""  # failures, or slowness
    unfinished: int = 0  # requests that were still under way when all deadlines had passed
    ledger: Ledger | None = None  # None: no [writes]
    pool: tuple[PoolLook, ...] | None = None  # None: nobody may look
    waits: tuple[Counter, ...] = ()  # looks at backends in use by what they waited for
    usage: tuple[Usage, ...] | None = None
    counters: tuple[Counter, ...] = ()
    peak_rise: Rise | None = None  # of the same counters at the highest load that was tried
    awaited: tuple[Awaited, ...] = ()  # what most waited for
    rested: PoolLook | None = None  # before the first request
    left: PoolLook | None = None  # some time after the last one
    log_errors: int = 0
    same_process: bool | None = None
    died_in: str = ""  # the stage in which its process ended; empty: it didn't, or after the last request
    last_words: str = ""
    knee: Knee | None = None
    attempts: int = 1
    users: int = 0  # of the generator: requests under way at most
    locustfile: str = ""  # the name of the user's own, a closed model; empty: an open schedule
    shortfall: str = ""  # why its users made less of a load than was planned
    remarks: tuple[str, ...] = ()  # on what it did, and what of it doesn't count
    topology: Topology = Topology()
    mix: tuple[Part, ...] = ()
    workers: tuple[Worker, ...] = ()  # where there are several

    def stage(self, name: str) -> Stage | None:
        """The stage of this name, if it came to it."""
        return next((each for each in self.stages if each.name == name), None)

    @property
    def usual(self) -> Stage | None:
        """The usual load."""
        return self.stage(USUAL)

    @property
    def again(self) -> Stage | None:
        """The usual load after the peak."""
        return self.stage(AGAIN)

    @property
    def cut(self) -> str:
        """What was ended early: the climb, or what came after it."""
        return "load" if self.ended_in == AGAIN else "climb"

    @property
    def climb(self) -> tuple[Stage, ...]:
        """The usual load and everything above it."""
        return tuple(each for each in judged(self.stages) if each.name != AGAIN)

    @property
    def peak(self) -> Stage | None:
        """The highest stage that was planned, if it came to it."""
        return next((each for each in self.climb if each.multiple == self.multiplier), None)

    def during(self, stage: Stage | None) -> tuple[PoolLook, ...]:
        """The looks at the pool in a stage."""
        if stage is None:
            return ()
        return tuple(
            each for each in self.pool or () if stage.at_s <= each.at_s <= stage.at_s + stage.seconds
        )

    def seconds_of(self, stage: Stage) -> tuple[Second, ...]:
        """The seconds of which most belongs to a stage."""
        return tuple(
            each for each in self.seconds if stage.at_s <= each.at_s + 0.5 <= stage.at_s + stage.seconds
        )

    def memory_mb(self, stage: Stage | None) -> float | None:
        """The median of the memory in the second half of a stage."""
        if stage is None:
            return None
        end = stage.at_s + stage.seconds
        seen = [u.memory_mb for u in self.usage or () if end - stage.seconds / 2 <= u.at_s <= end]
        return sorted(seen)[len(seen) // 2] if seen else None


def judged(stages: Sequence[Stage]) -> tuple[Stage, ...]:
    """The stages that count: all but the generator's own test, and the warm-up."""
    return tuple(each for each in stages if each.name not in (SELF_TEST, WARM_UP))
