"""Fixtures of the acceptance tests."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def base() -> Iterator[Path]:
    """A temporary folder of this test's own, where no other session sweeps; short enough for sockets."""
    folder = Path(f"/tmp/pr-{os.getpid()}-{random.randrange(10**6)}")
    folder.mkdir(mode=0o755)
    yield folder
    shutil.rmtree(folder)
