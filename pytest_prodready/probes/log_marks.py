"""Marks in the log of a server of ours, between which it tells what belongs together."""

from __future__ import annotations

import time

from pytest_prodready.environment.admin import Connection
from pytest_prodready.environment.roles import PostgresRole
from pytest_prodready.probes.health import wait_until

LOGGED_WITHIN_S = 5.0
INCOMPLETE = "the server's log doesn't hold its beginning and end"


def mark(admin: Connection, text: str) -> None:
    """Have the server write this into its log; `admin` is a superuser's."""
    admin.execute(f"DO $$ BEGIN RAISE LOG 'prodready: {text}'; END $$".encode())


def log_with(server: PostgresRole, text: str) -> str:
    """The log, once it has come as far as this mark, or as far as it has come in time."""
    seen = [""]

    def told() -> bool:
        seen[0] = server.log()
        return text in seen[0]

    wait_until(time.monotonic() + LOGGED_WITHIN_S, told, every_s=0.05)
    return seen[0]
