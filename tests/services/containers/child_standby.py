"""Starts an environment of containers with a standby and a replica in the midst of a failover, and waits."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from pytest_prodready.environment import failures
from pytest_prodready.environment.environment import Environment
from tests.services.containers.conftest import settings_of


def main() -> None:
    """Start, fail over, wait, put back, stop."""
    with tempfile.TemporaryDirectory() as folder:
        environment = Environment.start(settings_of(), folder=Path(folder), backend="containers")
        try:
            with (
                environment.standby("synchronous") as standby,
                environment.replica() as replica,
                failures.stale_primary(standby, stale_s=0),
                failures.redis_demoted(replica),
            ):
                print(json.dumps({"run": environment.run.id}), flush=True)
                sys.stdin.readline()
        finally:
            environment.stop()


if __name__ == "__main__":
    main()
