"""What the tests of the images share."""

from __future__ import annotations

import pytest

from tests.images.build import Images
from tests.images.containers import sweep
from tests.images.fixture import images as made_images

__all__ = ["made_images"]


@pytest.fixture(scope="session")
def images(made_images: Images) -> Images:
    """The images, and nothing left of a killed run."""
    sweep()
    return made_images
