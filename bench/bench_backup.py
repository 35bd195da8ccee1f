"""What it costs to be sure of a backup: dump, restore and compare beside pg_dump and pg_restore alone.

    python bench/bench_backup.py [--rows 100000 500000 1000000 2000000] [--rounds 3]

Both do the same dump (custom format) and the same restore (two jobs) on a second server; ours also hashes
every row on either side and compares. What else the suite does, roles and the planner's statistics, is told
beside ("whole"). They take turns: seconds are the least of the rounds, of which few rows get more, and the
ratio is the median of theirs, so that a busy machine is equally unfair to both. Memory is what our process
and the backends that hash have beyond shared memory, at most, while ours runs.

Ends with 1 where ours takes more than 1.3 times as long, where memory grows with the rows, or where the
restored rows aren't the same.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil
from psycopg import sql

from pytest_prodready.environment.binaries import find_postgres
from pytest_prodready.environment.certificates import Authority
from pytest_prodready.environment.database import Database
from pytest_prodready.environment.postgres import PostgresServer
from pytest_prodready.environment.postgres_config import Account
from pytest_prodready.environment.postgres_empty import EmptyServer
from pytest_prodready.environment.postgres_tools import conninfo
from pytest_prodready.environment.runs import Run
from pytest_prodready.environment.secrets import new_password
from pytest_prodready.probes.backup_gate import GateBackup, until_failed
from pytest_prodready.probes.contents import Contents, contents, one_snapshot
from pytest_prodready.probes.contents_differences import content_differences
from pytest_prodready.settings import BackupSettings

LIMIT = 1.3  # times pg_dump and pg_restore alone
FLAT_MB = 16.0  # that memory may grow from the fewest rows to the most
LONG_S = 900.0
FEW = 200_000  # rows, of which starting the programs is much of the time
SETTINGS = BackupSettings(within_s=LONG_S)
NAME = "bench"
BESIDE = ("pg_dumpall", "psql", "vacuumdb")  # neither dump nor restore nor comparison
TABLE = """
    CREATE TABLE jobs (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, region text NOT NULL, title text NOT NULL,
        salary numeric(10, 2), tags text[], posted_at timestamptz NOT NULL, details jsonb
    );
    CREATE INDEX jobs_region ON jobs (region, posted_at);
"""
FILL = """
    INSERT INTO jobs (region, title, salary, tags, posted_at, details)
    SELECT 'Region ' || mod(n, 100), md5(n::text) || ' ' || md5((n * 7)::text), mod(n, 9000),
           ARRAY['a', 'b' || mod(n, 10)], timestamptz '2025-01-01 00:00+00' + n * interval '1 minute',
           jsonb_build_object('n', n, 'open', mod(n, 2) = 0)
    FROM generate_series(1, %s) n
"""


@dataclass(frozen=True)
class Figures:
    """One size: seconds, and megabytes beyond shared memory."""

    rows: int
    alone_s: float
    ours_s: float
    ratio: float  # of each round, the one in the middle
    hashing_s: float
    whole_s: float
    process_mb: float
    backend_mb: float
    same: bool

    def __str__(self) -> str:
        return (
            f"{self.rows:>9,}  {self.alone_s:>7.2f} s  {self.ours_s:>7.2f} s  {self.ratio:>6.2f}  "
            f"{self.hashing_s:>7.2f} s  {self.whole_s:>7.2f} s  "
            f"{self.process_mb:>7.1f} MB  {self.backend_mb:>7.1f} MB  {'same' if self.same else 'OTHERS'}"
        )


class Memory:
    """The most that processes have had of their own while they were watched."""

    def __init__(self) -> None:
        self.most: dict[int, float] = {}
        self.watched: set[int] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.01):
            for pid in tuple(self.watched):
                self.most[pid] = max(self.most.get(pid, 0.0), own_mb(pid))


def own_mb(pid: int) -> float:
    """Resident memory that isn't shared, in MB."""
    try:
        about = psutil.Process(pid).memory_info()
    except psutil.Error:
        return 0.0
    return float(about.rss - about.shared) / 1e6


class Bench:
    """A server with rows, and another to restore them on."""

    def __init__(self, run: Run) -> None:
        authority, account = Authority(run.folder), Account(NAME, NAME, new_password())
        self.source = PostgresServer(run, find_postgres(), authority, account)
        self.source.create()
        self.target = EmptyServer(run, authority, self.source, "target")
        self.target.create()
        self.database = Database(
            self.source.endpoint,
            NAME,
            NAME,
            account.password,
            self.source.version,
            "gate",
            server=self.source,
        )

    def fill(self, rows: int) -> None:
        """Make the table anew, with so many rows."""
        with self.database.admin(within_s=LONG_S) as admin:
            admin.execute("DROP TABLE IF EXISTS jobs")
            admin.execute(TABLE)
            admin.execute(FILL.encode(), (rows,))
            admin.execute("VACUUM ANALYZE jobs")
            admin.execute("CHECKPOINT")

    def alone(self) -> float:
        """Seconds of pg_dump and pg_restore."""
        self._drop()
        tools = self.target.tools()
        path, began = f"{tools.folder}/alone.dump", time.monotonic()
        dumped = tools.run(
            *("pg_dump", "--dbname", conninfo(self.source, NAME), "--format=custom", "--no-sync"),
            *("--file", path),
            within_s=LONG_S,
        )
        restored = tools.run(
            *("pg_restore", "--dbname", conninfo(self.target, "postgres"), "--create", "--no-owner"),
            *("--exit-on-error", "--jobs", str(SETTINGS.jobs), path),
            within_s=LONG_S,
        )
        assert dumped.status == restored.status == 0, (str(dumped), str(restored))
        seconds = time.monotonic() - began
        tools.remove(path)
        return seconds

    def ours(self, memory: Memory) -> tuple[float, float, float, bool]:
        """Seconds of dump, restore and comparison, of its hashes, of all; whether the rows are the same."""
        self._drop()
        backup, began = GateBackup(self.target.tools(), SETTINGS, "ours"), time.monotonic()
        with self.database.admin(within_s=LONG_S) as reading, one_snapshot(reading) as snapshot:
            memory.watched.add(reading.info.backend_pid)
            before, first_s = timed(reading)
            made = until_failed(backup.make(self.database, "--snapshot", snapshot))
        restored = until_failed(backup.restore(self.target, NAME))
        assert not any(step.failed for step in (*made, *restored)), (made, restored)
        with self.target.connect(NAME, timeout_s=LONG_S) as connection:
            memory.watched.add(connection.info.backend_pid)
            after, second_s = timed(connection)
        same = not content_differences(before, after)
        whole_s = time.monotonic() - began
        backup.remove()
        beside_s = sum(step.seconds for step in (*made, *restored) if step.name in BESIDE)
        return whole_s - beside_s, first_s + second_s, whole_s, same

    def _drop(self) -> None:
        with self.target.connect("postgres", timeout_s=LONG_S) as admin:
            name = sql.Identifier(NAME)
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
            admin.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(name))
            admin.execute("CHECKPOINT")


def timed(connection: object) -> tuple[Contents, float]:
    """The contents, and the seconds that it took to read them."""
    began = time.monotonic()
    found = contents(connection)  # type: ignore[arg-type]
    return found, time.monotonic() - began


def measured(bench: Bench, rows: int, rounds: int) -> Figures:
    """One size, the least of the rounds."""
    bench.fill(rows)
    alone, ours = [], []
    with Memory() as memory:
        own = psutil.Process().pid
        memory.watched.add(own)
        for _ in range(rounds):
            alone.append(bench.alone())
            ours.append(bench.ours(memory))
    backends = [mb for pid, mb in memory.most.items() if pid != own]
    seconds, hashing, whole, same = zip(*ours, strict=True)
    ratio = statistics.median(mine / base for mine, base in zip(seconds, alone, strict=True))
    least = (min(alone), min(seconds), ratio, min(hashing), min(whole))
    return Figures(rows, *least, memory.most[own], max(backends), all(same))


def problems(found: list[Figures]) -> Iterator[str]:
    """What isn't as it should be."""
    for each in found:
        if each.ratio > LIMIT:
            yield f"{each.rows:,} rows: {each.ratio:.2f} times, the limit is {LIMIT}"
        if not each.same:
            yield f"{each.rows:,} rows: the restored rows are not the same"
    for name in ("process_mb", "backend_mb"):
        grown = getattr(found[-1], name) - getattr(found[0], name)
        if grown > FLAT_MB:
            yield f"{name} grows by {grown:.0f} MB from {found[0].rows:,} to {found[-1].rows:,} rows"


@contextmanager
def opened() -> Iterator[Bench]:
    """Both servers, gone afterwards."""
    run = Run.open()
    try:
        yield Bench(run)
    finally:
        run.close()


def main() -> int:
    """Measure each size and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 500_000, 1_000_000, 2_000_000])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with opened() as bench:
        print(f"{bench.source}, {psutil.cpu_count()} CPUs")
        print(
            "     rows      alone       ours   ratio    hashing      whole     process     backend  restored"
        )
        found = []
        for rows in options.rows:
            rounds = options.rounds if rows > FEW else 3 * options.rounds
            found.append(measured(bench, rows, rounds))
            print(found[-1], flush=True)
    wrong = list(problems(found))
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
