"""--prodready-keep leaves a failed run's servers up, says how to reach them, and the next run sweeps them."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg

from tests.gate import node_ids, run_gate
from tests.specimens import Specimen


def test_keep_leaves_servers_reachable(tmp_path: Path, base: Path) -> None:
    """After a failure Postgres still answers at the address in the file; no password is printed."""
    Specimen(name="x", breaks="", says="", settings={"health.liveness": "/nowhere"}).build(tmp_path)
    ids = node_ids()
    liveness = ids["health.liveness-answers"]
    variables = {"TMPDIR": str(base)}
    run = run_gate(tmp_path, "--prodready-keep", liveness, variables=variables)
    assert run.code == 1, run.output
    path = Path(re.search(r"with passwords: (\S+)", run.output)[1])  # type: ignore[index]
    assert path.stat().st_mode & 0o077 == 0
    url = re.search(r"postgres: (\S+)", path.read_text())[1]  # type: ignore[index]
    assert url not in run.output
    with psycopg.connect(url, connect_timeout=5) as connection:
        assert connection.execute("select count(*) from jobs").fetchone()
    after = run_gate(tmp_path, ids["health.readiness-answers"], variables=variables)
    assert after.code == 0, after.output
    assert not path.parent.exists()


def test_keep_after_success_keeps_nothing(tmp_path: Path) -> None:
    """Where nothing failed there is nothing to look at."""
    Specimen(name="x", breaks="", says="").build(tmp_path)
    run = run_gate(tmp_path, "--prodready-keep", node_ids()["health.readiness-answers"])
    assert run.code == 0
    assert "still running" not in run.output
