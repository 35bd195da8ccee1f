"""How many requests a second the load generator sends, beside Locust alone, on the gate's null server.

    python bench/bench_load.py [--rounds 3] [--seconds 5] [--users 50]

The contenders take turns, so that a busy machine is equally unfair to all; a figure is the median over the
rounds. Ours is asked for far more than it can do, and what was answered in time counts; Locust alone runs a
FastHttpUser without any wait. Where wrk is installed, it tells what the server can do.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pytest_prodready.environment.runs import Run
from pytest_prodready.generator.plan import Ask, Plan, Stage
from pytest_prodready.generator.stream import Sample
from pytest_prodready.probes.load_generator import generating, null_server

LIMIT = 0.95  # of Locust's own rate
TOO_MANY = 5000  # requests a second; as many are dealt out, which costs time as well
ALONE = """
from locust import FastHttpUser, task

class Alone(FastHttpUser):
    @task
    def ask(self):
        self.client.get("/jobs")
"""


def ours(run: Run, url: str, seconds: float, users: int) -> float:
    """Requests a second by our generator."""
    stage = Stage("most", url, TOO_MANY, seconds, null=True)
    plan = Plan((stage,), (Ask("jobs", "/jobs"),), users, deadline_s=600, settle_s=1, prefix="t")
    answered = 0
    with generating(run, plan) as generator:
        began, told = generator.began()
        while time.monotonic() < began + seconds + 0.5:
            told = [*told, *generator.news()]
            answered += sum(isinstance(each, Sample) and each.ended_s < seconds for each in told)
            told = []
            time.sleep(0.05)
    return answered / seconds


def alone(_: Run, url: str, seconds: float, users: int) -> float:
    """Requests a second by Locust's own command."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "locustfile.py"
        file.write_text(ALONE)
        command = [sys.executable, "-m", "locust", "-f", str(file), "--headless", "--json", "--host", url]
        command += ["-u", str(users), "-r", str(users), "-t", f"{seconds:g}s", "--skip-log"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 60)
    (stats,) = json.loads(done.stdout)
    return float(stats["num_requests"] / (stats["last_request_timestamp"] - stats["start_time"]))


def wrk(_: Run, url: str, seconds: float, users: int) -> float:
    """Requests a second by wrk, which is what the server can do."""
    command = ["wrk", "-t1", f"-c{users}", f"-d{seconds:g}s", url]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 60)
    found = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    assert found is not None, done.stdout
    return float(found[1])


def main() -> int:
    """Measure, print, and fail where ours is slower than it may be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--users", type=int, default=50)
    options = parser.parse_args()
    contenders: dict[str, Callable[[Run, str, float, int], float]] = {"ours": ours, "locust alone": alone}
    if shutil.which("wrk"):
        contenders["wrk"] = wrk
    found: dict[str, list[float]] = {name: [] for name in contenders}
    run = Run.open()
    try:
        with null_server(run) as url:
            for _ in range(options.rounds):
                for name, measure in contenders.items():
                    found[name].append(measure(run, url, options.seconds, options.users))
    finally:
        run.close()
    print(f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} CPUs")
    for name, rates in found.items():
        print(f"{name:14} {statistics.median(rates):8.0f}/s   ({min(rates):.0f} to {max(rates):.0f})")
    share = statistics.median(a / b for a, b in zip(found["ours"], found["locust alone"], strict=True))
    print(f"ours over locust alone: {share:.2f} (at least {LIMIT})")
    return int(share < LIMIT)


if __name__ == "__main__":
    sys.exit(main())
