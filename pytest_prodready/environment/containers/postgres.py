"""A PostgreSQL server of our own, as a container of an official image or one that keeps its contract."""

from __future__ import annotations

import base64
import gzip
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg.conninfo import make_conninfo

from pytest_prodready.environment.certificates import POSTGRES_NAME, Authority
from pytest_prodready.environment.containers.box import File, Plan
from pytest_prodready.environment.containers.images import Image
from pytest_prodready.environment.containers.names import certificate_names
from pytest_prodready.environment.containers.postgres_tools import FOLDER as TOOLS
from pytest_prodready.environment.containers.postgres_tools import ContainerTools
from pytest_prodready.environment.containers.server import ContainerServer
from pytest_prodready.environment.containers.stage import Stage
from pytest_prodready.environment.postgres_account import admin_options, count_statements, make_account
from pytest_prodready.environment.postgres_config import (
    SOCKET_LINE,
    Account,
    UserConfig,
    Value,
    in_their_words,
    pg_hba_conf,
    postgresql_conf,
)
from pytest_prodready.environment.postgres_following import (
    ARCHIVE,
    PASSFILE,
    archive_command,
    passfile_line,
)
from pytest_prodready.environment.postgres_template import SUPERUSER
from pytest_prodready.environment.secrets import new_password
from pytest_prodready.environment.service import Endpoint
from pytest_prodready.errors import ServerError

PORT = 5432
FOLDER = Path("/etc/prodready")
READY_WITHIN_S = 120.0  # the first start makes the data directory
LOGGED_WITHIN_S = 5.0
FILES_AT_ONCE = 500  # that a command line holds
# For each file its name, its length, and what it begins with. Busybox has no `truncate --size=">N"`.
STRETCH = """
set -e; umask 077
while [ $# -gt 0 ]; do
    if [ ! -e "$1" ] || [ "$(stat -c %s "$1")" -lt "$2" ]; then truncate -s "$2" "$1"; fi
    if [ -n "$3" ]; then echo "$3" | base64 -d | gunzip | dd of="$1" bs=8192 conv=notrunc 2>/dev/null; fi
    shift 3
done
"""
OWN_LINES = f"{SOCKET_LINE}host all,replication {SUPERUSER} all scram-sha-256\n"
# The key must belong to the server's user, whose number differs between images.
ENTRYPOINT = "docker-entrypoint.sh"
OWNED = f"chown -R postgres:postgres {FOLDER} && chmod 700 {FOLDER} && chmod 600 {FOLDER}/*"
PLACES: dict[str, Value] = {
    "hba_file": str(FOLDER / "pg_hba.conf"),
    "ident_file": str(FOLDER / "pg_ident.conf"),
    "listen_addresses": "*",
    "port": PORT,
    "archive_command": archive_command(f"{TOOLS}/{ARCHIVE}"),
    "ssl_cert_file": str(FOLDER / "server.crt"),
    "ssl_key_file": str(FOLDER / "server.key"),
}


class PostgresContainer(ContainerServer):
    """A PostgreSQL that can be stopped, killed, frozen and started again on the same data and address."""

    def __init__(  # noqa: PLR0913 (the standby's by name)
        self,
        stage: Stage,
        image: Image,
        authority: Authority,
        account: Account,
        config: UserConfig | None = None,
        *,
        name: str = "postgres",
        admin_password: str = "",
    ) -> None:
        self.image = image
        self.account = account
        self.admin_password = admin_password or new_password()
        self.version = ""
        self._name, self._config = name, config or UserConfig()
        super().__init__(stage, self._plan(stage, authority))

    @property
    def endpoint(self) -> Endpoint:
        """Where it is reached from here."""
        return self._box.address(PORT)

    @property
    def upstream(self) -> Endpoint:
        """Where the fault proxy reaches it: by the container's name, which can be given to another."""
        return Endpoint(self._box.name, PORT)

    def create(self) -> None:
        """Start it, and make the service's role and database."""
        self._box.create()
        self._wait_until_ready()
        try:
            self._set_up()
        except psycopg.Error as error:
            raise ServerError(
                f"PostgreSQL started from {self.image}, but could not be set up.",
                value=error.diag.message_primary or error,
                tried=[f"its last lines:\n{self.log_tail()}"],
                source=self._config.sources or self.image.source,
            ) from None

    def connect(
        self, database: str, *, password: str = "", timeout_s: float = 10.0
    ) -> psycopg.Connection[Any]:
        """Connect as superuser, past every proxy."""
        if self.paused or not self._running:
            raise ServerError(
                f"PostgreSQL is {'paused' if self.paused else 'not running'}, so it can't be asked.",
                value=self.endpoint,
            )
        return self._connected(database, timeout_s, admin_options(self.version or "0", timeout_s))

    @property
    def programs(self) -> str:
        """Its programs are in its container."""
        return ""

    @property
    def inside(self) -> Endpoint:
        """Where a service that runs beside it reaches it, past every proxy."""
        return Endpoint(self._box.alias, PORT)

    def admin_url(self, database: str) -> str:
        """The superuser's URL past every proxy, for a program of this machine."""
        return f"postgresql://{SUPERUSER}:{self.admin_password}@{self.endpoint}/{quote(database, safe='')}"

    def followed_by(self, name: str) -> str:
        """The primary_conninfo of a server of the same run that follows this one."""
        return make_conninfo(
            host=self._box.alias,
            port=PORT,
            user=SUPERUSER,
            passfile=str(FOLDER / PASSFILE),
            application_name=name,
        )

    def tools(self) -> ContainerTools:
        """PostgreSQL's own programs, of its version, in its container."""
        return ContainerTools(self._box)

    def stretch(self, files: Mapping[str, int], heads: Mapping[str, bytes]) -> None:
        """Make files of its data directory so long, by holes that take no room, and begin with these."""
        with self.connect("postgres") as admin:
            found = admin.execute("SELECT current_setting('data_directory')").fetchone()
        folder = str(found[0]) if found else ""
        wanted = [(f"{folder}/{name}", str(size), _packed(heads.get(name))) for name, size in files.items()]
        for start in range(0, len(wanted), FILES_AT_ONCE):
            arguments = [text for file in wanted[start : start + FILES_AT_ONCE] for text in file]
            self._box.run(("sh", "-c", STRETCH, "sh", *arguments), user="postgres")

    def log(self) -> str:
        """All of its log up to now: a mark shows when the engine has passed everything on."""
        if self.paused or not self._running:
            return self._box.logs()
        mark = f"prodready mark {secrets.token_hex(6)}"
        with self.connect("postgres") as admin:
            admin.execute("SET log_min_messages = 'log'")
            admin.execute(f"DO $$BEGIN RAISE LOG '{mark}'; END$$".encode())
        deadline = time.monotonic() + LOGGED_WITHIN_S
        while mark not in (text := self._box.logs()) and time.monotonic() < deadline:
            time.sleep(0.01)
        return text

    def __str__(self) -> str:
        return f"PostgreSQL {self.version} ({self.image})".replace("  ", " ")

    def _plan(self, stage: Stage, authority: Authority) -> Plan:
        certificate = authority.issue(
            stage.run.folder, *certificate_names(stage, self._name), POSTGRES_NAME, file_name=self._name
        )
        contents = {
            "postgresql.conf": postgresql_conf(self._places(), self._config),
            "pg_hba.conf": pg_hba_conf(self.account, self._config, own=OWN_LINES, network="samenet"),
            "pg_ident.conf": "",
            "password": self.admin_password,
            PASSFILE: passfile_line(self.admin_password),
            "server.crt": certificate.cert_file.read_text(),
            "server.key": certificate.key_file.read_text(),
        }
        return Plan(
            self._name,
            self.image,
            command=("postgres", "-c", f"config_file={FOLDER / 'postgresql.conf'}"),
            entrypoint=("sh", "-c", f'{self._preparation()} && exec {ENTRYPOINT} "$@"', ENTRYPOINT),
            env={
                "POSTGRES_USER": SUPERUSER,
                "POSTGRES_DB": "postgres",
                "POSTGRES_PASSWORD_FILE": str(FOLDER / "password"),
            },
            ports=(PORT,),
            files=tuple(File(str(FOLDER / name), text.encode(), 0o600) for name, text in contents.items()),
        )

    def _set_up(self) -> None:
        with self.connect("postgres") as admin:
            self.version = number_of(admin.info.server_version)
            make_account(admin, self.account)
            count_statements(admin)
        with self.connect(self.account.database) as admin:
            count_statements(admin)

    def _places(self) -> dict[str, Value]:
        """The settings that are this server's own."""
        return PLACES

    def _preparation(self) -> str:
        """What a shell in the container does before each start of the server."""
        return OWNED

    def _connected(self, database: str, timeout_s: float, options: str) -> psycopg.Connection[Any]:
        where = self.endpoint
        return psycopg.connect(
            host=where.host,
            port=where.port,
            user=SUPERUSER,
            password=self.admin_password,
            dbname=database,
            connect_timeout=max(2, int(timeout_s)),
            application_name="prodready",
            options=options,
            autocommit=True,
        )

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        reason = "none"
        while True:
            try:
                # From here, by the published port: that the server is ready inside proves nothing.
                self._connected("postgres", 2, "").close()
            except psycopg.Error as error:
                reason = str(error).strip()
            else:
                self._running = True
                return
            state = self._box.state()
            if not state.get("Running") or time.monotonic() > deadline:
                self._refuse(state, reason)
            time.sleep(0.05)

    def _refuse(self, state: dict[str, Any], reason: str) -> None:
        conf, hba = FOLDER / "postgresql.conf", FOLDER / "pg_hba.conf"
        said = in_their_words(self.log_tail(), conf, hba, self._config, own_lines=OWN_LINES.count("\n"))
        ended = not state.get("Running")
        raise ServerError(
            f"PostgreSQL from {self.image} ended (status {state.get('ExitCode')}) instead of getting ready."
            if ended
            else f"PostgreSQL from {self.image} can't be reached after {READY_WITHIN_S:g} s.",
            value=None if ended else f"{self.endpoint}: {reason}",
            source=self._config.sources or self.image.source,
            tried=[f"its last lines:\n{said}"],
            remedy=(
                "read its last lines above; [postgres] settings and hba are applied as they are, and the"
                " image has to keep the contract of the official ones"
                if ended
                else "see that published ports are reached from here (TESTCONTAINERS_HOST_OVERRIDE)"
            ),
        )


def _packed(content: bytes | None) -> str:
    """Bytes as an argument of a command."""
    return base64.b64encode(gzip.compress(content)).decode() if content else ""


def number_of(server_version: int) -> str:
    """A server's version as it is written."""
    return f"{server_version // 10_000}.{server_version % 10_000}"
