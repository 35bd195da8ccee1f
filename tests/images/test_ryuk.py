"""The reaper does what testcontainers relies upon: what a killed process left behind is removed."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.images.build import Images
from tests.images.commands import docker
from tests.images.containers import DEADLINE_S, wait_for

# Starts one container and is killed before it could clean up.
VICTIM = """
import os, signal, sys
from testcontainers.core.container import DockerContainer
from testcontainers.core.labels import SESSION_ID
DockerContainer(sys.argv[1]).start()
print(SESSION_ID, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def listed(*filters: str) -> str:
    """Containers that match, running or not."""
    return docker(
        "ps", "--all", "--quiet", *(word for each in filters for word in ("--filter", each))
    ).strip()


def test_removes_what_a_killed_process_left(images: Images) -> None:
    """A process starts a container by testcontainers and is killed; soon both it and the reaper are gone."""
    settings = {"RYUK_CONTAINER_IMAGE": images.ryuk, "RYUK_RECONNECTION_TIMEOUT": "500ms"}
    victim = subprocess.run(
        [sys.executable, "-c", VICTIM, images.redis],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert victim.stdout, victim.stderr
    session = victim.stdout.strip()
    label = f"label=org.testcontainers.session-id={session}"
    wait_for(lambda: not listed(label), "the removal of the container")
    wait_for(lambda: not listed(f"name=testcontainers-ryuk-{session}"), "the reaper's own end")
