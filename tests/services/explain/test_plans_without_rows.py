"""A copy that nothing has filled: no plan on it says anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_prodready.environment.environment import Environment
from pytest_prodready.probes.explain import plans
from tests.services.environment.conftest import settings_of

SERVICE = {"env": {"DATABASE_URL": "{postgres.url}"}}
FILL = """{python} -c "
import os, psycopg
with psycopg.connect(os.environ['DATABASE_URL']) as connection:
    connection.execute('INSERT INTO jobs SELECT generate_series(1, 5)')
"
"""


@pytest.mark.parametrize(
    ("explain", "doubt"),
    [
        ({"seed": "true"}, "every table is empty: the data is filled by [explain] seed"),
        ({"seed": FILL}, ""),
        ({"rows": {"jobs": 5}}, ""),
    ],
    ids=["seed that does nothing", "seed", "rows"],
)
def test_plans_need_rows(explain: dict[str, Any], doubt: str, tmp_path: Path) -> None:
    """A seed that fills another database, or nothing, leaves all open; what a tool writes down is no data."""
    settings = settings_of(service=SERVICE, postgres={}, explain=explain, requests=[{"path": "/"}])
    environment = Environment.start(settings, folder=tmp_path, backend="processes")
    try:
        assert environment.database is not None
        with environment.database.admin() as admin:
            admin.execute("CREATE TABLE jobs (id int)")
            admin.execute("ALTER TABLE jobs OWNER TO tiny_one")
            admin.execute("CREATE TABLE alembic_version AS SELECT '0001' AS version_num")
        assert plans(environment, settings, lambda _: None).doubt == doubt
    finally:
        environment.stop()
