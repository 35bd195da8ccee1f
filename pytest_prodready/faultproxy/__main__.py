"""The command line: `python -m pytest_prodready.faultproxy`."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence

from pytest_prodready.faultproxy.server import serve


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server until a signal, or the end of stdin where that was asked for."""
    options = _parser().parse_args(arguments)
    _allow_many_descriptors()
    try:
        asyncio.run(_run(options.host, options.port, options.die_with_stdin))
    except (OSError, OverflowError) as error:
        sys.stderr.write(f"faultproxy at {options.host}:{options.port}: {error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pytest_prodready.faultproxy",
        description="A fault-injecting TCP proxy with Toxiproxy's HTTP API.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address of the API (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=8474, help="port of the API; 0 chooses (default: %(default)s)"
    )
    parser.add_argument("--die-with-stdin", action="store_true", help="end when stdin ends")
    return parser


async def _run(host: str, port: int, die_with_stdin: bool) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if die_with_stdin:
        _watch_stdin(loop, stop)
    await serve(host, port, _announce, stop)
    # All is closed. A lookup of a host's name may still hang in a thread, which Python would wait for.
    os._exit(0)


def _announce(host: str, port: int) -> None:
    sys.stdout.write(json.dumps({"host": host, "port": port}) + "\n")
    sys.stdout.flush()


def _watch_stdin(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Stop at the end of stdin: the pipe's other end closes even when the parent is killed."""

    def readable() -> None:
        if not os.read(0, 4096):
            loop.remove_reader(0)
            stop.set()

    try:
        loop.add_reader(0, readable)
    except OSError:  # a file or /dev/null can't be waited on, and has ended as good as already
        stop.set()


def _allow_many_descriptors() -> None:
    """Each connection takes two descriptors, and the usual soft limit is 1,024."""
    try:
        import resource  # noqa: PLC0415  (Unix only)
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    sys.exit(main())
