"""A small seed: three users by their names."""

from __future__ import annotations

import os

import psycopg

NAMES = "root", "ada", "grace"

if __name__ == "__main__":
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        for number, name in enumerate(NAMES):
            connection.execute("INSERT INTO users (id, name) VALUES (%s, %s)", (number, name))
