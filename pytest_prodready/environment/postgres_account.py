"""What a new PostgreSQL needs before the service can sign in: its role and its database."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from pytest_prodready.environment.postgres_config import Account
from pytest_prodready.environment.postgres_template import SUPERUSER

Connection = psycopg.Connection[Any]


def change_admin_password(admin: Connection, password: str) -> None:
    """Give the superuser of a copied template a password of its own."""
    verifier = _verifier(admin, password, SUPERUSER)
    admin.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(SUPERUSER), verifier))


def make_account(admin: Connection, account: Account) -> None:
    """Make the service's role, which may sign in and nothing else, and its database."""
    role, database = sql.Identifier(account.user), sql.Identifier(account.database)
    verifier = _verifier(admin, account.password, account.user)
    admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, verifier))
    if admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", (account.database,)).fetchone():
        admin.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(database, role))
    else:
        admin.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, role))


def count_statements(admin: Connection) -> None:
    """Make the view that counts statements in this database.

    Without the comment that it brings: none but a superuser could restore that from a backup.
    """
    admin.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    admin.execute("COMMENT ON EXTENSION pg_stat_statements IS NULL")


def admin_options(version: str, timeout_s: float) -> str:
    """Options of a superuser's connection that the user's own settings of the server must not change."""
    options = {
        "default_transaction_read_only": "off",
        "idle_in_transaction_session_timeout": "0",
        "lock_timeout": "0",
        "statement_timeout": str(int(timeout_s * 1000)),
    }
    if int(version.split(".", maxsplit=1)[0]) >= 14:
        options["idle_session_timeout"] = "0"
    if int(version.split(".", maxsplit=1)[0]) >= 17:
        options["transaction_timeout"] = "0"
    return " ".join(f"-c {name}={value}" for name, value in options.items())


def _verifier(admin: Connection, password: str, role: str) -> sql.Literal:
    """What the server keeps in the place of a password; statements end in logs and in pg_stat_statements."""
    made = admin.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256")
    return sql.Literal(made.decode())
