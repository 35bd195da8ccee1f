"""A small migration tool, as many are: `up [REVISION]`, `down [REVISION]`, `list`, `current`."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime

import psycopg

REVISIONS = {
    "1": ("CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL)", "DROP TABLE users"),
    "2": ("ALTER TABLE users ADD email text", "ALTER TABLE users DROP email"),
    "3": ("CREATE INDEX users_email_idx ON users (email)", "DROP INDEX users_email_idx"),
}


def main(order: str, until: str = "") -> None:
    """Go up to a revision (or the newest), down to one (or by one step), list them, or say where it is."""
    if order == "list":
        print("\n".join(REVISIONS))
        return
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS schema_migrations (version text PRIMARY KEY)")
        done = [row[0] for row in connection.execute("SELECT version FROM schema_migrations ORDER BY 1")]
        if order == "current":
            print(datetime.now(UTC).isoformat(), *done[-1:])
        elif order == "up":
            for name in [each for each in REVISIONS if each not in done and each <= (until or "9")]:
                with connection.transaction():
                    connection.execute(REVISIONS[name][0].encode())
                    connection.execute("INSERT INTO schema_migrations VALUES (%s)", (name,))
        else:
            for name in [each for each in reversed(done) if each > (until or (done[-2:-1] or ["0"])[0])]:
                with connection.transaction():
                    connection.execute(REVISIONS[name][1].encode())
                    connection.execute("DELETE FROM schema_migrations WHERE version = %s", (name,))


if __name__ == "__main__":
    main(*sys.argv[1:])
