"""Several processes generate one load: waited for, begun at once, and read as if they were one."""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pytest_prodready.environment.logs import tail
from pytest_prodready.environment.runs import Run
from pytest_prodready.errors import ServerError
from pytest_prodready.generator.plan import Plan
from pytest_prodready.generator.stream import Sample
from pytest_prodready.generators import LOOPBACK, Generators
from pytest_prodready.probes.health import wait_until
from pytest_prodready.probes.load import Topology, Worker
from pytest_prodready.probes.load_generator import (
    ENDED_WITHIN_S,
    READY_WITHIN_S,
    Generating,
    Telling,
    Told,
    ended,
    generating,
    spawned,
)
from pytest_prodready.probes.load_lost import GeneratorLost

POLL_S = 0.1
TELL_EVERY_S = 1.0
BEGUN_WITHIN_S = 2 * READY_WITHIN_S


class WorkerLost(GeneratorLost):
    """A worker is gone in the middle of a load; what is left of it is no load that could be judged."""


class Slices:
    """Puts together what workers write; what one of them has sent and nobody got is a gap."""

    def __init__(self, workers: int) -> None:
        self.errors: list[list[int]] = [[] for _ in range(workers)]  # their numbers by each worker's own
        self.done: set[int] = set()
        self._known: dict[str, int] = {}
        self._batches = [0] * workers
        self._from = 0
        self._unfinished = 0

    def merged(self, told: Told) -> Iterator[Told]:
        """What this means for the whole load; raises WorkerLost at a gap."""
        if isinstance(told, Sample):
            yield told if told.error < 0 else told._replace(error=self.errors[self._from][told.error])
        elif "from" in told:
            self._from, number = told["from"]
            self._count(number)
        elif "error" in told:
            yield from self._named(told["error"])
        elif "health" in told:
            yield {"health": {**told["health"], "worker": self._from}}
        elif "start" in told:
            yield told
        elif "unfinished" in told:
            self._unfinished += told["unfinished"]
        elif "done" in told:
            self.done.add(self._from)
            if len(self.done) == len(self.errors):
                yield {"unfinished": self._unfinished}
                yield told

    def _count(self, number: int) -> None:
        expected = self._batches[self._from]
        if number != expected:
            raise WorkerLost(
                f"message {expected} of worker {self._from + 1} of {len(self.errors)} never came,"
                f" and message {number} did"
            )
        self._batches[self._from] += 1

    def _named(self, words: str) -> Iterator[Told]:
        if words not in self._known:
            self._known[words] = len(self._known)
            yield {"error": words}
        self.errors[self._from].append(self._known[words])


class Workers:
    """A master and those who work for it, for one plan after another."""

    def __init__(self, run: Run, generators: Generators) -> None:
        self._run, self._wanted = run, generators
        local = not generators.expected
        host, port = (LOOPBACK, 0) if local else (generators.host, generators.port)
        master = ("--master", str(generators.count), "--bind-host", host, "--bind-port", str(port))
        self._master = Telling(run, *master)
        self._ours: list[subprocess.Popen[bytes]] = []
        self._logs: list[Path] = []  # of these
        self._hosts: list[str] = []
        self._refused: Counter[str] = Counter()  # by host and why
        self._clocks_ms: dict[int, float] = {}
        self._slices = Slices(generators.count)
        self.over = False

    @property
    def alive(self) -> bool:
        """Whether the master still runs."""
        return self._master.alive

    @property
    def untimely_end(self) -> str:
        """What to say where the master ended before it was done."""
        return self._master.untimely_end

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes of ours."""
        return (self._master.pid, *(each.pid for each in self._ours))

    @property
    def elsewhere(self) -> bool:
        """Whether they are on hosts of others."""
        return bool(self._wanted.expected)

    @property
    def topology(self) -> Topology:
        """From where the load comes."""
        return Topology(len(self._hosts), len(set(self._hosts)))

    @property
    def each(self) -> tuple[Worker, ...]:
        """What is known of each worker."""
        return tuple(Worker(host, self._clocks_ms.get(number)) for number, host in enumerate(self._hosts))

    def gather(self, progress: Callable[[str], None]) -> None:
        """Start those of this machine, or wait for the others; raises ServerError when they don't come."""
        within_s = self._wanted.wait_s if self._wanted.expected else READY_WITHIN_S
        end, tell_at = time.monotonic() + within_s, 0.0
        while True:
            running = self.alive  # before its last words are read
            for told in self._master.told():
                self._note(told)
            if len(self._hosts) == self._wanted.count:
                return
            self._see_that_ours_live()
            now = time.monotonic()
            if now > end or not running:
                raise self._absent(within_s)
            if now > tell_at:
                tell_at = now + TELL_EVERY_S
                progress(f"load: {self._who_is_there()}, {end - now:.0f} s left")
            wait_until(now + POLL_S)

    def begin(self, plan: Plan) -> None:
        """Hand out a plan."""
        self._slices = Slices(self._wanted.count)
        self._master.say(plan.as_json())

    def began(self) -> tuple[float, list[Told]]:
        """When the schedule begins (monotonic), and what else was told by then; raises ServerError."""
        end = time.monotonic() + BEGUN_WITHIN_S
        told: list[Told] = []
        while time.monotonic() < end and self.alive:
            told += self.news()  # all of it: the workers' first words may have come with the start
            for each in told:
                if isinstance(each, dict) and "start" in each:
                    return float(each["start"]), told
            wait_until(time.monotonic() + POLL_S / 5)
        raise ServerError("The workers of the load did not begin.", value=self._master.log())

    def news(self) -> Iterator[Told]:
        """What all of them have written since the last time; raises WorkerLost when one is gone."""
        for told in self._master.told():
            self._note(told)
            yield from self._slices.merged(told)
        for process in self._ours:
            if process.poll() is not None and len(self._slices.done) < self._wanted.count:
                raise WorkerLost(f"a worker on this machine ended with status {process.returncode}")

    def end_climb(self) -> None:
        """Leave out what is left of the climb."""
        self._master.say("end climb")

    def leave(self) -> None:
        """What isn't done by now goes on no longer."""
        if len(self._slices.done) < self._wanted.count:
            self.over = True
            self._master.say("over")

    def discard(self) -> None:
        """Send everybody home, and end what is ours."""
        self._master.say("over")
        wait_until(time.monotonic() + ENDED_WITHIN_S, lambda: not self.alive)
        self._master.discard()
        for process in self._ours:
            ended(process)

    def _note(self, told: Told) -> None:
        if isinstance(told, Sample):
            return
        match next(iter(told.items())):
            case "listening", port if not self._wanted.expected:
                self._ours = [self._started(int(port)) for _ in range(self._wanted.count)]
            case "came", host:
                self._hosts.append(str(host))
            case "left", host:
                self._hosts.remove(str(host))
            case "refused", who:
                self._refused[str(who)] += 1
            case "clock", seen:
                self._clocks_ms[seen["worker"]] = seen["known_to_ms"]
            case "deaf", why:
                raise ServerError(
                    "There is no listening for workers.",
                    value=f"{self._wanted.host}:{self._wanted.port}: {why}",
                    source="--prodready-load-bind-host, --prodready-load-bind-port",
                    remedy="end what listens there, or name another port",
                )
            case "unready", why:
                raise ServerError(str(why))
            case "lost", seen:
                self.over = True
                raise WorkerLost(
                    f"worker {seen['worker'] + 1} of {self._wanted.count}, {seen['host']}, {seen['why']}"
                )

    def _see_that_ours_live(self) -> None:
        for process, log in zip(self._ours, self._logs, strict=True):
            if process.poll() is not None:
                raise ServerError(
                    f"A worker on this machine ended with status {process.returncode} before the load began.",
                    value=tail(log),
                    source="--prodready-load-workers",
                )

    def _started(self, port: int) -> subprocess.Popen[bytes]:
        number = len(list(self._run.folder.glob("load-worker-*.log"))) + 1
        self._logs.append(self._run.folder / f"load-worker-{number}.log")
        words = ["pytest_prodready.generator", "--worker", "--master-port", str(port), "--die-with-stdin"]
        return spawned(self._run, words, self._logs[-1])

    def _who_is_there(self) -> str:
        where = f" at {self._wanted.host}:{self._wanted.port}" if self._wanted.expected else ""
        there = f" ({', '.join(self._hosts)})" if self._wanted.expected and self._hosts else ""
        home = f", {self._refused.total()} sent home" if self._refused else ""
        return f"{len(self._hosts)} of {self._wanted.count} workers have come{where}{there}{home}"

    def _absent(self, within_s: float) -> ServerError:
        return ServerError(
            f"{self._who_is_there()} within {within_s:g} s: the load is not generated by less.",
            value=None if self.alive else self._master.log(),
            source="--prodready-load-expect-workers" if self._wanted.expected else "--prodready-load-workers",
            tried=[f"a worker came and was sent home: {who}" for who in self._refused],
            remedy=self._how_to_join() if self._wanted.expected else None,
        )

    def _how_to_join(self) -> str:
        host = self._wanted.host if self._wanted.host != "0.0.0.0" else "ADDRESS"  # noqa: S104 (a name)
        command = f"python -m pytest_prodready.generator --worker --master-host {host}"
        bind = "--prodready-load-bind-host=ADDRESS, one of this host's that they reach"
        here = f"; from other hosts only with {bind}" if host == LOOPBACK else ""
        return f"start them: {command} --master-port {self._wanted.port}{here}"


@contextmanager
def gathered(run: Run, generators: Generators, progress: Callable[[str], None]) -> Iterator[Workers | None]:
    """All workers, as long as the block lasts; None where one process is enough."""
    if generators.alone:
        yield None
        return
    workers = Workers(run, generators)
    try:
        workers.gather(progress)
        yield workers
    finally:
        workers.discard()


@contextmanager
def carried_out(run: Run, plan: Plan, workers: Workers | None) -> Iterator[Generating]:
    """One plan carried out by all workers, or by one process, as long as the block lasts."""
    if workers is None:
        with generating(run, plan) as alone:
            yield alone
        return
    workers.begin(plan)
    try:
        yield workers
    finally:
        workers.leave()
