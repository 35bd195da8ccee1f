"""Folders of migrations as drizzle and prisma keep them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

TOOL = Path(__file__).with_name("forward.py")
BREAKPOINT = "\n--> statement-breakpoint\n"
JOBS = "CREATE TABLE jobs (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, title text NOT NULL)"
SOON = "SET lock_timeout = '250ms'"
Histories = Mapping[str, tuple[str, ...]]  # statements by name
GOOD: Histories = {
    "0000_jobs": (JOBS,),
    "0001_region": (SOON, "ALTER TABLE jobs ADD COLUMN region text"),
    "0002_city": (SOON, "ALTER TABLE jobs ADD COLUMN city text"),
}
# What cannot be in a transaction: prisma sends a single statement without one.
CONCURRENTLY = "CREATE INDEX CONCURRENTLY jobs_city ON jobs (city)"
CONCURRENT: Histories = {**GOOD, "0003_index": (CONCURRENTLY,)}
# Drizzle begins one: a file leaves it for such a statement.
LEFT: Histories = {**GOOD, "0003_index": ("COMMIT", CONCURRENTLY, "BEGIN")}
SAFE: Mapping[str, Histories] = {"drizzle": LEFT, "prisma": CONCURRENT}
INDEXED: Histories = {**GOOD, "0003_index": (SOON, "CREATE INDEX jobs_city ON jobs (city)")}
REQUIRED: Histories = {
    **GOOD,
    "0003_required": (
        SOON,
        "UPDATE jobs SET city = 'x' WHERE city IS NULL",
        "ALTER TABLE jobs ALTER COLUMN city SET NOT NULL",
    ),
}


def drizzle(folder: Path, revisions: Histories) -> str:
    """Write them as drizzle-kit does; returns the command that runs them."""
    (folder / "meta").mkdir(parents=True)
    for name, statements in revisions.items():
        (folder / f"{name}.sql").write_text(f"{(';' + BREAKPOINT).join(statements)};\n")
    entries = [{"idx": number, "tag": name} for number, name in enumerate(revisions)]
    (folder / "meta" / "_journal.json").write_text(json.dumps({"version": "7", "entries": entries}))
    return f"{{python}} {TOOL} drizzle {folder}"


def prisma(folder: Path, revisions: Histories) -> str:
    """Write them as prisma does; returns the command that runs them."""
    for name, statements in revisions.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "migration.sql").write_text(f"-- {name}\n{';'.join(statements)};\n")
    (folder / "migration_lock.toml").write_text('provider = "postgresql"\n')
    return f"{{python}} {TOOL} prisma {folder}"


WRITERS = {"drizzle": drizzle, "prisma": prisma}
