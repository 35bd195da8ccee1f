"""Starts an environment of containers, tells about it, and stops it when told to."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import psycopg

from pytest_prodready.environment.environment import Environment
from pytest_prodready.errors import ProdreadyError
from tests.services.containers.conftest import settings_of


def tell(**facts: Any) -> None:
    """Print one line."""
    print(json.dumps(facts), flush=True)


def main() -> None:
    """Start, look whether everything can be reached, wait, stop."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            environment = Environment.start(
                settings_of(),
                folder=Path(folder),
                backend="containers",
                progress=lambda text: tell(progress=text),
            )
        except ProdreadyError as error:
            tell(error=error.message)
            return
        try:
            tell(run=environment.run.id, versions=dict(environment.versions), **_reached(environment))
            sys.stdin.readline()
        finally:
            environment.stop()
    tell(stopped=True)


def _reached(environment: Environment) -> dict[str, Any]:
    database, cache = environment.database, environment.cache
    assert database is not None
    assert cache is not None
    with psycopg.connect(database.url()) as connection:
        verified = connection.execute("SELECT 1").fetchone() == (1,)
    way = environment.way_back()
    return {"verified": verified, "pinged": bool(cache.client().ping()), "way_back": way.listen_at}


if __name__ == "__main__":
    main()
