"""A name that moves for a service in a container, which alone knows it; on an engine of this machine."""

from __future__ import annotations

import shlex

import docker
import httpx
import pytest

from pytest_prodready.environment.certificates import POSTGRES_NAME
from pytest_prodready.environment.containers.application import ContainerApplication
from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.ports import is_ours
from pytest_prodready.environment.started import StartedApplication
from pytest_prodready.errors import ServerError
from tests.images.build import Images

from .conftest import Start, left_of
from .test_application import settings_of

# Answers with the address that the name has now, and with what it was told of its database.
LOOKS_UP = """
import http.server, os, signal, socket, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            found = socket.gethostbyname("postgres.prodready.test")
        except OSError:
            found = "nowhere"
        self.send_response(200)
        self.end_headers()
        self.wfile.write((found + " " + os.environ["DATABASE_URL"]).encode())
http.server.ThreadingHTTPServer(("0.0.0.0", int(sys.argv[1])), Handler).serve_forever()
"""


def looking_up(start: Start, images: Images) -> Environment:
    """An environment with a service in a container that looks the name up; or the test is skipped."""
    command = f"python3 -c {shlex.quote(LOOKS_UP)} {{port}}"
    environment = start(settings_of(images.python, command=command, env={"DATABASE_URL": "{postgres.url}"}))
    if reason := environment.why_no_moving_name():
        pytest.skip(reason)
    return environment


def told_by(environment: Environment) -> tuple[str, str]:
    """The address that the service finds, and what it was told of its database."""
    assert environment.application is not None
    address, url = httpx.get(f"{environment.application.base_url}/").text.split()
    return address, url


def test_a_living_container_sees_the_move(start: Start, images: Images, api: docker.DockerClient) -> None:
    """It finds the name at one address and then at the other, and is as before afterwards."""
    environment = looking_up(start, images)
    before = told_by(environment)
    assert before[0] == "nowhere"
    with environment.moving_name() as name:
        old, new = name.addresses.old, name.addresses.new
        address, url = told_by(environment)
        assert address == old.host
        assert f"@{POSTGRES_NAME}:{old.port}/" in url
        assert "sslrootcert=/etc/prodready/ca.pem" in url.replace("%2F", "/")
        with name.moved(lambda _: None, stale_s=0.0):
            assert told_by(environment)[0] == new.host
        assert old.host != new.host
        assert is_ours(old.host)
        assert is_ours(new.host)
    assert told_by(environment) == before
    environment.stop()
    assert left_of(api, environment.run.id) == []


def test_a_process_beside_containers(start: Start) -> None:
    """A service that is a process is given its own file, wherever its servers run."""
    environment = start()
    application = environment.application
    assert isinstance(application, StartedApplication)
    if reason := environment.why_no_moving_name():
        pytest.skip(reason)
    with environment.moving_name() as name:
        assert application.recipe.launcher == name.recipe.launcher != ()
    assert application.recipe.launcher == ()


def test_a_file_that_can_not_be_written(
    start: Start, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A move that the container doesn't show is an error, not a service that doesn't follow."""
    environment = looking_up(start, images)
    monkeypatch.setattr(ContainerApplication, "beside", lambda *_: "")
    with environment.moving_name() as name, pytest.raises(ServerError, match="could not be moved"):
        name.point_to(name.addresses.new.host)
