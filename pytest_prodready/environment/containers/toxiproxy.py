"""Toxiproxy as a container: the fault proxy between the service and its servers."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress

from pytest_prodready.environment.containers.box import Box, Boxed, Plan, names_swapped
from pytest_prodready.environment.containers.images import Image
from pytest_prodready.environment.containers.names import PROXY
from pytest_prodready.environment.containers.stage import Stage
from pytest_prodready.environment.ports import LOOPBACK, is_ours
from pytest_prodready.environment.roles import Server, WayBack
from pytest_prodready.environment.service import Endpoint
from pytest_prodready.errors import ServerError
from pytest_prodready.faults import FaultProxy, FaultProxyError, Proxied, UnsupportedFault

API_PORT = 8474
PORTS = tuple(range(20_001, 20_009))
READY_WITHIN_S = 60.0
VISITED_WITHIN_S = 2.0
# What Docker Desktop and Podman call the machine that they run on.
# The name of a server that was killed is asked of nameservers far away, and Toxiproxy waits for them.
PROMPT_NAMES = {"dns_opt": ["attempts:1", "timeout:1"], "dns_search": ["."]}
KNOWN_AS = ("host.docker.internal", "host.containers.internal")


class ToxiproxyContainer:
    """A running Toxiproxy and the client that controls it."""

    def __init__(self, stage: Stage, image: Image) -> None:
        self.image = image
        self.origin = ""
        self._stage = stage
        self._box = Box(
            stage,
            Plan(
                PROXY,
                image,
                command=("-host=0.0.0.0", f"-port={API_PORT}"),
                ports=(API_PORT, *PORTS),
                extra=PROMPT_NAMES,
            ),
        )
        self._free = list(PORTS)
        self._inside: dict[str, Endpoint] = {}
        self._control: FaultProxy | None = None
        self._way_back: WayBack | None = None

    @property
    def control(self) -> FaultProxy:
        """The client that creates proxies and faults."""
        if self._control is None:
            raise ServerError("The fault proxy has not been started.")
        return self._control

    def create(self) -> None:
        """Start it and wait until it can be controlled from here."""
        self._box.create()
        where = self._box.address(API_PORT)
        control = FaultProxy(where.host, where.port)
        self.origin = f"Toxiproxy {self._version(control)} ({self.image})"
        self._control = control

    def in_front_of(self, name: str, upstream: Endpoint) -> Proxied:
        """A proxy on a published port."""
        port = self._free.pop(0)
        self._inside[name] = Endpoint(self._box.alias, port)
        # All interfaces of the container, whose ports are published on loopback.
        listen, reached_at = f"0.0.0.0:{port}", self._box.address(port)
        return self.control.create(name, str(upstream), listen=listen, reached_at=str(reached_at))

    def remove(self, proxied: Proxied) -> None:
        """Take a proxy away, and free its port."""
        proxied.delete()
        self._free.insert(0, self._inside.pop(proxied.name).port)

    def inside(self, name: str) -> Endpoint:
        """Where a proxy is reached by other containers."""
        return self._inside[name]

    def rerouted(self, proxied: Proxied, old: Server, new: Server) -> AbstractContextManager[None]:
        """Let new connections reach another server while live ones stay: it looks the name up for each."""
        assert isinstance(old, Boxed)
        assert isinstance(new, Boxed)
        if not self._stage.engine.renames:
            reason = f"{self._stage.engine} doesn't let a running container be known by another name"
            raise UnsupportedFault("keep_live", reason, str(self._stage.engine))
        return names_swapped(old.box, new.box)

    def way_back(self) -> WayBack:
        """Where servers in this process have to listen for the proxy to reach them; tried, not guessed."""
        if self._way_back is None:
            candidates = list(self._ways_back())
            found = next((way for way in candidates if self.reaches(way)), None)
            if found is None:
                raise ServerError(
                    "The fault proxy's container can't reach this machine.",
                    tried=[
                        f"a listener at {way.listen_at}, known there as {way.known_as}" for way in candidates
                    ],
                    remedy=(
                        "let a firewall pass what comes from the engine's networks to this machine,"
                        " or use --prodready-backend=processes"
                    ),
                )
            self._way_back = found
        return self._way_back

    def reaches(self, way: WayBack) -> bool:
        """Whether a client of a proxy gets through to a listener of ours."""
        with suppress(FaultProxyError, OSError), socket.create_server((way.listen_at, 0)) as listener:
            listener.settimeout(VISITED_WITHIN_S)
            upstream = Endpoint(way.known_as, listener.getsockname()[1])
            proxied = self.in_front_of("prodready-way-back", upstream)
            try:
                with socket.create_connection((proxied.host, proxied.port), VISITED_WITHIN_S):
                    listener.accept()[0].close()
                return True
            finally:
                self.remove(proxied)
        return False

    def discard(self) -> None:
        """Remove it."""
        self._box.remove()

    def log(self) -> str:
        """All of its log."""
        return self._box.logs()

    def _version(self, control: FaultProxy) -> str:
        deadline = time.monotonic() + READY_WITHIN_S
        while True:
            try:
                return control.version()
            except FaultProxyError as error:
                state = self._box.state()
                if not state.get("Running") or time.monotonic() > deadline:
                    status = state.get("ExitCode")
                    raise ServerError(
                        f"Toxiproxy from {self.image} did not get ready (exit status: {status}).",
                        value=error.value,
                        source=self.image.source,
                        tried=[f"its last lines:\n{self._box.logs()[-2000:]}"],
                        remedy="read its last lines above, or choose another image",
                    ) from None
            time.sleep(0.02)

    def _ways_back(self) -> Iterator[WayBack]:
        if self._stage.engine.joins:
            yield WayBack(self._stage.own_address(), self._stage.here)
            return
        gateway = self._stage.gateway()
        if gateway is not None and is_ours(gateway):
            yield WayBack(gateway, gateway)
        for name in KNOWN_AS:
            yield WayBack(LOOPBACK, name)
