"""One environment with a Postgres, and migrations as SQL files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from pytest_prodready.environment.environment import Environment
from pytest_prodready.probes.migration import RoundTrips, round_trips
from pytest_prodready.settings import Settings
from tests.services.environment.conftest import settings_of as tiny

Try = Callable[..., RoundTrips]


def settings_of(**migration: object) -> Settings:
    """Settings with the tiny service and these migrations."""
    return tiny(service={"env": {"DATABASE_URL": "{postgres.url}"}}, migration=migration)


@pytest.fixture(scope="package")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """One environment for all tests: they work on databases of their own."""
    started = Environment.start(settings_of(), folder=tmp_path_factory.mktemp("target"))
    yield started
    started.stop()


@pytest.fixture
def tried(environment: Environment, tmp_path: Path) -> Try:
    """Takes revisions as (up, down) by name, and makes their round trips."""

    def trips(revisions: Mapping[str, tuple[str, str | None]], **migration: object) -> RoundTrips:
        for name, (up, down) in revisions.items():
            (tmp_path / f"{name}.up.sql").write_text(up)
            if down is not None:
                (tmp_path / f"{name}.down.sql").write_text(down)
        settings = settings_of(files=str(tmp_path), **migration)
        return round_trips(environment, settings, lambda _: None)

    return trips
