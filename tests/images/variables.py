"""Prints the variables that choose the images: eval "$(python -m tests.images.variables)"."""

from __future__ import annotations

import shlex

from tests.images.build import Images, make_images


def variables(images: Images) -> dict[str, str]:
    """The environment variables that choose the images."""
    return {
        "PRODREADY_POSTGRES_IMAGE": images.postgres,
        "PRODREADY_REDIS_IMAGE": images.redis,
        "PRODREADY_TOXIPROXY_IMAGE": images.toxiproxy,
        "RYUK_CONTAINER_IMAGE": images.ryuk,
    }


if __name__ == "__main__":
    for name, value in variables(make_images()).items():
        print(f"export {name}={shlex.quote(value)}")
