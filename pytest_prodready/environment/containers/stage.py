"""One run's network on a Docker engine, and what all of its containers have in common."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import docker.errors
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import Reaper
from testcontainers.core.network import Network

from pytest_prodready.environment.containers import leftovers
from pytest_prodready.environment.containers.engine import Engine, unchanged_variables
from pytest_prodready.environment.containers.failures import explained
from pytest_prodready.environment.runs import ENGINE_RECORD, Run
from pytest_prodready.errors import ServerError

NETWORK_SOURCE = "the network of this run"


class Stage:
    """Where the containers of one run meet: a network of their own, removed with all that is on it."""

    def __init__(self, run: Run, engine: Engine, *, outlives_us: bool = False) -> None:
        self.run, self.engine = run, engine
        self.labels = leftovers.labels(run.id, run.folder.parent, engine.own_container)
        self.network = Network(docker_network_kw={"labels": self.labels})
        self.network.name = f"prodready-{run.id}"
        self._joined = False
        if outlives_us:
            # The reaper would end everything as soon as this process has ended.
            testcontainers_config._ryuk_disabled = True

    @property
    def here(self) -> str:
        """Our own name on the network, where we are on it."""
        return f"gate-{self.run.id}"

    def alias(self, name: str) -> str:
        """A container's name on the network; of its own for each run, because we may be on several."""
        return f"{name}-{self.run.id}"

    def create(self) -> None:
        """Make the network, and join it if we run in a container of the same engine."""
        leftovers.note_engine(self.run.folder / ENGINE_RECORD)
        leftovers.sweep_base(self.engine.api, self.run.folder.parent)
        with explained("Making a network", NETWORK_SOURCE), unchanged_variables():
            self._start_reaper()
            self.network.create()
            if self.engine.joins and self.engine.own_container is not None:
                self.network.connect(self.engine.own_container, [self.here])
                self._joined = True

    def gateway(self, network: str = "") -> str | None:
        """The engine machine's own address on the run's network, or on another."""
        attributes: dict[str, Any] = {}
        with explained("Looking at the network"), suppress(docker.errors.NotFound):
            attributes = self.engine.api.networks.get(network or self.network.name).attrs
        for config in (attributes.get("IPAM") or {}).get("Config") or ():
            if config.get("Gateway"):
                return str(config["Gateway"]).partition("/")[0]
        return None

    def own_address(self) -> str:
        """Our address on the network that we joined."""
        assert self.engine.own_container is not None
        with explained("Looking at our own container"):
            about = self.engine.api.containers.get(self.engine.own_container).attrs
        return str(about["NetworkSettings"]["Networks"][self.network.name]["IPAddress"])

    def discard(self) -> None:
        """Remove the network and whatever of this run is still on the engine."""
        if self._joined:
            with suppress(docker.errors.APIError):
                self.engine.api.networks.get(self.network.name).disconnect(
                    self.engine.own_container, force=True
                )
        try:
            leftovers.remove(self.engine.api, self.run.id)
            (self.run.folder / ENGINE_RECORD).unlink(missing_ok=True)
        finally:
            self.network._docker.client.close()
            self.engine.close()

    def _start_reaper(self) -> None:
        """The reaper of testcontainers, before threads would start one each."""
        if testcontainers_config.ryuk_disabled:
            return
        try:
            Reaper.get_instance()
        except (docker.errors.DockerException, OSError, TimeoutError, ValueError) as failure:
            with suppress(docker.errors.DockerException):
                Reaper.delete_instance()
            raise ServerError(
                f"The reaper of testcontainers ({testcontainers_config.ryuk_image}) could not be started.",
                value=str(failure).splitlines()[0],
                source="testcontainers",
                remedy=(
                    "let the engine pull its image, name it by RYUK_CONTAINER_IMAGE,"
                    " or set TESTCONTAINERS_RYUK_DISABLED=true: the gate removes its own containers anyway"
                ),
            ) from None
