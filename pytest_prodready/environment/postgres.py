"""A PostgreSQL server of our own, as a local process."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import psutil
import psycopg
from psycopg.conninfo import make_conninfo

from pytest_prodready.environment import leftovers
from pytest_prodready.environment.binaries import PostgresBinaries
from pytest_prodready.environment.certificates import POSTGRES_NAME, Authority
from pytest_prodready.environment.logs import tail
from pytest_prodready.environment.places import give_to_server_user
from pytest_prodready.environment.ports import LOOPBACK
from pytest_prodready.environment.postgres_account import (
    admin_options,
    change_admin_password,
    count_statements,
    make_account,
)
from pytest_prodready.environment.postgres_config import (
    Account,
    Layout,
    UserConfig,
    Value,
    in_their_words,
    pg_hba_conf,
    postgresql_conf,
)
from pytest_prodready.environment.postgres_following import (
    ARCHIVE,
    PASSFILE,
    RESTORING,
    archive_command,
    passfile_line,
)
from pytest_prodready.environment.postgres_template import SUPERUSER, copy_template
from pytest_prodready.environment.postgres_tools import LocalTools
from pytest_prodready.environment.runs import Run
from pytest_prodready.environment.secrets import new_password
from pytest_prodready.environment.service import Endpoint
from pytest_prodready.errors import ServerError
from pytest_prodready.stopwatch import STARTING, spent

TOOLS = "tools"
READY_WITHIN_S = 60.0  # recovery after a crash included
PORT_ATTEMPTS = 3


class PostgresServer:
    """A PostgreSQL that can be stopped, killed, frozen and started again on the same data and address."""

    def __init__(  # noqa: PLR0913 (the standby's by name)
        self,
        run: Run,
        binary: PostgresBinaries,
        authority: Authority,
        account: Account,
        config: UserConfig | None = None,
        *,
        name: str = "postgres",
    ) -> None:
        self.binary = binary
        self.account = account
        self.folder = run.subfolder(name, for_server=True)
        self.log_file = run.folder / f"{name}.log"
        self.admin_password = new_password()
        self.paused = False
        self._run, self._config = run, config or UserConfig()
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.RLock()
        self._layout = Layout(
            data=self.folder / "data",
            socket=self.folder,
            hba=self.folder / "pg_hba.conf",
            ident=self.folder / "pg_ident.conf",
            port=run.ports.reserve(),
            certificate=authority.issue(self.folder, "localhost", LOOPBACK, POSTGRES_NAME),
        )

    @property
    def endpoint(self) -> Endpoint:
        """Where it listens."""
        return Endpoint(LOOPBACK, self._layout.port)

    @property
    def upstream(self) -> Endpoint:
        """Where the fault proxy reaches it."""
        return self.endpoint

    @property
    def version(self) -> str:
        """Its version number."""
        return self.binary.version

    @property
    def alive(self) -> bool:
        """Whether its main process runs."""
        return self._process is not None and self._process.poll() is None

    def create(self) -> None:
        """Make its data directory, start it, and make the service's role and database."""
        template_password = copy_template(self.binary, self._layout.data)
        self._write_access()
        self._start_on_free_port()
        try:
            self._set_up(template_password)
        except psycopg.Error as error:
            raise ServerError(
                f"PostgreSQL {self.version} started, but could not be set up.",
                value=error.diag.message_primary or error,
                tried=[f"its last lines:\n{self.log_tail()}"],
                source=self._config.sources,
            ) from None

    @spent(STARTING)
    def start(self) -> None:
        """Start it on its data and port, and wait until it accepts connections."""
        with self._lock:
            if self.alive:
                return
            conf = self.folder / "postgresql.conf"
            conf.write_text(postgresql_conf(self._places(), self._config))
            give_to_server_user(conf)
            self._process = self._run.spawn(
                [self.binary.folder / "postgres", "-D", self._layout.data, "-c", f"config_file={conf}"],
                env=self.binary.environment,
                cwd=self.folder,
                log=self.log_file,
                as_server=True,
            )
            self.paused = False
            self._wait_until_ready(conf)

    def stop(self, *, within_s: float = 20.0) -> None:
        """Shut it down fast: open transactions are rolled back, the data is consistent."""
        self._end(signal.SIGINT, within_s)

    def discard(self) -> None:
        """Shut it down at once, for data that nobody needs any more."""
        self._end(signal.SIGQUIT, within_s=5.0)
        self._run.ports.release(self._layout.port)

    def restart(self) -> None:
        """Stop it and start it again."""
        self.stop()
        self.start()

    def kill(self) -> None:
        """End every process of it at once, as a power cut would."""
        with self._lock:
            if self._process is None:
                return
            self._send(signal.SIGSTOP)  # so that it starts no further backend meanwhile
            processes = self.processes()
            for process in processes:
                with suppress(psutil.Error):
                    process.kill()
            self._process.wait()
            leftovers.wait_gone(processes, within_s=10)
            self.paused = False

    def pause(self) -> None:
        """Freeze it with all its backends: connections stay open, nothing answers."""
        with self._lock:
            self._send(signal.SIGSTOP)
            for _ in range(2):  # a backend may have been about to start
                for process in self.processes():
                    with suppress(psutil.Error):
                        process.suspend()
            self.paused = self.alive

    def resume(self) -> None:
        """Let it go on."""
        with self._lock:
            for process in reversed(self.processes()):
                with suppress(psutil.Error):
                    process.resume()
            self.paused = False

    def processes(self) -> list[psutil.Process]:
        """Its main process and then its backends."""
        if not self.alive or self._process is None:
            return []
        with suppress(psutil.Error):
            main = psutil.Process(self._process.pid)
            return [main, *main.children(recursive=True)]
        return []

    def connect(
        self, database: str, *, password: str = "", timeout_s: float = 10.0
    ) -> psycopg.Connection[Any]:
        """Connect as superuser through the Unix socket, past every proxy and TLS."""
        if self.paused or not self.alive:
            raise ServerError(
                f"PostgreSQL is {'paused' if self.paused else 'not running'}, so it can't be asked.",
                value=self.endpoint,
            )
        return psycopg.connect(
            host=str(self._layout.socket),
            port=self._layout.port,
            user=SUPERUSER,
            password=password or self.admin_password,
            dbname=database,
            connect_timeout=max(2, int(timeout_s)),
            application_name="prodready",
            options=admin_options(self.version, timeout_s),
            autocommit=True,
        )

    @property
    def programs(self) -> str:
        """The folder with its own programs."""
        return str(self.binary.folder)

    @property
    def inside(self) -> Endpoint:
        """Where a service that runs beside it reaches it, past every proxy."""
        return self.endpoint

    def admin_url(self, database: str) -> str:
        """The superuser's URL, by the Unix socket: the network's way is not open to it."""
        where = urlencode({"host": str(self._layout.socket), "port": self._layout.port})
        return f"postgresql://{SUPERUSER}:{self.admin_password}@/{quote(database, safe='')}?{where}"

    def followed_by(self, name: str) -> str:
        """The primary_conninfo of a server of the same run that follows this one, by the Unix socket."""
        return make_conninfo(
            host=str(self._layout.socket),
            port=self._layout.port,
            user=SUPERUSER,
            passfile=str(self.folder / PASSFILE),
            application_name=name,
        )

    def tools(self) -> LocalTools:
        """PostgreSQL's own programs, of its version, with a folder beside its data."""
        return LocalTools(self._run, self.binary, self.folder / TOOLS)

    def stretch(self, files: Mapping[str, int], heads: Mapping[str, bytes]) -> None:
        """Make files of its data directory so long, by holes that take no room, and begin with these."""
        for name, size in files.items():
            file = self._layout.data / name
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            try:
                give_to_server_user(file)
                if os.fstat(descriptor).st_size < size:
                    os.ftruncate(descriptor, size)
                os.pwrite(descriptor, heads.get(name, b""), 0)
            finally:
                os.close(descriptor)

    def log_tail(self, lines: int = 20) -> str:
        """The last lines of its log."""
        return tail(self.log_file, lines)

    def log(self) -> str:
        """All of its log; it is written without delay."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def __str__(self) -> str:
        return str(self.binary)

    def __repr__(self) -> str:
        return f"<PostgresServer {self.binary} at {self.endpoint}>"

    def _places(self) -> dict[str, Value]:
        """The settings that are this server's own."""
        archive = self._run.folder / RESTORING / TOOLS / ARCHIVE
        return {**self._layout.settings(), "archive_command": archive_command(str(archive))}

    def _write_access(self) -> None:
        """Write who may come in, and how another server of this run does."""
        layout, passfile = self._layout, self.folder / PASSFILE
        layout.ident.touch()
        layout.hba.write_text(pg_hba_conf(self.account, self._config))
        passfile.touch(mode=0o600)
        passfile.write_text(passfile_line(self.admin_password))
        certificate = layout.certificate
        give_to_server_user(layout.ident, layout.hba, passfile, certificate.cert_file, certificate.key_file)

    def _set_up(self, template_password: str) -> None:
        with self.connect("postgres", password=template_password) as admin:
            change_admin_password(admin, self.admin_password)
            make_account(admin, self.account)
            count_statements(admin)
        with self.connect(self.account.database) as admin:
            count_statements(admin)

    def _start_on_free_port(self) -> None:
        for attempt in range(PORT_ATTEMPTS):
            try:
                self.start()
            except ServerError:
                taken = "Address already in use" in self.log_tail()
                if not taken or attempt == PORT_ATTEMPTS - 1:
                    raise
                self._move()
            else:
                return

    def _move(self) -> None:
        """Take another port, because another user's program was faster."""
        self._run.ports.release(self._layout.port)
        self.log_file.write_bytes(b"")
        self._layout = replace(self._layout, port=self._run.ports.reserve())

    def _wait_until_ready(self, conf: Path) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        while not self._is_ready():
            if not self.alive or time.monotonic() > deadline:
                self._refuse(conf)
            time.sleep(0.005)

    def _is_ready(self) -> bool:
        """Whether the server itself says so in its pid file, which may still be that of a killed one."""
        try:
            lines = (self._layout.data / "postmaster.pid").read_text().splitlines()
        except (OSError, UnicodeDecodeError):
            return False
        ours = self._process is not None and lines[:1] == [str(self._process.pid)]
        return ours and len(lines) > 7 and lines[7].strip() == "ready"

    def _refuse(self, conf: Path) -> None:
        status = self._process.poll() if self._process else None
        self.kill()
        said = in_their_words(self.log_tail(), conf, self._layout.hba, self._config)
        raise ServerError(
            f"PostgreSQL {self.version} ended with status {status} instead of getting ready."
            if status is not None
            else f"PostgreSQL {self.version} did not get ready within {READY_WITHIN_S:g} s.",
            source=self._config.sources,
            tried=[f"its last lines:\n{said}"],
            remedy="read its last lines above; [postgres] settings and hba are applied as they are",
        )

    def _send(self, number: signal.Signals) -> None:
        if self.alive and self._process is not None:
            self._process.send_signal(number)

    def _end(self, how: signal.Signals, within_s: float) -> None:
        with self._lock:
            if self._process is None:
                return
            if self.paused:
                self.resume()
            processes = self.processes()
            self._send(how)
            try:
                self._process.wait(within_s)
            except subprocess.TimeoutExpired:
                self.kill()
            leftovers.wait_gone(processes, within_s=5)
