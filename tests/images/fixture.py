"""The images as a fixture, for any conftest.py to import."""

from __future__ import annotations

import os

import pytest

from tests.images.build import Images, make_images
from tests.images.commands import ImagesError

REQUIRED = "PRODREADY_REQUIRE_ENGINE"


@pytest.fixture(scope="session")
def images() -> Images:
    """All images, made where missing; where they can't be, the test is skipped, or fails if CI demands it."""
    try:
        return make_images()
    except ImagesError as error:
        if os.environ.get(REQUIRED):
            raise
        pytest.skip(str(error))
