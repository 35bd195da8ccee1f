"""What a direct connection, Toxiproxy (if there is one) and the fault proxy can do and cost, side by side.

    python bench/bench_faultproxy.py [--rounds 3] [--trips 5000] [--megabytes 1000] [--idle 400]

The contenders take turns, so that a busy machine is equally unfair to all. Toxiproxy is the binary that
PRODREADY_TOXIPROXY names, or `toxiproxy-server` on PATH. Goals: 1.5 times its throughput, and no more
added to the median round trip.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection

import psutil

from pytest_prodready.faults import FaultProxy, FaultProxyError

SIZE = 100
BLOCK = 256 * 1024
DIRECT, THEIRS, OURS = "direct", "Toxiproxy", "fault proxy"
ROUND_TRIP, THROUGHPUT = "round trip, µs", "throughput, MB/s"
Address = tuple[str, int]


def serve(ready: Connection) -> None:
    """Echo on connections that begin with `e`, read and count on `s`, and keep `i` as they are."""
    kept = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ready.send(listener.getsockname()[1])
        while True:
            sock, _ = listener.accept()
            with contextlib.suppress(ConnectionError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                kept.append(sock) if talk(sock) else sock.close()


def talk(sock: socket.socket) -> bool:
    """Do what the first byte says; whether the connection is to be kept."""
    kind = sock.recv(1)
    if kind == b"i":
        sock.sendall(b"k")
    else:
        (echo if kind == b"e" else sink)(sock)
    return kind == b"i"


def echo(sock: socket.socket) -> None:
    """Send everything back."""
    while data := sock.recv(65536):
        sock.sendall(data)


def sink(sock: socket.socket) -> None:
    """Read the number of bytes that was announced, then say so."""
    left = int.from_bytes(sock.recv(8, socket.MSG_WAITALL), "big")
    buffer = bytearray(1 << 20)
    while left > 0 and (count := sock.recv_into(buffer, min(left, len(buffer)))):
        left -= count
    sock.sendall(b"k")


def round_trip_us(address: Address, trips: int) -> float:
    """The median round trip of a small message."""
    with socket.create_connection(address) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(b"e")
        seconds = [_trip(sock) for _ in range(trips)]
    return statistics.median(seconds) * 1e6


def _trip(sock: socket.socket) -> float:
    started = time.perf_counter()
    sock.sendall(b"x" * SIZE)
    sock.recv(SIZE, socket.MSG_WAITALL)
    return time.perf_counter() - started


def throughput_mb_s(address: Address, megabytes: int) -> float:
    """The rate of one connection, one way, until the last byte was read."""
    block, total = bytes(BLOCK), megabytes * 1_000_000
    with socket.create_connection(address) as sock:
        started = time.perf_counter()
        sock.sendall(b"s" + total.to_bytes(8, "big"))
        for _ in range(total // BLOCK):
            sock.sendall(block)
        sock.sendall(block[: total % BLOCK])
        sock.recv(1)
        return megabytes / (time.perf_counter() - started)


def connects_per_s(address: Address, count: int) -> float:
    """How many connections a second are opened, used for one byte and closed, one after the other."""
    started = time.perf_counter()
    for _ in range(count):
        with socket.create_connection(address) as sock:
            sock.sendall(b"ex")
            sock.recv(1)
    return count / (time.perf_counter() - started)


def idle_kb(server: psutil.Process, address: Address, count: int) -> float:
    """How much memory the server takes for a connection that does nothing; it must give all back."""
    before, descriptors = server.memory_info().rss, server.num_fds()
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            sock = stack.enter_context(socket.create_connection(address))
            sock.sendall(b"i")
            sock.recv(1)  # so that it is connected all the way
        taken = server.memory_info().rss - before
    wait_for(lambda: server.num_fds() <= descriptors)
    return taken / count / 1000


def wait_for(condition: Callable[[], bool]) -> None:
    """Until a condition comes true, ten seconds at most."""
    deadline = time.monotonic() + 10
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("descriptors were not given back")
        time.sleep(0.01)


@contextlib.contextmanager
def process(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A server that ends with the block."""
    started = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        yield started
    finally:
        started.kill()
        started.communicate()


@contextlib.contextmanager
def builtin() -> Iterator[tuple[FaultProxy, psutil.Process]]:
    """The fault proxy."""
    with process([sys.executable, "-m", "pytest_prodready.faultproxy", "--port", "0"]) as server:
        assert server.stdout is not None
        told = json.loads(server.stdout.readline())
        yield FaultProxy(told["host"], told["port"]), psutil.Process(server.pid)


@contextlib.contextmanager
def toxiproxy(binary: str) -> Iterator[tuple[FaultProxy, psutil.Process]]:
    """Toxiproxy, quiet, for its log costs time."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    os.environ["LOG_LEVEL"] = "fatal"
    with process([binary, "-host", "127.0.0.1", "-port", str(port)]) as server:
        control = FaultProxy("127.0.0.1", port)
        while True:
            with contextlib.suppress(FaultProxyError):
                control.version()
                break
            time.sleep(0.02)
        yield control, psutil.Process(server.pid)


def measure(contenders: dict[str, Address], options: argparse.Namespace) -> dict[str, dict[str, list[float]]]:
    """All figures of all contenders, in turns."""
    figures: dict[str, Callable[[Address], float]] = {
        ROUND_TRIP: lambda address: round_trip_us(address, options.trips),
        THROUGHPUT: lambda address: throughput_mb_s(address, options.megabytes),
        "connections/s": lambda address: connects_per_s(address, options.connections),
    }
    seen: dict[str, dict[str, list[float]]] = {
        name: {figure: [] for figure in figures} for name in contenders
    }
    for _ in range(options.rounds):
        for figure, taken in figures.items():
            for name, address in contenders.items():
                seen[name][figure].append(taken(address))
    return seen


def show(seen: dict[str, dict[str, list[float]]]) -> None:
    """A table: the lowest and the highest of the rounds."""
    figures = list(next(iter(seen.values())))
    print(f"{'':<22}" + "".join(f"{figure:>22}" for figure in figures))
    for name, taken in seen.items():
        cells = [f"{min(taken[figure]):,.0f} to {max(taken[figure]):,.0f}" for figure in figures]
        print(f"{name:<22}" + "".join(f"{cell:>22}" for cell in cells))


def compare(seen: dict[str, dict[str, list[float]]]) -> None:
    """The goals, by the median of the rounds."""

    def median(name: str, figure: str) -> float:
        return statistics.median(seen[name][figure])

    times = median(OURS, THROUGHPUT) / median(THEIRS, THROUGHPUT)
    added = [median(name, ROUND_TRIP) - median(DIRECT, ROUND_TRIP) for name in (OURS, THEIRS)]
    print(f"throughput: {times:.2f} times Toxiproxy's (goal: 1.5)")
    print(f"added to the round trip: {added[0]:.0f} µs, Toxiproxy {added[1]:.0f} µs (goal: no more)")


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trips", type=int, default=5000)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--connections", type=int, default=500)
    parser.add_argument("--idle", type=int, default=400)
    options = parser.parse_args()
    here, there = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(there,), daemon=True)
    server.start()
    with contextlib.ExitStack() as stack:
        run(stack, ("127.0.0.1", int(here.recv())), options)
    server.terminate()
    server.join()


def run(stack: contextlib.ExitStack, upstream: Address, options: argparse.Namespace) -> None:
    """Start the contenders, measure and show."""
    contenders: dict[str, Address] = {DIRECT: upstream}
    servers: dict[str, psutil.Process] = {}
    binary = os.environ.get("PRODREADY_TOXIPROXY") or shutil.which("toxiproxy-server")
    starts = ({THEIRS: toxiproxy(binary)} if binary else {}) | {OURS: builtin()}
    for name, start in starts.items():
        control, servers[name] = stack.enter_context(start)
        proxied = control.create("b", f"127.0.0.1:{upstream[1]}")
        contenders[name] = (proxied.host, proxied.port)
        slow = control.create("s", f"127.0.0.1:{upstream[1]}")
        stack.enter_context(slow.latency(ms=0))
        contenders[f"{name}, 1 toxic"] = (slow.host, slow.port)
    idle = {name: idle_kb(server, contenders[name], options.idle) for name, server in servers.items()}
    seen = measure(contenders, options)
    show(seen)
    if binary:
        compare(seen)
    for name, kb in idle.items():
        print(f"{name}: {kb:.0f} kB for each of {options.idle} idle connections; no descriptor left")


if __name__ == "__main__":
    main()
