"""`python -m pytest_prodready.generator --out FILE`: a plan in a line on stdin, and samples in the file.

It ends when the schedule is over and every request has its answer or its deadline has passed, and at once
when stdin ends: it never outlives who started it. A line "end climb" leaves out the rest of the climb.

With --worker it takes its plan from a master and sends its samples there; with --master it is one.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

try:
    from pytest_prodready.generator.work import work  # first: it prepares what everything else imports
except ModuleNotFoundError as failure:  # on a worker's host; the gate has looked before
    raise SystemExit(f"{failure}: {sys.executable} -m pip install 'pytest-prodready[load]'") from None

# isort: split
import gevent

from pytest_prodready.generator.crew import Crew
from pytest_prodready.generator.master import serve
from pytest_prodready.generator.messages import PORT
from pytest_prodready.generator.plan import Plan
from pytest_prodready.generator.schedule import Schedule
from pytest_prodready.generator.stream import Writer
from pytest_prodready.generator.worker import join


def main() -> int:
    """Run one plan, or take part in one."""
    options = _parser().parse_args()
    if options.worker:
        return join(options.master_host, options.master_port, options.die_with_stdin)
    with options.out.open("w", encoding="utf-8") as file:
        writer = Writer(file)
        if options.master:
            return serve(options.bind_host, options.bind_port, options.master, writer)
        _alone(writer)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pytest_prodready.generator")
    role = parser.add_mutually_exclusive_group(required=True)
    role.add_argument("--worker", action="store_true", help="generate a slice of the load for a gate")
    role.add_argument("--out", type=Path, help="where samples are written; the gate's own way to start it")
    joining = parser.add_argument_group("with --worker")
    joining.add_argument("--master-host", default="127.0.0.1", help="where the gate runs (%(default)s)")
    joining.add_argument("--master-port", type=int, default=PORT, help="and listens (%(default)s)")
    joining.add_argument("--die-with-stdin", action="store_true", help="end when stdin does")
    leading = parser.add_argument_group("with --out")
    leading.add_argument("--master", type=int, metavar="N", help="lead N workers instead of working itself")
    leading.add_argument("--bind-host", default="127.0.0.1", help="where it listens for them (%(default)s)")
    leading.add_argument("--bind-port", type=int, default=0, help="any free one: 0 (%(default)s)")
    return parser


def _alone(writer: Writer) -> None:
    """The whole plan in this process."""
    plan = Plan.parsed(_first_line())
    crew = Crew(Schedule(plan))
    gevent.get_hub().threadpool.spawn(_obey, crew)
    work(plan, crew, writer)


def _first_line() -> str:
    read = b""
    while not read.endswith(b"\n"):
        part = os.read(0, 65536)
        if not part:
            raise SystemExit("there is no plan on stdin")
        read += part
    return read.decode()


def _obey(crew: Crew) -> None:
    """In a thread of its own: what stdin says, and the end when it ends."""
    while said := os.read(0, 4096):
        if b"end climb" in said:
            crew.schedule.end_climb(crew.now_s)
    os._exit(1)


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # the thread that waits for stdin would be waited for
