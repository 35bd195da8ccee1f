"""Create the tables and fill them: `python prepare.py`, with DATABASE_URL."""

import os
from pathlib import Path

import psycopg

with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
    connection.execute(Path(__file__).with_name("schema.sql").read_text())
