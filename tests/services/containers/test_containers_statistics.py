"""Files of a server in a container grow by holes, as the server's own user."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_prodready.environment.statistics import NotInjected, inject, unsupported
from pytest_prodready.environment.statistics_files import stretch

from .conftest import Start, settings_of

PAGES = 200_000  # more than the gibibyte that one file holds
INDEX_PAGES = 5000
DUMP = f"""
SELECT * FROM pg_catalog.pg_restore_relation_stats(
\t'schemaname', 'public', 'relname', 'large', 'relpages', '{PAGES}'::integer, 'reltuples', '1000000'::real
);
"""


def test_a_table_looks_large(start: Start, tmp_path: Path) -> None:
    """The server sees as many pages as were asked for, in several files."""
    environment = start(settings_of(redis=None))
    assert environment.database is not None
    server = environment.database.server
    assert server is not None
    with server.connect(environment.database.name) as connection:
        connection.execute("CREATE TABLE large (id int); CREATE INDEX large_idx ON large (id)")
        found = connection.execute("SELECT 'large'::regclass::oid, 'large_idx'::regclass::oid").fetchone()
        assert found is not None
        connection.execute("SET allow_system_table_mods = on")
        for oid, pages in zip(found, (PAGES, INDEX_PAGES), strict=True):
            connection.execute("UPDATE pg_class SET relpages = %s WHERE oid = %s", (pages, oid))
        assert stretch(server, connection, found) == PAGES + INDEX_PAGES
        sizes = "SELECT pg_relation_size('large'), pg_relation_size('large_idx')"
        assert connection.execute(sizes).fetchone() == (PAGES * 8192, INDEX_PAGES * 8192)
        connection.execute("INSERT INTO large SELECT generate_series(1, 1000)")
        assert connection.execute("SELECT count(*) FROM large").fetchone() == (1000,)
        connection.execute("CREATE EXTENSION pageinspect; SET enable_seqscan = off")
        assert connection.execute("SELECT fastlevel FROM bt_metap('large_idx')").fetchone() == (2,)
        assert connection.execute("SELECT * FROM large WHERE id = 17").fetchone() == (17,)
    dump = tmp_path / "stats.sql"
    dump.write_text(DUMP)
    if unsupported(server.version):
        with pytest.raises(NotInjected, match="need PostgreSQL 18"), inject(server, dump, like="x", name="y"):
            pass
        return
    with inject(server, dump, like=environment.database.name, name="injected") as injected:
        assert injected.pages == PAGES
