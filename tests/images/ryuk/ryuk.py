#!/usr/bin/env python3
"""A reaper that keeps the contract of testcontainers' Ryuk, for machines that can't pull that image.

Clients connect to port 8080 and send filters, one a line (`label=org.testcontainers.session-id=…`); each
is answered with ACK. When no client has been connected for a while, or on SIGTERM, it removes what matches.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import re
import signal
import socket
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

DOCKER_SOCKET = "/var/run/docker.sock"
UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}

Filter = dict[str, list[str]]


def seconds(duration: str) -> float:
    """A duration as Go writes it, such as 1m30s, in seconds."""
    return sum(float(number) * UNITS_S[unit] for number, unit in re.findall(r"([\d.]+)(ms|s|m|h)", duration))


class Engine(http.client.HTTPConnection):
    """The Docker engine, by its socket."""

    def connect(self) -> None:
        """Connect to the socket instead of to a host."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(DOCKER_SOCKET)

    def ask(self, method: str, path: str) -> Any:
        """The answer's JSON; None for an answer without one."""
        self.request(method, path)
        answer = self.getresponse()
        body = answer.read()
        if answer.status >= 400:
            print(f"{method} {path}: {answer.status} {body.decode(errors='replace').strip()}", flush=True)
            return None
        return json.loads(body) if body else None

    def found(self, path: str, wanted: Filter, **query: str) -> Any:
        """What the engine lists for a filter."""
        return self.ask("GET", f"{path}?{urlencode({**query, 'filters': json.dumps(wanted)})}") or []


def prune(filters: list[Filter]) -> None:
    """Remove every container, network, volume and image that a filter matches."""
    engine = Engine("docker")
    removed = dict.fromkeys(("container", "network", "volume", "image"), 0)
    for wanted in filters:
        for each in engine.found("/containers/json", wanted, all="1"):
            engine.ask("DELETE", f"/containers/{each['Id']}?force=1&v=1")
            removed["container"] += 1
        for each in engine.found("/networks", wanted):
            engine.ask("DELETE", f"/networks/{each['Id']}")
            removed["network"] += 1
        for each in (engine.found("/volumes", wanted) or {}).get("Volumes") or []:
            engine.ask("DELETE", f"/volumes/{quote(each['Name'])}?force=1")
            removed["volume"] += 1
        for each in engine.found("/images/json", wanted):
            engine.ask("DELETE", f"/images/{each['Id']}?force=1")
            removed["image"] += 1
    counts = ", ".join(f"{number} {kind}(s)" for kind, number in removed.items())
    print(f"Removed {counts}", flush=True)


class Reaper:
    """Who is connected, and what they asked to be removed."""

    def __init__(self) -> None:
        self.filters: list[Filter] = []
        self.clients = 0
        self.changed = asyncio.Event()
        self.told_to_stop = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one client's filters until it goes."""
        self.clients += 1
        self.changed.set()
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                wanted: Filter = {}
                for name, value in parse_qsl(line.decode(errors="replace").strip()):
                    wanted.setdefault(name, []).append(value)
                if wanted and wanted not in self.filters:
                    self.filters.append(wanted)
                writer.write(b"ACK\n")
                await writer.drain()
        writer.close()
        self.clients -= 1
        self.changed.set()

    def stop(self) -> None:
        """Don't wait for clients any more."""
        self.told_to_stop = True
        self.changed.set()

    async def deserted(self, first_s: float, again_s: float) -> None:
        """Return once nobody was connected for that long, or when told to stop."""
        patience_s = first_s
        while not self.told_to_stop:
            self.changed.clear()
            try:
                await asyncio.wait_for(self.changed.wait(), None if self.clients else patience_s)
            except TimeoutError:
                return
            patience_s = again_s


async def main() -> None:
    """Serve until deserted, then remove what was asked for."""
    reaper = Reaper()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, reaper.stop)
    server = await asyncio.start_server(reaper.serve, port=int(os.environ.get("RYUK_PORT", "8080")))
    print("ryuk: Started!", flush=True)
    await reaper.deserted(
        seconds(os.environ.get("RYUK_CONNECTION_TIMEOUT", "60s")),
        seconds(os.environ.get("RYUK_RECONNECTION_TIMEOUT", "10s")),
    )
    server.close()
    prune(reaper.filters)


if __name__ == "__main__":
    asyncio.run(main())
