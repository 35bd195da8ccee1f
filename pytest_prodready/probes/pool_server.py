"""How many connections the server has to give."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_prodready.environment.database import Database

ROLE_LIMIT = "SELECT rolconnlimit FROM pg_roles WHERE rolname = %s"
DATABASE_LIMIT = "SELECT datconnlimit FROM pg_database WHERE datname = %s"


@dataclass(frozen=True, slots=True)
class ServerRoom:
    """The server's limits on connections; -1: none."""

    max_connections: int
    superuser_reserved: int
    reserved: int  # reserved_connections, since PostgreSQL 16
    role_limit: int
    database_limit: int


def server_room(database: Database) -> ServerRoom:
    """Read the limits that hold for the service's role and database."""
    with database.admin() as admin:
        found = dict(
            admin.execute(
                "SELECT name, setting::int FROM pg_settings WHERE name IN"
                " ('max_connections', 'superuser_reserved_connections', 'reserved_connections')"
            ).fetchall()
        )
        role = admin.execute(ROLE_LIMIT, (database.user,)).fetchone()
        named = admin.execute(DATABASE_LIMIT, (database.name,)).fetchone()
    return ServerRoom(
        max_connections=found["max_connections"],
        superuser_reserved=found["superuser_reserved_connections"],
        reserved=found.get("reserved_connections", 0),
        role_limit=role[0] if role else -1,
        database_limit=named[0] if named else -1,
    )
