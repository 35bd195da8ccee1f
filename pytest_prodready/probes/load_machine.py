"""Who uses this machine's processors while the load runs: we, with service and servers, or others."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

import psutil

from pytest_prodready.environment.leftovers import of_run
from pytest_prodready.probes.load import MachineLook

KNOWN_FOR_S = 2.0  # which processes are ours
# In a container a server of ours is nobody's child; taken for ours, another's makes nobody doubt.
SERVERS = frozenset({"postgres", "redis-server", "valkey-server", "toxiproxy", "toxiproxy-server"})


class Machine:
    """Counts processor time since it was made."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ours: list[psutil.Process] = []
        self._known_until = 0.0
        self._last: dict[int, float] = {}
        self._ours_s = 0.0
        self.look()

    def look(self) -> MachineLook:
        """Seconds of all processors that were there, were busy, and were used by us."""
        if time.monotonic() > self._known_until:
            self._ours = self._mine()
            self._known_until = time.monotonic() + KNOWN_FOR_S
        for process in self._ours:
            with suppress(psutil.Error):
                used = process.cpu_times()
                now = used.user + used.system
                self._ours_s += now - self._last.setdefault(process.pid, now)
                self._last[process.pid] = now
        times = psutil.cpu_times()
        waiting = times.idle + getattr(times, "iowait", 0.0)
        # A guest's time is part of user's already.
        total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
        return MachineLook(time.monotonic(), total, total - waiting, self._ours_s)

    def _mine(self) -> list[psutil.Process]:
        found = {process.pid: process for process in of_run(self._folder)}
        for process in psutil.process_iter(["name"]):
            if process.info["name"] in SERVERS:
                found[process.pid] = process
        found[os.getpid()] = psutil.Process()
        return list(found.values())
