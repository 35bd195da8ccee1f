"""An empty copy of a database's schema, whose statistics nobody changes."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from pytest_prodready.environment.roles import PostgresRole

Connection = psycopg.Connection[Any]
LARGE = 100 * 1024 * 1024  # bytes; more are copied as files instead of through the log
OURS = """
    n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                    AND d.deptype = 'e')
"""
RELATIONS = f"""
    SELECT n.nspname, c.relname, c.relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'm') AND {OURS} ORDER BY c.oid
"""  # noqa: S608
FORGET = f"""
    DELETE FROM pg_statistic USING pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE starelid = c.oid AND {OURS}
"""  # noqa: S608
SETTINGS = """
    SELECT r.rolname, unnest(s.setconfig)
    FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
    LEFT JOIN pg_roles r ON r.oid = s.setrole WHERE d.datname = %s
"""


def emptied_copy(server: PostgresRole, admin: Connection, *, like: str, name: str) -> None:
    """Make the database `name` with the schema of `like`, without rows, and with autovacuum off."""
    drop(admin, name)
    _copy(admin, like, name)
    _copy_settings(admin, like, name)
    with server.connect(name, timeout_s=600) as connection:
        # Triggers and event triggers of the user's own are none of our business here.
        connection.execute("SET session_replication_role = replica")
        connection.execute("SET event_triggers = off")
        relations = connection.execute(RELATIONS.encode()).fetchall()
        _empty(connection, relations)
        for schema, relation, kind in relations:
            if kind != "p":
                what = sql.SQL("MATERIALIZED VIEW" if kind == "m" else "TABLE")
                command = sql.SQL("ALTER {} {} SET (autovacuum_enabled = false)")
                connection.execute(command.format(what, sql.Identifier(schema, relation)))


def drop(admin: Connection, name: str) -> None:
    """Drop the database; harmless where there is none."""
    admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _copy(admin: Connection, like: str, name: str) -> None:
    """Copy the database; it can't be connected to meanwhile, so nobody comes back in between."""
    template, owner = sql.Identifier(like), _owner(admin, like)
    admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(template))
    try:
        query = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s"
        admin.execute(query, (like,))
        found = admin.execute("SELECT pg_database_size(%s::text)", (like,)).fetchone()
        strategy = "FILE_COPY" if found and found[0] > LARGE else "WAL_LOG"
        command = sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {} STRATEGY {}")
        admin.execute(command.format(sql.Identifier(name), template, owner, sql.Identifier(strategy.lower())))
    finally:
        admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(template))
    admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(sql.Identifier(name)))


def _owner(admin: Connection, database: str) -> sql.Identifier:
    query = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s"
    found = admin.execute(query, (database,)).fetchone()
    return sql.Identifier(str(found[0]) if found else "postgres")


def _copy_settings(admin: Connection, like: str, name: str) -> None:
    """What ALTER DATABASE … SET gave to the one: search_path, settings of the planner."""
    for role, setting in admin.execute(SETTINGS, (like,)).fetchall():
        key, _, value = setting.partition("=")
        whom = sql.SQL("ROLE {} IN ").format(sql.Identifier(role)) if role else sql.SQL("")
        command = sql.SQL("ALTER {}DATABASE {} SET {} = {}")
        admin.execute(
            command.format(whom, sql.Identifier(name), sql.Identifier(*key.split(".")), _values(key, value))
        )


def _values(key: str, value: str) -> sql.Composable:
    """A setting's value; that of a list of names must not become one name."""
    if key == "search_path" and value:
        return sql.SQL(", ").join(sql.Literal(part.strip().strip('"')) for part in value.split(","))
    return sql.Literal(value)


def _empty(connection: Connection, relations: list[tuple[str, str, str]]) -> None:
    """Take out rows, and statistics of them: TRUNCATE leaves those."""
    connection.execute(FORGET.encode())
    connection.execute("DELETE FROM pg_statistic_ext_data")
    names = [sql.Identifier(schema, name) for schema, name, kind in relations if kind in "rp"]
    if names:
        connection.execute(sql.SQL("TRUNCATE {} CASCADE").format(sql.SQL(", ").join(names)))
    for schema, name, kind in relations:
        if kind == "m":
            command = sql.SQL("REFRESH MATERIALIZED VIEW {} WITH NO DATA")
            connection.execute(command.format(sql.Identifier(schema, name)))
