"""How long until the local environment is ready: PostgreSQL with TLS, Redis, both proxies.

    python bench/bench_environment.py [repetitions]

The first start of each PostgreSQL is cold where the cache is empty: binaries are unpacked, a data directory
is initialised. The limit holds for the warm ones.
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

from pytest_prodready.environment.binaries import HIDE
from pytest_prodready.environment.environment import Environment
from pytest_prodready.settings import Settings

LIMIT_S = 1.5
SETTINGS = {
    "service": {"name": "bench", "command": "{python} -m http.server --bind 127.0.0.1 {port}"},
    "postgres": {},
    "redis": {},
}


def once(folder: Path, tls: bool) -> tuple[float, float, str]:
    """Seconds until the servers and proxies are ready, seconds to stop, and what ran."""
    settings = Settings.model_validate({**SETTINGS, "redis": {"tls": tls}})
    ready: list[float] = []

    def progress(step: str) -> None:
        if step == "starting bench":  # the service comes after all servers
            ready.append(time.perf_counter())

    began = time.perf_counter()
    environment = Environment.start(settings, folder=folder, progress=progress)
    stopping = time.perf_counter()
    environment.stop()
    versions = environment.versions
    names = f"{versions['postgres']}, {versions['redis']}, {versions['faultproxy']}"
    return ready[0] - began, time.perf_counter() - stopping, names


def row(folder: Path, hide: bool, tls: bool, repetitions: int) -> float:
    """Measure one combination, print its line, and return the median."""
    os.environ[HIDE] = "1" if hide else "0"
    first, _, names = once(folder, tls)
    runs = [once(folder, tls) for _ in range(repetitions)]
    ready = sorted(seconds for seconds, _, _ in runs)
    stop = statistics.median(seconds for _, seconds, _ in runs)
    median = statistics.median(ready)
    redis = "TLS" if tls else "plain"
    print(f"| {names} | {redis} | {first:.2f} | {median:.2f} | {ready[-1]:.2f} | {stop:.2f} |")
    return median


def main() -> None:
    """Print a table, and fail when a warm start takes longer than the limit."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    print(
        f"{os.cpu_count()} CPUs, {platform.system()} {platform.release()}, Python {platform.python_version()}"
    )
    print(f"{repetitions} warm starts each, seconds")
    print("\n| servers | Redis | first | warm, median | warm, worst | stop |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        medians = [
            row(Path(folder), hide, tls, repetitions) for hide in (False, True) for tls in (False, True)
        ]
    if max(medians) > LIMIT_S:
        sys.exit(f"slower than {LIMIT_S} s")


if __name__ == "__main__":
    main()
