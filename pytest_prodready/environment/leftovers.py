"""Finding and ending what a run has started, also when nobody remembers it but the system."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from pytest_prodready.environment.places import server_user

LABEL = "PRODREADY_RUN"  # in the environment of every process that we start
INSTANCE = "PRODREADY_INSTANCE"  # and of every instance of the service: which one
RECORD = "processes"  # in the run's folder: a line "pid create-time" for each of them
SHARED_MEMORY = Path("/proc/sysvipc/shm")
KILL_ROUNDS = 5
FORCED_WITHIN_S = 10.0
SAME_START_S = 1.5  # the system's clock may be set between two readings


def identity(pid: int) -> tuple[int, float] | None:
    """Process id and start time, which together name one process for ever; None when it is gone."""
    try:
        return pid, psutil.Process(pid).create_time()
    except psutil.Error:
        return None


def is_alive(pid: int, created: float) -> bool:
    """Whether this very process still runs, and not another that was given its number."""
    now = identity(pid)
    if now is None or abs(now[1] - created) > SAME_START_S:
        return False
    with suppress(psutil.Error):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def remember(folder: Path, pid: int) -> None:
    """Write down that this run has started a process."""
    if known := identity(pid):
        with (folder / RECORD).open("a") as record:
            record.write(f"{known[0]} {known[1]}\n")


def of_run(folder: Path) -> list[psutil.Process]:
    """Every living process of the run, ourselves excepted."""
    roots = [process for process in _visible() if _belongs(process, folder)]
    roots += list(_recorded(folder))
    found = {process.pid: process for process in roots}
    for root in roots:
        with suppress(psutil.Error):
            found.update((child.pid, child) for child in root.children(recursive=True))
    found.pop(os.getpid(), None)
    return [process for process in found.values() if runs(process)]


def of_instance(folder: Path, name: str) -> list[psutil.Process]:
    """Every living process of one instance of the service, those that turned their back on it included."""
    found = []
    for process in _visible():
        with suppress(psutil.Error, OSError):
            variables = process.environ()
            if (variables.get(LABEL), variables.get(INSTANCE)) == (folder.name, name) and runs(process):
                found.append(process)
    return found


def end(folder: Path, *, within_s: float = 10.0) -> int:
    """End every process of the run and return how many there were."""
    deadline = time.monotonic() + within_s
    ended: set[int] = set()
    while (processes := of_run(folder)) and time.monotonic() < deadline:
        ended.update(process.pid for process in processes)
        # PostgreSQL gives its shared memory back when told to quit, but not when killed.
        servers = [process for process in processes if _name(process) == "postgres"]
        _send(servers, signal.SIGQUIT, signal.SIGCONT)
        wait_gone(servers, within_s=2)
        _send(processes, signal.SIGKILL)
        wait_gone(processes, within_s=2)
    for file in folder.glob("*/data/postmaster.pid"):
        forget_shared_memory(file)
    return len(ended)


def end_command(folder: Path, leader: int, mark: str) -> int:
    """End a command's group and whatever else carries its mark; returns how many there were."""
    count = 0
    for _ in range(KILL_ROUNDS):
        found = [*of_groups([leader]), *of_instance(folder, mark)]
        living = {each.pid: each for each in found if runs(each)}
        if not living:
            break
        count += len(living)
        for each in living.values():
            with suppress(psutil.Error):
                each.kill()
        wait_gone(living.values(), within_s=FORCED_WITHIN_S)
    return count


def wait_gone(processes: Iterable[psutil.Process], *, within_s: float) -> bool:
    """Wait until they have all ended; one that only waits for its parent to notice has ended too."""
    left = list(processes)
    deadline = time.monotonic() + within_s
    while left := [process for process in left if runs(process)]:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def forget_shared_memory(postmaster_file: Path) -> None:
    """Remove the shared memory segment that a killed PostgreSQL has left behind (Linux)."""
    with suppress(OSError, IndexError, ValueError):
        key, segment = map(int, postmaster_file.read_text().splitlines()[6].split())
        for line in SHARED_MEMORY.read_text().splitlines()[1:]:
            fields = line.split()
            unused = fields[6] == "0"
            if (int(fields[0]), int(fields[1])) == (key, segment) and unused:
                ctypes.CDLL(None).shmctl(segment, 0, None)  # 0 is IPC_RMID


def _visible() -> Iterator[psutil.Process]:
    """The processes that may be ours by their user."""
    users = {os.geteuid()}
    if user := server_user():
        users.add(user.uid)
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.uids().real in users:
                yield process


def _belongs(process: psutil.Process, folder: Path) -> bool:
    """Whether a process carries the run's label, or is a PostgreSQL (which loses it) on the run's data."""
    with suppress(psutil.Error, OSError):
        if process.environ().get(LABEL) == folder.name:
            return True
    with suppress(psutil.Error, OSError):
        return process.name() == "postgres" and Path(process.cwd()).is_relative_to(folder)
    return False


def _recorded(folder: Path) -> Iterator[psutil.Process]:
    """The processes that the run wrote down, with their groups: each leads one of its own."""
    try:
        lines = (folder / RECORD).read_text().splitlines()
    except OSError:
        return
    leaders = set()
    for line in lines:
        with suppress(ValueError, psutil.Error):
            pid, created = line.split()
            if is_alive(int(pid), float(created)):
                leaders.add(int(pid))
    yield from of_groups(leaders)


def of_groups(leaders: Iterable[int]) -> Iterator[psutil.Process]:
    """The processes in the groups of these leaders."""
    wanted = set(leaders)
    for process in psutil.process_iter() if wanted else ():
        with suppress(ProcessLookupError, PermissionError):
            if os.getpgid(process.pid) in wanted:
                yield process


def runs(process: psutil.Process) -> bool:
    """Whether the process has not ended."""
    with suppress(psutil.Error):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def _name(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return str(process.name())
    return ""


def _send(processes: Iterable[psutil.Process], *signals: signal.Signals) -> None:
    for process in processes:
        for number in signals:
            with suppress(psutil.Error, ProcessLookupError):
                process.send_signal(number)  # psutil makes sure that it is still the same process
