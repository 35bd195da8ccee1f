"""How many requests a second the load generator sends, beside Locust alone, on a server that does nothing.

    python bench/bench_load.py [--rounds 5] [--seconds 4] [--users 50]

Four contenders take turns, so that a busy machine is equally unfair to all; a figure is the median over the
rounds: Locust alone (FastHttpUser without any wait), one process of ours, two of them, and wrk, where it is
installed, which tells what the server can do. Ours are asked for somewhat more than they can do, and what was
answered counts.

The server is nginx (`return 200`) where it is installed. Else it is the gate's null server, which is in
Python and may itself be the limit: then the output says so. Two processes need two free processors beside the
server's. Where processes had to wait for a processor, what counts is how much of one a request takes: one
process beside Locust alone, and each of two beside one.
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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pytest_prodready.environment.ports import answers
from pytest_prodready.environment.runs import Run
from pytest_prodready.environment.service import Endpoint
from pytest_prodready.environment.waiting import comes_true
from pytest_prodready.generator.plan import Ask, Plan, Stage
from pytest_prodready.generator.stream import Sample
from pytest_prodready.generators import Generators
from pytest_prodready.probes.load_generator import null_server
from pytest_prodready.probes.load_workers import carried_out, gathered

ONE_LIMIT = 0.95  # of Locust's own rate
TWO_LIMIT = 1.7  # of one process
SETTLED_S = 1.5  # a look at the processor before tells of the start as well
WAITED = 0.1  # of the time for a processor: then it is short of them
MORE = 1.15  # than Locust alone can do is asked for; as much is dealt out, which costs time as well
ALONE = """
import json, pathlib, time
from locust import FastHttpUser, events, task

began = 0.0

@events.test_start.add_listener
def start(**_):
    global began
    began = time.process_time()

@events.test_stop.add_listener
def stop(environment, **_):
    told = [time.process_time() - began, environment.stats.total.num_requests]
    pathlib.Path(__file__).with_name("told").write_text(json.dumps(told))

class Alone(FastHttpUser):
    @task
    def ask(self):
        self.client.get("/jobs")
"""
NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log stderr error;
events {{ worker_connections 1024; }}
http {{
    access_log off; keepalive_requests 1000000000;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    server {{ listen 127.0.0.1:{port}; default_type application/json; location / {{ return 200 "{{}}"; }} }}
}}
"""


@dataclass(frozen=True)
class Bench:
    """What all contenders have in common."""

    run: Run
    url: str
    seconds: float
    users: int
    rates: dict[str, list[float]] = field(default_factory=dict)  # by contender, of each round
    waited: dict[str, list[float]] = field(default_factory=dict)  # for a processor, share of the time
    took_us: dict[str, list[float]] = field(default_factory=dict)  # of a processor, for each request

    @property
    def asked(self) -> float:
        """How many requests a second one process of ours is asked for."""
        return MORE * max(self.rates[LOCUST])


def ours(bench: Bench, workers: int) -> float:
    """Requests a second by so many processes of our generator."""
    stage = Stage("most", bench.url, workers * bench.asked, bench.seconds)
    plan = Plan((stage,), (Ask("jobs", "/jobs"),), workers * bench.users, 600, 1, "t")
    name, answered, healths = f"ours, {workers}", 0, []
    with (
        gathered(bench.run, Generators(workers=workers), lambda _: None) as gang,
        carried_out(bench.run, plan, gang) as load,
    ):
        began, told = load.began()
        while time.monotonic() < began + bench.seconds + 0.5:
            for each in [*told, *load.news()]:
                if isinstance(each, Sample):
                    answered += each.ended_s < bench.seconds
                elif "health" in each and each["health"]["at_s"] >= SETTLED_S:
                    healths.append(each["health"])
            told = []
            time.sleep(0.05)
    rate = answered / bench.seconds
    bench.waited.setdefault(name, []).append(statistics.mean(each["delay"] or 0.0 for each in healths))
    used = workers * statistics.mean(each["cpu"] for each in healths)
    bench.took_us.setdefault(name, []).append(1e6 * used / rate)
    return rate


def alone(bench: Bench) -> float:
    """Requests a second by Locust's own command."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "locustfile.py"
        file.write_text(ALONE)
        command = [
            sys.executable,
            "-m",
            "locust",
            "-f",
            str(file),
            "--headless",
            "--json",
            "--host",
            bench.url,
        ]
        command += ["-u", str(bench.users), "-r", str(bench.users), "-t", f"{bench.seconds:g}s", "--skip-log"]
        done = _done(command, bench)
        used, count = json.loads(file.with_name("told").read_text())
    bench.took_us.setdefault(LOCUST, []).append(1e6 * used / count)
    (stats,) = json.loads(done)
    return float(stats["num_requests"] / (stats["last_request_timestamp"] - stats["start_time"]))


def wrk(bench: Bench) -> float:
    """Requests a second by wrk, which is what the server can do."""
    found = re.search(
        r"Requests/sec:\s+([\d.]+)",
        _done(["wrk", "-t1", f"-c{bench.users}", f"-d{bench.seconds:g}s", bench.url], bench),
    )
    assert found is not None
    return float(found[1])


LOCUST = "locust alone"
CONTENDERS: dict[str, Callable[[Bench], float]] = {
    LOCUST: alone,
    "ours, 1": lambda bench: ours(bench, 1),
    "ours, 2": lambda bench: ours(bench, 2),
    "wrk": wrk,
}


def _done(command: list[str], bench: Bench) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=bench.seconds + 60)
    return done.stdout


@contextmanager
def server(run: Run) -> Iterator[tuple[str, str]]:
    """A server that does nothing but answer: its address, and what it is."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        with null_server(run) as url:
            yield url, "the gate's null server in Python, which may itself be the limit"
        return
    folder, port = run.subfolder("nginx"), run.ports.reserve()
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port))
    command = [program, "-c", str(folder / "nginx.conf")]
    process = run.spawn(command, env={"PATH": os.defpath}, cwd=folder, log=folder / "log")
    try:
        assert comes_true(lambda: answers(Endpoint("127.0.0.1", port)), 10), (folder / "log").read_text()
        yield f"http://127.0.0.1:{port}", "nginx, one process"
    finally:
        process.terminate()
        process.wait(10)
        run.ports.release(port)


def main() -> int:
    """Measure, print, and fail where ours is slower than it may be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--users", type=int, default=50)
    options = parser.parse_args()
    if options.seconds < 2 * SETTLED_S:
        parser.error(f"--seconds {options.seconds:g} is too short; at least {2 * SETTLED_S:g}")
    run = Run.open()
    try:
        with server(run) as (url, what):
            bench = Bench(run, url, options.seconds, options.users)
            for number in range(options.rounds):
                print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
                for name, measure in CONTENDERS.items():
                    if name != "wrk" or shutil.which("wrk"):
                        bench.rates.setdefault(name, []).append(measure(bench))
    finally:
        run.close()
    print(f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} CPUs, {what}")
    for name, rates in bench.rates.items():
        waited = f"   waited {statistics.median(bench.waited[name]):.0%}" if name in bench.waited else ""
        took = (
            f"   {statistics.median(bench.took_us[name]):.0f} us a request" if name in bench.took_us else ""
        )
        most = f"({min(rates):.0f} to {max(rates):.0f})"
        print(f"{name:14} {statistics.median(rates):8.0f}/s   {most:18}{took}{waited}")
    one = told(bench, "ours, 1", LOCUST, ONE_LIMIT, 1)
    two = told(bench, "ours, 2", "ours, 1", TWO_LIMIT, 2)
    return int(not (one and two))


def told(bench: Bench, name: str, over: str, limit: float, workers: int) -> bool:
    """Print one contender's rate over another's; whether it is enough.

    Where processors were short, what counts is how much of one a request takes, beside the other's.
    """
    share = _median_share(bench.rates[name], bench.rates[over])
    by_time = workers * _median_share(bench.took_us[over], bench.took_us[name])
    waited = statistics.median(bench.waited[name])
    words = f", {by_time:.2f} by what a request takes of a processor"
    if short := waited > WAITED:
        words += f", which counts, since each process waited {waited:.0%} of the time for one"
    print(f"{name} over {over}: {share:.2f} (at least {limit}){words}")
    return (by_time if short else share) >= limit


def _median_share(these: list[float], those: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(these, those, strict=True))


if __name__ == "__main__":
    sys.exit(main())
