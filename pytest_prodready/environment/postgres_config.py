"""The text of PostgreSQL's configuration files: our defaults, the user's lines, and what must be ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytest_prodready.environment.certificates import Certificate
from pytest_prodready.environment.ports import LOOPBACK
from pytest_prodready.environment.postgres_template import SUPERUSER
from pytest_prodready.errors import ConfigError
from pytest_prodready.settings import PostgresSettings

Value = str | int | float | bool
PRELOADED = ("pg_stat_statements", "auto_explain")
PRELOAD_LINE = re.compile(r"^\s*shared_preload_libraries\s*=?\s*(?:'([^'\n]*)'|([^\s#']+))", re.I | re.M)

ARCHIVE_LIBRARY = re.compile(r"^\s*archive_library\b", re.I | re.M)  # since PostgreSQL 15

OWN_LINE_MARK = "prodready_gate"  # a database that isn't there: it tells our line from the user's
SOCKET_LINE = f"local all,replication {SUPERUSER} scram-sha-256\n"

# What a careful team would set in production; a user's own configuration may say otherwise.
DEFAULTS: Mapping[str, Value] = {
    "ssl": True,
    "ssl_min_protocol_version": "TLSv1.2",
    "ssl_ciphers": "ECDHE+AESGCM:ECDHE+CHACHA20",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "pg_stat_statements.max": 10000,
}


@dataclass(frozen=True, slots=True)
class Account:
    """What the service signs in with."""

    user: str
    database: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class UserConfig:
    """The lines that the user brings for postgresql.conf and pg_hba.conf, and where from."""

    settings: str = ""
    settings_file: Path | None = None
    hba: str | None = None
    hba_file: Path | None = None

    @classmethod
    def read(cls, settings: PostgresSettings, folder: Path) -> UserConfig:
        """Read the files that [postgres] settings and hba name, relative to prodready.toml's folder."""
        hba_file = folder / settings.hba if settings.hba else None
        hba = _read(hba_file, "[postgres] hba") if hba_file else None
        if isinstance(settings.settings, Path):
            file = folder / settings.settings
            return cls(_read(file, "[postgres] settings"), file, hba, hba_file)
        return cls(assignments(settings.settings or {}), None, hba, hba_file)

    @property
    def sources(self) -> str | None:
        """The user's files and keys, for errors."""
        found = [str(file) for file in (self.settings_file, self.hba_file) if file is not None]
        if self.settings and self.settings_file is None:
            found.append("[postgres] settings")
        return ", ".join(found) or None


@dataclass(frozen=True, slots=True)
class Layout:
    """Where one local server keeps its things."""

    data: Path
    socket: Path
    hba: Path
    ident: Path
    port: int
    certificate: Certificate

    def settings(self) -> dict[str, Value]:
        """The same as settings of the server."""
        return {
            "data_directory": str(self.data),
            "hba_file": str(self.hba),
            "ident_file": str(self.ident),
            "listen_addresses": LOOPBACK,
            "port": self.port,
            "unix_socket_directories": str(self.socket),
            "ssl_cert_file": str(self.certificate.cert_file),
            "ssl_key_file": str(self.certificate.key_file),
        }


def postgresql_conf(places: Mapping[str, Value], user: UserConfig) -> str:
    """All of postgresql.conf: of several lines for one setting the last counts."""
    ours: dict[str, Value] = {
        **places,
        "external_pid_file": "",
        "ssl_ca_file": "",
        "ssl_crl_file": "",
        "ssl_crl_dir": "",
        "ssl_dh_params_file": "",
        # Production's names are of servers that aren't here: every commit would wait for them.
        "synchronous_standby_names": "",
        **_no_library(user.settings),
        "shared_preload_libraries": ",".join(preloaded(user.settings)),
        "pg_stat_statements.track": "all",
        "logging_collector": False,
        "log_destination": "stderr",
        "log_line_prefix": "%m [%p] %Q %q%u@%d %a ",
        "log_connections": "on",
        "lc_messages": "C",
        # In the data directory, so that nothing stays in /dev/shm when the server is killed.
        "dynamic_shared_memory_type": "mmap",
    }
    theirs = f"# theirs: {user.settings_file or '[postgres] settings'}\n{user.settings.rstrip()}\n"
    return f"# defaults\n{assignments(DEFAULTS)}\n{theirs}\n# ours\n{assignments(ours)}"


def pg_hba_conf(
    account: Account, user: UserConfig, *, own: str = SOCKET_LINE, network: str = f"{LOOPBACK}/32"
) -> str:
    """All of pg_hba.conf: our superuser's lines, the user's, and last the service's way in from here.

    Production's lines name production's addresses. Whatever they say about ours counts first.
    """
    theirs = "" if user.hba is None else user.hba.rstrip() + "\n"
    mark = "" if user.hba is None else f",{OWN_LINE_MARK}"
    # The service's own, and those that are made beside it for plans, migrations and restores.
    closed = ",".join(name for name in ("postgres", "template1") if name != account.database)
    role = f'{mark} "{account.user}" {network}'
    return f"{own}{theirs}host {closed}{role} reject\nhostssl all{role} scram-sha-256\n"


def name_beside(database: str, what: str) -> str:
    """The name of another database made for the gate's own use; a name has 63 bytes at most."""
    return f"{database[: 62 - len(what)]}_{what}"


def assignments(settings: Mapping[str, Value]) -> str:
    """Settings as lines of postgresql.conf."""
    return "".join(f"{name} = {_literal(value)}\n" for name, value in settings.items())


def preloaded(theirs: str) -> tuple[str, ...]:
    """The libraries to preload: ours and then those of the user's last such line."""
    lines = PRELOAD_LINE.findall(theirs)
    wanted = (lines[-1][0] or lines[-1][1]).split(",") if lines else []
    return tuple(dict.fromkeys([*PRELOADED, *(name.strip() for name in wanted if name.strip())]))


def in_their_words(log: str, conf: Path, hba: Path, user: UserConfig, *, own_lines: int = 1) -> str:
    """The server's complaints with the user's own file and line in the place of our copy's."""

    def hba_line(found: re.Match[str]) -> str:
        return f'line {int(found[1]) - own_lines} of configuration file "{user.hba_file}"'

    log = re.sub(rf'line (\d+) of configuration file "{re.escape(str(hba))}"', hba_line, log)
    return log.replace(str(conf), f"{user.settings_file or '[postgres] settings'} (as {conf})")


def _no_library(theirs: str) -> dict[str, Value]:
    """Production's archive is never filled from here, by a command or by a library."""
    return {"archive_library": ""} if ARCHIVE_LIBRARY.search(theirs) else {}


def _literal(value: Value) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int | float):
        return str(value)
    return "'" + value.replace("'", "''") + "'"


def _read(file: Path, key: str) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            "A PostgreSQL configuration file can't be read.",
            value=f"{file}: {error}",
            source=key,
            remedy="give a path relative to the folder of prodready.toml, or remove the key",
        ) from None
