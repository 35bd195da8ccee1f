"""A Redis server of our own, as a container of an official image or one that keeps its contract."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from pytest_prodready.environment.certificates import Authority
from pytest_prodready.environment.containers.box import File, Plan
from pytest_prodready.environment.containers.images import Image
from pytest_prodready.environment.containers.names import certificate_names
from pytest_prodready.environment.containers.server import ContainerServer
from pytest_prodready.environment.containers.stage import Stage
from pytest_prodready.environment.redis import common_lines
from pytest_prodready.environment.service import Endpoint
from pytest_prodready.errors import ServerError

PLAIN_PORT, TLS_PORT = 6379, 6380
FOLDER = Path("/etc/prodready")
READY_WITHIN_S = 60.0


class RedisContainer(ContainerServer):
    """A Redis that can be stopped, killed, frozen and started again on the same address; it keeps no data."""

    stop_within_s = 5.0

    def __init__(
        self,
        stage: Stage,
        image: Image,
        password: str,
        authority: Authority | None = None,
        *,
        name: str = "redis",
    ) -> None:
        self.image = image
        self.password = password
        self.version = ""
        self.product = "Redis"
        self.tls = authority is not None
        self._name = name
        super().__init__(stage, self._plan(stage, authority))

    @property
    def endpoint(self) -> Endpoint:
        """Where it is reached from here: by TLS if that was wanted."""
        return self._box.address(TLS_PORT if self.tls else PLAIN_PORT)

    @property
    def plain_endpoint(self) -> Endpoint:
        """Where it is reached from here without TLS."""
        return self._box.address(PLAIN_PORT)

    @property
    def upstream(self) -> Endpoint:
        """Where the fault proxy reaches it: by the container's name, which can be given to another."""
        return Endpoint(self._box.name, TLS_PORT if self.tls else PLAIN_PORT)

    @property
    def followed_at(self) -> Endpoint:
        """Where another server of the same run follows it."""
        return Endpoint(self._box.alias, PLAIN_PORT)

    def create(self) -> None:
        """Start it for the first time."""
        self._box.create()
        self._wait_until_ready()

    def __str__(self) -> str:
        return f"{self.product} {self.version} ({self.image})".replace("  ", " ")

    def _plan(self, stage: Stage, authority: Authority | None) -> Plan:
        lines = [
            "bind * -::*",
            "protected-mode no",
            f"port {PLAIN_PORT}",
            *common_lines(self.password),
            *self._following(),
        ]
        files = []
        if authority is not None:
            certificate = authority.issue(
                stage.run.folder, *certificate_names(stage, self._name), file_name=self._name
            )
            lines += [
                f"tls-port {TLS_PORT}",
                f"tls-cert-file {FOLDER / 'server.crt'}",
                f"tls-key-file {FOLDER / 'server.key'}",
                f"tls-ca-cert-file {FOLDER / 'ca.pem'}",
                "tls-auth-clients no",
                'tls-protocols "TLSv1.2 TLSv1.3"',
            ]
            files = [
                File(str(FOLDER / "server.crt"), certificate.cert_file.read_bytes()),
                File(str(FOLDER / "server.key"), certificate.key_file.read_bytes()),
                File(str(FOLDER / "ca.pem"), authority.ca_file.read_bytes()),
            ]
        # Readable for the server's user, whose number differs between images; nobody else is in there.
        conf = File(str(FOLDER / "redis.conf"), ("\n".join(lines) + "\n").encode())
        return Plan(
            self._name,
            self.image,
            command=("redis-server", conf.path),
            ports=(PLAIN_PORT, TLS_PORT) if authority else (PLAIN_PORT,),
            files=(conf, *files),
        )

    def _following(self) -> list[str]:
        """The lines of redis.conf that name whom it follows."""
        return []

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        reason = "none"
        while True:
            try:
                self._ask()
            except (redis.RedisError, OSError) as error:
                reason = str(error)
            else:
                self._running = True
                return
            state = self._box.state()
            if not state.get("Running") or time.monotonic() > deadline:
                raise ServerError(
                    f"Redis from {self.image} did not get ready (exit status: {state.get('ExitCode')}).",
                    value=f"{self.plain_endpoint}: {reason}",
                    source=self.image.source,
                    tried=[f"its last lines:\n{self.log_tail()}"],
                    remedy="read its last lines above, or choose another image",
                )
            time.sleep(0.02)

    def _ask(self) -> None:
        where = self.plain_endpoint
        with redis.Redis(
            host=where.host,
            port=where.port,
            password=self.password,
            socket_timeout=2,
            socket_connect_timeout=2,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        ) as client:
            about: Any = client.info("server")
        self.product = "Valkey" if "valkey_version" in about else "Redis"
        self.version = str(about.get("valkey_version") or about.get("redis_version", ""))


class ReplicaContainer(RedisContainer):
    """A Redis that follows another until it is promoted."""

    def __init__(self, stage: Stage, primary: RedisContainer, authority: Authority | None) -> None:
        self._primary = primary
        self._log_file = stage.run.folder / "redis-replica.log"
        super().__init__(stage, primary.image, primary.password, authority, name="redis-replica")

    def discard(self) -> None:
        """Remove it; its log stays in the run's folder."""
        if self._box.exists:
            with self._log_file.open("a") as log:
                log.write(self._box.logs())
        super().discard()

    def _following(self) -> list[str]:
        where = self._primary.followed_at
        return [f"replicaof {where.host} {where.port}"]
