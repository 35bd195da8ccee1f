"""A Redis or Valkey server of our own, as a local process, with TLS in front if wanted."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from contextlib import suppress

import psutil

from pytest_prodready.environment.announced import announced_port, module, module_environment, standard_input
from pytest_prodready.environment.binaries import RedisBinary
from pytest_prodready.environment.certificates import Authority
from pytest_prodready.environment.logs import tail
from pytest_prodready.environment.places import give_to_server_user
from pytest_prodready.environment.ports import LOOPBACK, answers
from pytest_prodready.environment.runs import Run, close_pipes
from pytest_prodready.environment.service import Endpoint
from pytest_prodready.errors import ServerError
from pytest_prodready.stopwatch import STARTING, spent

READY_WITHIN_S = 20.0
PORT_ATTEMPTS = 3


def common_lines(password: str) -> list[str]:
    """The lines of redis.conf that are the same wherever it runs: nothing is kept, replicas come at once."""
    return [
        f"requirepass {password}",
        f"masterauth {password}",
        "repl-diskless-sync-delay 0",
        'save ""',
        "appendonly no",
        "daemonize no",
        'logfile ""',
    ]


class RedisServer:
    """A Redis that can be stopped, killed, frozen and started again on the same address; it keeps no data."""

    def __init__(
        self,
        run: Run,
        binary: RedisBinary,
        password: str,
        authority: Authority | None = None,
        *,
        name: str = "redis",
    ) -> None:
        self.binary = binary
        self.password = password
        self.paused = False
        self.log_file = run.folder / f"{name}.log"
        self._front_log = run.folder / f"{name}-tls.log"
        self._run = run
        self._folder = run.subfolder(name, for_server=True)
        self._port = run.ports.reserve()
        self._certificate = (
            authority.issue(run.folder, "localhost", LOOPBACK, file_name=name) if authority else None
        )
        self._front_port = run.ports.reserve() if authority else None
        self._process: subprocess.Popen[bytes] | None = None
        self._front: subprocess.Popen[bytes] | None = None
        self._lock = threading.RLock()

    @property
    def endpoint(self) -> Endpoint:
        """Where clients reach it: by TLS if that was wanted."""
        return Endpoint(LOOPBACK, self._front_port or self._port)

    @property
    def upstream(self) -> Endpoint:
        """Where the fault proxy reaches it."""
        return self.endpoint

    @property
    def version(self) -> str:
        """Its version number."""
        return self.binary.version

    @property
    def plain_endpoint(self) -> Endpoint:
        """Where the server itself listens, without TLS."""
        return Endpoint(LOOPBACK, self._port)

    @property
    def followed_at(self) -> Endpoint:
        """Where another server of the same run follows it."""
        return self.plain_endpoint

    @property
    def tls(self) -> bool:
        """Whether clients have to speak TLS."""
        return self._front_port is not None

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and self._process.poll() is None

    def create(self) -> None:
        """Start it for the first time, on another port if somebody was faster on ours."""
        for attempt in range(PORT_ATTEMPTS):
            try:
                self.start()
            except ServerError:
                taken = "Address already in use" in tail(self.log_file)
                if not taken or attempt == PORT_ATTEMPTS - 1:
                    raise
                self._run.ports.release(self._port)
                self._port = self._run.ports.reserve()
                self.log_file.write_bytes(b"")
            else:
                return

    @spent(STARTING)
    def start(self) -> None:
        """Start it and wait until it answers."""
        with self._lock:
            if self.alive:
                return
            conf = self._folder / "redis.conf"
            conf.write_text("\n".join([*self._configuration(), ""]))
            conf.chmod(0o600)
            give_to_server_user(conf)
            self._process = self._run.spawn(
                [self.binary.path, conf],
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
                cwd=self._folder,
                log=self.log_file,
                as_server=True,
            )
            self.paused = False
            self._wait_until_ready()
            if self._front_port is not None:
                self._start_front(self._front_port)

    def stop(self) -> None:
        """Shut it down."""
        with self._lock:
            if self._process is None:
                return
            if self.paused:
                self.resume()
            self._stop_front()
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self.kill()

    def discard(self) -> None:
        """End it for good."""
        self.kill()
        for port in (self._port, self._front_port):
            if port is not None:
                self._run.ports.release(port)

    def kill(self) -> None:
        """End it at once."""
        with self._lock:
            self._stop_front()
            if self._process is not None:
                self._process.kill()
                self._process.wait()
            self.paused = False

    def pause(self) -> None:
        """Freeze it: connections stay open, nothing answers."""
        with self._lock:
            for process in self.processes():
                with suppress(psutil.Error):
                    process.suspend()
            self.paused = self.alive

    def resume(self) -> None:
        """Let it go on."""
        with self._lock:
            for process in self.processes():
                with suppress(psutil.Error):
                    process.resume()
            self.paused = False

    def processes(self) -> list[psutil.Process]:
        """The server and what stands in front of it."""
        found = []
        for process in (self._process, self._front):
            with suppress(psutil.Error):
                if process is not None and process.poll() is None:
                    found.append(psutil.Process(process.pid))
        return found

    def pipes(self) -> list[int]:
        """The pipes whose end would end what stands in front of it."""
        return standard_input(self._front)

    def log_tail(self, lines: int = 20) -> str:
        """The last lines of its log."""
        return tail(self.log_file, lines)

    def log(self) -> str:
        """All of its log."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def __str__(self) -> str:
        return str(self.binary)

    def __repr__(self) -> str:
        return f"<RedisServer {self.binary} at {self.endpoint}>"

    def _configuration(self) -> list[str]:
        return [
            f"bind {LOOPBACK}",
            f"port {self._port}",
            "protected-mode yes",
            f"dir {self._folder}",
            *common_lines(self.password),
        ]

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        while not (self.alive and answers(self.plain_endpoint)):
            if not self.alive or time.monotonic() > deadline:
                status = self._process.poll() if self._process else None
                self.kill()
                raise ServerError(
                    f"{self.binary.product} {self.binary.version} did not get ready (exit status: {status}).",
                    source=str(self.binary.path),
                    tried=[f"its last lines:\n{self.log_tail()}"],
                    remedy="read its last lines above, or choose another server by [redis] bin",
                )
            time.sleep(0.005)

    def _start_front(self, port: int) -> None:
        certificate = self._certificate
        assert certificate is not None
        self._front = self._run.spawn(
            [
                *module("pytest_prodready.environment.tls_front"),
                "--die-with-stdin",
                *("--port", str(port), "--upstream-port", str(self._port)),
                *("--cert", certificate.cert_file, "--key", certificate.key_file),
            ],
            env=module_environment(),
            cwd=self._run.folder,
            log=self._front_log,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        announced_port(self._front, "The TLS front of Redis", self._front_log)

    def _stop_front(self) -> None:
        if self._front is not None:
            self._front.kill()
            self._front.wait()
            close_pipes(self._front)
            self._front = None


class ReplicaServer(RedisServer):
    """A Redis that follows another until it is promoted."""

    def __init__(self, run: Run, primary: RedisServer, authority: Authority | None) -> None:
        super().__init__(run, primary.binary, primary.password, authority, name="redis-replica")
        self._primary = primary

    def discard(self) -> None:
        """End it for good, and remove its files."""
        super().discard()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _configuration(self) -> list[str]:
        where = self._primary.followed_at
        return [*super()._configuration(), f"replicaof {where.host} {where.port}"]
