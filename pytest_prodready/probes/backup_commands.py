"""The user's own procedure: a command that makes a backup, and one that fills an empty database from it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from pytest_prodready.environment.database import Database
from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.logs import last_lines
from pytest_prodready.environment.placeholders import SUPERUSER, names_in
from pytest_prodready.environment.postgres_tools import PRINTED_LINES
from pytest_prodready.environment.ran import Command
from pytest_prodready.environment.roles import PostgresRole
from pytest_prodready.environment.started import StartedApplication
from pytest_prodready.errors import ConfigError, ServerError
from pytest_prodready.probes.backup_facts import Step
from pytest_prodready.probes.backup_gate import errors_in
from pytest_prodready.settings import BackupSettings

Admin = psycopg.Connection[Any]
NOT_FOUND = 127  # as a shell has it
LOCALE = """
    SELECT pg_encoding_to_char(encoding), datcollate, datctype
    FROM pg_database WHERE datname = current_database()
"""
EXTENSIONS = """
    SELECT e.extname, n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
    WHERE e.extname <> 'plpgsql'
      AND NOT EXISTS (SELECT FROM pg_available_extension_versions v
                      WHERE v.name = e.extname AND v.version = e.extversion AND v.trusted)
"""


class CommandBackup:
    """A backup by [backup] backup and restore, with the service's own variables."""

    def __init__(
        self,
        environment: Environment,
        database: Database,
        settings: BackupSettings,
        progress: Callable[[str], None],
        folder: str = "backup",
    ) -> None:
        assert settings.backup is not None
        assert settings.restore is not None
        self._environment, self._database, self._settings = environment, database, settings
        self._progress = progress
        self._backup, self._restore = settings.backup, settings.restore
        self._folder = environment.run.folder / folder
        self.path = environment.run.subfolder(folder) / "backup"

    @property
    def provisions(self) -> bool:
        """Whether the restore signs in as the service's role, which then has to be there before."""
        return not set(SUPERUSER) & set(names_in(self._restore))

    @property
    def bytes(self) -> int:
        """How large it is."""
        return sum(file.stat().st_size for file in files_of(self.path))

    def make(self, database: Database) -> Step:
        """Let the user's command back up the service's database, or a copy of it."""
        return self._step("backup", self._backup, database)

    def restore(self, server: PostgresRole) -> Step:
        """Let the user's command fill an empty database of the same name on another server."""
        with self._database.admin() as source, server.connect("postgres") as admin:
            self._provide(source, admin, server)
        return self._step("restore", self._restore, self._environment.on(server))

    def halve(self) -> None:
        """Cut each file of the backup to half of its length."""
        for file in files_of(self.path):
            os.truncate(file, file.stat().st_size // 2)

    def remove(self) -> None:
        """Remove its files."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _step(self, name: str, text: str, database: Database) -> Step:
        environment, command = self._environment, Command(name, text, f"[backup] {name}")
        application = environment.application
        if not isinstance(application, StartedApplication):
            raise ServerError("Commands run with the variables of a service that the gate starts.")
        values = {"backup": str(self.path), **_superuser(database)}
        try:
            with application.on_server(database, values) as instance:
                ran = environment.try_command(instance, command, self._settings.within_s, self._progress)
        except ConfigError as error:
            return Step(command.source, NOT_FOUND, 0.0, environment.redact(error.message), (error.problem,))
        printed = last_lines(ran.printed, PRINTED_LINES)
        errors = errors_in(ran.printed)
        return Step(command.source, ran.status, ran.seconds, printed, errors, ran.printed_bytes)

    def _provide(self, source: Admin, admin: Admin, server: PostgresRole) -> None:
        """Make the empty database, and with it what a role that isn't a superuser can't make itself."""
        name = sql.Identifier(self._database.name)
        admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
        admin.execute(_create(source, name))
        if not self.provisions:
            return
        role = sql.Identifier(self._database.user)
        with suppress(psycopg.errors.DuplicateObject):
            verifier = sql.Literal(_verifier(source, self._database))
            admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, verifier))
        admin.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(name, role))
        with server.connect(self._database.name) as restored:
            for extension, schema in source.execute(EXTENSIONS):
                if schema in ("public", "pg_catalog"):
                    restored.execute(sql.SQL("CREATE EXTENSION {}").format(sql.Identifier(extension)))
                    comment = sql.SQL("COMMENT ON EXTENSION {} IS NULL").format(sql.Identifier(extension))
                    restored.execute(comment)


def _verifier(source: Admin, database: Database) -> str:
    """What the first server keeps in the place of the role's password, or another of the same."""
    with suppress(psycopg.errors.InsufficientPrivilege):
        query = "SELECT rolpassword FROM pg_authid WHERE rolname = %s AND rolpassword IS NOT NULL"
        if found := source.execute(query, (database.user,)).fetchone():
            return str(found[0])
    user, password = database.user.encode(), database.password.encode()
    return source.pgconn.encrypt_password(password, user, b"scram-sha-256").decode()


def _superuser(database: Database) -> dict[str, str]:
    """The superuser's URLs: of the service's database, and of one that is there before it."""
    names = (database.name, "postgres")
    if database.server is not None:
        urls = [database.server.admin_url(name) for name in names]
    else:
        parts = urlsplit(database.admin_url or "")
        urls = [urlunsplit(parts._replace(path=f"/{quote(name, safe='')}")) for name in names]
    return dict(zip(SUPERUSER, urls, strict=True))


def files_of(path: Path) -> tuple[Path, ...]:
    """The files of a backup, which is one or a folder of them."""
    found = path.rglob("*") if path.is_dir() else [path]
    return tuple(sorted(file for file in found if file.is_file() and not file.is_symlink()))


def _create(source: Admin, name: sql.Identifier) -> sql.Composed:
    """A new database of the same encoding and locale."""
    encoding, collation, character = source.execute(LOCALE.encode()).fetchone() or ("UTF8", "C", "C")
    return sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}").format(
        name, sql.Literal(encoding), sql.Literal(collation), sql.Literal(character)
    )
