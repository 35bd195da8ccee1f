"""What processes of this machine have used."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True)
class Consumption:
    """What the service's processes have used up to now."""

    cpu_s: float
    memory_mb: float
    delay_s: float | None = None  # ready to run, and waiting for a processor; None: nobody tells


def consumption(pids: Iterable[int]) -> Consumption | None:
    """What these processes have used, shared memory for each; None when none of them lives."""
    cpu_s = memory = delay_s = 0.0
    told, living = True, 0
    for pid in pids:
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            with process.oneshot():
                cpu, size = process.cpu_times(), process.memory_info().rss
            living, cpu_s, memory = living + 1, cpu_s + cpu.user + cpu.system, memory + size
            waited = delay_of(pid)
            told, delay_s = told and waited is not None, delay_s + (waited or 0.0)
    return Consumption(cpu_s, memory / 2**20, delay_s if told else None) if living else None


def delay_in(pids: Iterable[int], group: str) -> float | None:
    """How long these processes of a control group waited; None where these numbers aren't theirs here."""
    found = [delay_of(pid) if _belongs(pid, group) else None for pid in pids]
    known = [each for each in found if each is not None]
    return sum(known) if known and len(known) == len(found) else None


def _belongs(pid: int, group: str) -> bool:
    """Whether a process of this machine is in that group; another machine's engine counts on its own."""
    with suppress(OSError):
        return group in Path(f"/proc/{pid}/cgroup").read_text()
    return False


def delay_of(pid: int) -> float | None:
    """How long its threads have waited for a processor (Linux)."""
    delays = delays_of(pid)
    return None if delays is None else sum(delays.values())


def delays_of(pid: int) -> dict[str, float] | None:
    """The same of each thread that lives; None where nobody tells, or one ends meanwhile."""
    try:
        files = list(Path(f"/proc/{pid}/task").glob("*/schedstat"))
        return {each.parent.name: int(each.read_text().split()[1]) / 1e9 for each in files} or None
    except (OSError, ValueError, IndexError):
        return None
