"""`python -m tests.images`: make the images that are missing, and print the names of all as JSON."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict

from tests.images.build import make_images, stale
from tests.images.commands import ImagesError, docker


def main() -> int:
    """Make them, or with --remove-stale remove those of earlier recipes."""
    parser = argparse.ArgumentParser(prog="python -m tests.images", description=__doc__)
    parser.add_argument("--remove-stale", action="store_true", help="remove images of earlier recipes first")
    options = parser.parse_args()
    began = time.monotonic()
    try:
        if options.remove_stale:
            for name in stale():
                docker("image", "rm", name)
                _say(f"{name} removed")
        names = make_images(_say)
    except ImagesError as error:
        _say(f"error: {error}")
        return 1
    _say(f"all images are there, after {time.monotonic() - began:.1f} s")
    print(json.dumps(asdict(names), indent=2))
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
