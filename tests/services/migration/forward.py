"""Migrates as drizzle-kit and prisma do, forwards only: `python forward.py drizzle|prisma FOLDER`."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import psycopg

Connection = psycopg.Connection[tuple[object, ...]]
LOCK = 72707369
DRIZZLE = """
    CREATE SCHEMA IF NOT EXISTS drizzle;
    CREATE TABLE IF NOT EXISTS drizzle.__drizzle_migrations (id serial PRIMARY KEY, name text NOT NULL)
"""
PRISMA = "CREATE TABLE IF NOT EXISTS _prisma_migrations (name text PRIMARY KEY, finished boolean NOT NULL)"


def drizzle(connection: Connection, folder: Path) -> None:
    """All that are pending in one transaction, statement by statement."""
    connection.execute(DRIZZLE)
    done = {name for (name,) in connection.execute("SELECT name FROM drizzle.__drizzle_migrations")}
    connection.execute("BEGIN")
    for entry in json.loads((folder / "meta/_journal.json").read_text())["entries"]:
        if (name := entry["tag"]) not in done:
            for statement in (folder / f"{name}.sql").read_bytes().split(b"--> statement-breakpoint"):
                connection.execute(statement)
            connection.execute("INSERT INTO drizzle.__drizzle_migrations (name) VALUES (%s)", (name,))
    connection.execute("COMMIT")


def prisma(connection: Connection, folder: Path) -> None:
    """Each as one query; what failed before is resolved first, as a script of a deploy would."""
    until = time.monotonic() + 10
    while connection.execute("SELECT pg_try_advisory_lock(%s)", (LOCK,)).fetchone() != (True,):
        if time.monotonic() > until:
            sys.exit("the lock was not to be had")
        time.sleep(0.05)
    connection.execute(PRISMA)
    connection.execute("DELETE FROM _prisma_migrations WHERE NOT finished")
    done = {name for (name,) in connection.execute("SELECT name FROM _prisma_migrations")}
    for file in sorted(folder.glob("*/migration.sql")):
        if (name := file.parent.name) not in done:
            connection.execute("INSERT INTO _prisma_migrations VALUES (%s, false)", (name,))
            connection.execute(file.read_bytes())
            connection.execute("UPDATE _prisma_migrations SET finished = true WHERE name = %s", (name,))


if __name__ == "__main__":
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as session:
        {"drizzle": drizzle, "prisma": prisma}[sys.argv[1]](session, Path(sys.argv[2]))
