"""Sound commands of the user's own pass every rule of the backup suite."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gate import run_gate
from tests.specimens import Specimen
from tests.specimens.backup import scripts

# With the service's role alone: what many a small service does, whose roles are made by something else.
PLAIN = {
    "settings": {
        "backup.backup": "pg_dump --format custom --file {backup} {postgres.url}",
        "backup.restore": "pg_restore --exit-on-error --dbname {postgres.url} {backup}",
    }
}


@pytest.mark.parametrize("given", [scripts(), PLAIN], ids=["superuser", "role"])
def test_sound_commands_pass(given: dict[str, object], tmp_path: Path) -> None:
    """Whoever restores roles and database, or has the roles made elsewhere, is ready."""
    Specimen(name="x", breaks="", says="", **given).build(tmp_path)  # type: ignore[arg-type]
    run = run_gate(tmp_path, "-m", "backup", "prodready.toml")
    wrong = {rule: verdict for rule, verdict in run.verdicts.items() if verdict != "passed"}
    advice = {"backup.statistics-present"} if given is PLAIN else set()
    assert set(wrong) <= advice | {"backup.rto"}, run.output
    assert run.finding("backup.restore-succeeds")["summary"].startswith("[backup] restore on a fresh server")
