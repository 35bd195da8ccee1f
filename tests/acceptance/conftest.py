"""Fixtures of the acceptance tests."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.shop.running import Shop, copied, database


@pytest.fixture
def base() -> Iterator[Path]:
    """A temporary folder of this test's own, where no other session sweeps; short enough for sockets."""
    folder = Path(f"/tmp/pr-{os.getpid()}-{random.randrange(10**6)}")
    folder.mkdir(mode=0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def shop_url() -> Iterator[str]:
    """The address of a running PostgreSQL, for SQLAlchemy."""
    with database() as url:
        yield url


@pytest.fixture
def shop(tmp_path: Path, shop_url: str) -> Shop:
    """A user's code with fixtures for its tests, in a folder of its own."""
    return copied(tmp_path, shop_url)
