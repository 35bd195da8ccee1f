"""The fault proxy's server process: Toxiproxy where it is installed, else our own."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from contextlib import AbstractContextManager

from pytest_prodready.environment.announced import announced_port, module, module_environment, standard_input
from pytest_prodready.environment.binaries import system_hidden
from pytest_prodready.environment.logs import tail
from pytest_prodready.environment.ports import LOOPBACK, answers
from pytest_prodready.environment.roles import Server, WayBack
from pytest_prodready.environment.runs import Run, close_pipes
from pytest_prodready.environment.service import Endpoint
from pytest_prodready.errors import ServerError
from pytest_prodready.faults import FaultProxy, Proxied

READY_WITHIN_S = 20.0


class ProxyProcess:
    """A running fault proxy and the client that controls it."""

    def __init__(self, run: Run, *, name: str = "faultproxy", built_in: bool = False) -> None:
        self._run = run
        self._built_in_only = built_in
        self._log_file = run.folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._ports: list[int] = []
        self._reached: dict[str, Endpoint] = {}
        self._control: FaultProxy | None = None
        self.origin = ""

    def create(self) -> None:
        """Start it and wait until it can be controlled."""
        toxiproxy = None if self._built_in_only or system_hidden() else shutil.which("toxiproxy-server")
        endpoint = self._toxiproxy(toxiproxy) if toxiproxy else self._built_in()
        self._control = FaultProxy(endpoint.host, endpoint.port)

    @property
    def control(self) -> FaultProxy:
        """The client that creates proxies and faults."""
        if self._control is None:
            raise ServerError("The fault proxy has not been started.")
        return self._control

    def in_front_of(self, name: str, upstream: Endpoint) -> Proxied:
        """A proxy on a port that stays free for it even while it is down."""
        port = self._run.ports.reserve()
        self._ports.append(port)
        self._reached[name] = Endpoint(LOOPBACK, port)
        return self.control.create(name, str(upstream), listen=f"{LOOPBACK}:{port}")

    def remove(self, proxied: Proxied) -> None:
        """Take a proxy away, and free its port."""
        proxied.delete()
        port = self._reached.pop(proxied.name).port
        self._ports.remove(port)
        self._run.ports.release(port)

    def inside(self, name: str) -> Endpoint:
        """Where a proxy is reached by the service: where everybody reaches it."""
        return self._reached[name]

    def rerouted(self, proxied: Proxied, old: Server, new: Server) -> AbstractContextManager[None]:
        """Let new connections reach another server while live ones stay; our own proxy can do that."""
        proxied.require("keep_live")
        return proxied.upstream_switched(str(new.upstream), keep_live=True)

    def way_back(self) -> WayBack:
        """How it reaches a server in this process: on loopback, like all of us."""
        return WayBack(LOOPBACK, LOOPBACK)

    def pipes(self) -> list[int]:
        """The pipes whose end would end it."""
        return standard_input(self._process)

    def log(self) -> str:
        """All of its log."""
        return self._log_file.read_text(errors="replace") if self._log_file.exists() else ""

    def discard(self) -> None:
        """End it for good."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            close_pipes(self._process)
        for port in self._ports:
            self._run.ports.release(port)
        self._ports.clear()

    def _built_in(self) -> Endpoint:
        self.origin = "built-in fault proxy"
        log = self._log_file
        port = self._run.ports.reserve()
        self._ports.append(port)
        command = module("pytest_prodready.faultproxy")
        self._process = self._run.spawn(
            [*command, "--host", LOOPBACK, "--port", str(port), "--die-with-stdin"],
            env=module_environment(),
            cwd=self._run.folder,
            log=log,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        return announced_port(self._process, "The fault proxy", log)

    def _toxiproxy(self, program: str) -> Endpoint:
        log = self._log_file
        port = self._run.ports.reserve()
        self._ports.append(port)
        endpoint = Endpoint(LOOPBACK, port)
        self._process = self._run.spawn(
            [program, "-host", LOOPBACK, "-port", str(port)],
            env=dict(os.environ),
            cwd=self._run.folder,
            log=log,
        )
        deadline = time.monotonic() + READY_WITHIN_S
        while not answers(endpoint):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise ServerError("toxiproxy-server did not start.", value=tail(log), source=program)
            time.sleep(0.005)
        self.origin = f"Toxiproxy {FaultProxy(LOOPBACK, port).version()} ({program})"
        return endpoint
