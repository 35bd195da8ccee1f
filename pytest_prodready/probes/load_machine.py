"""Who uses this machine's processors while the load runs: we, with service and servers, or others."""

from __future__ import annotations

import os
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import psutil

from pytest_prodready.environment.consumption import delay_of, delays_of
from pytest_prodready.environment.leftovers import of_run
from pytest_prodready.probes.load import MachineLook, Usage

KNOWN_FOR_S = 2.0  # which processes are ours
# In a container a server of ours is nobody's child; taken for ours, another's makes nobody doubt.
# docker-proxy is what stands before each port of a container that is reached by loopback.
SERVERS = frozenset(
    {"postgres", "redis-server", "valkey-server", "toxiproxy", "toxiproxy-server", "docker-proxy"}
)


class _Seen(NamedTuple):
    """One process at the last look."""

    parent: int
    began: float  # Unix time
    ran_s: float
    children_s: float  # that it has waited for
    waits: Mapping[str, float] | None  # for a processor, by thread, in seconds; None: unknown


class Machine:
    """Counts processor time since it was made."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ours: list[psutil.Process] = []
        self._started: set[psutil.Process] = set()  # by this run; of the rest some may be another's
        self._known_until = 0.0
        self._last: dict[int, _Seen] = {}
        self._again_s = defaultdict[int, float](float)  # by parent: of children counted while they lived
        self._ours_s = 0.0
        self._ran_s = self._waited_s = 0.0  # of these, for requests: we look on
        self._tells = delay_of(os.getpid()) is not None
        self._began, self._looked_at = time.time(), time.monotonic()
        self.look()

    def counts(self, pid: int | None) -> bool:
        """Whether this process is one of ours that can be looked at from here; in a container it is not."""
        return any(process.pid == pid for process in self._ours)

    def look(self) -> MachineLook:
        """Seconds of all processors that were there, were busy, and were used by us."""
        self._count()
        times = psutil.cpu_times()
        waiting = times.idle + getattr(times, "iowait", 0.0)
        # A guest's time is part of user's already.
        total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
        stolen = getattr(times, "steal", 0.0)
        return MachineLook(
            time.monotonic(),
            total,
            total - waiting,
            self._ours_s,
            serving_s=round(self._ran_s, 3),
            waited_s=round(self._waited_s, 3) if self._tells else None,
            stolen_s=round(stolen, 3),
        )

    def _count(self) -> None:
        """Add what ours have used since the last look; what one has waited for that ended is gone with it."""
        now, known = time.monotonic(), set(self._ours)
        since_s, self._looked_at = now - self._looked_at, now
        if now > self._known_until:
            self._ours, self._known_until = self._mine(), now + KNOWN_FOR_S
        known.update(self._ours)
        seen = {each: read for each in self._ours if (read := _read(each)) is not None}
        self._ours = list(seen)
        ended = known.difference(seen)
        # First: parents tell of them from now on. The youngest of them before its own parent.
        for each in sorted(ended, key=lambda process: process.pid, reverse=True):
            self._forget(each.pid)
        for each, read in seen.items():
            self._add(each, read, since_s)
        self._waited_s += since_s * len(ended & self._started)

    def _add(self, process: psutil.Process, now: _Seen, since_s: float) -> None:
        """Add what it has used, and waited for, since the last look."""
        first = now._replace(ran_s=0.0, children_s=0.0, waits={}) if now.began > self._began else now
        before = self._last.get(process.pid, first)
        self._last[process.pid] = now if now.waits is not None else now._replace(waits=before.waits)
        ran_s = now.ran_s - before.ran_s + self._of_children(process.pid, now.children_s - before.children_s)
        self._ours_s += ran_s
        if process.pid != os.getpid():
            self._ran_s += ran_s
            self._waited_s += risen_s(before.waits or {}, now.waits, since_s)

    def _of_children(self, pid: int, ended_s: float) -> float:
        """What children that have ended had used beyond what was counted: most live for less than a look."""
        again_s = min(ended_s, self._again_s.get(pid, 0.0))
        if again_s:
            self._again_s[pid] -= again_s
        return ended_s - again_s

    def _forget(self, pid: int) -> None:
        """One has ended; its parent, if it waits for it, will have used all that it has."""
        seen = self._last.pop(pid, None)
        again_s = self._again_s.pop(pid, 0.0)  # of children that ended in the same moment
        if seen is not None:
            self._again_s[seen.parent] += seen.ran_s + seen.children_s + again_s

    def _mine(self) -> list[psutil.Process]:
        found = of_run(self._folder)
        self._started.update(found)
        if not any(_is_server(process) for process in found):
            found += [process for process in psutil.process_iter() if _is_server(process)]
        return [*found, psutil.Process()]


def _read(process: psutil.Process) -> _Seen | None:
    """What it has used so far; None where it has ended."""
    try:
        with process.oneshot():
            used, parent, began = process.cpu_times(), process.ppid(), process.create_time()
    except psutil.Error:
        return None
    children_s = used.children_user + used.children_system
    return _Seen(parent, began, used.user + used.system, children_s, delays_of(process.pid))


def risen_s(before: Mapping[str, float], now: Mapping[str, float] | None, since_s: float) -> float:
    """How long threads have waited since the last look: all of that where one has ended, and can't tell."""
    if now is None or before.keys() - now.keys():
        return since_s
    return sum(max(0.0, waited - before.get(thread, 0.0)) for thread, waited in now.items())


def with_service(machine: Sequence[MachineLook], service: Sequence[Usage]) -> tuple[MachineLook, ...]:
    """Looks by which a service that isn't one of the processes that were looked at is ours as well."""
    return tuple(replace(each, ours_s=each.ours_s + _used_s(service, each.at_s)) for each in machine)


def _used_s(service: Sequence[Usage], at_s: float) -> float:
    """Processor time that it had used by then, in proportion; beyond the looks as at the nearest."""
    number = bisect_right([each.at_s for each in service], at_s)
    earlier, later = service[max(0, number - 1) : number], service[number : number + 1]
    if not earlier or not later:
        return (*earlier, *later)[0].cpu_s if service else 0.0
    share = (at_s - earlier[0].at_s) / (later[0].at_s - earlier[0].at_s)
    return earlier[0].cpu_s + share * (later[0].cpu_s - earlier[0].cpu_s)


def _is_server(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.name() in SERVERS
    return False
