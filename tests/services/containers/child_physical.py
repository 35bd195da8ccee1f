"""Starts an environment of containers with room for a physical backup and a server on it, and waits."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from pytest_prodready.environment.environment import Environment
from tests.services.containers.conftest import settings_of


def main() -> None:
    """Start, back up, restore, wait, stop."""
    with tempfile.TemporaryDirectory() as folder:
        environment = Environment.start(settings_of(redis=None), folder=Path(folder), backend="containers")
        try:
            with environment.physical() as physical:
                physical.base_backup("base")
                with physical.restored("base"):
                    print(json.dumps({"run": environment.run.id}), flush=True)
                    sys.stdin.readline()
        finally:
            environment.stop()


if __name__ == "__main__":
    main()
