"""The service under test: from its command to the end of its last process."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from pytest_prodready.environment.application import Application
from pytest_prodready.environment.given_application import GivenApplication
from pytest_prodready.environment.leftovers import of_instance
from pytest_prodready.environment.ports import is_free
from pytest_prodready.environment.recipe import Recipe, check_command
from pytest_prodready.environment.runs import Run
from pytest_prodready.environment.secrets import Redactor
from pytest_prodready.environment.set_up import set_up
from pytest_prodready.errors import ApplicationError, ConfigError

from .conftest import PASSWORD, eventually, settings_of


def recipe(folder: Path, how: str = "well", ready_path: str | None = "/ready", **service: Any) -> Recipe:
    """The recipe of the tiny service."""
    values = {"python": sys.executable, "postgres.url": f"postgresql://me:{PASSWORD}@x/y"}
    return Recipe(settings_of(how, service=service).service, folder, values, ready_path, Redactor([PASSWORD]))


def test_it_is_started_and_stopped(run: Run, tmp_path: Path) -> None:
    """It gets its variables, answers, ends by SIGTERM, and starts again."""
    variables = {"SHOWN": "at {port} {{port}}"}
    application = Application(run, recipe(tmp_path, env=variables))
    application.start()
    assert httpx.get(application.base_url).text == f"at {application.port} {{port}}"
    assert application.processes() == (application.pid,)
    ended = application.stop()
    assert ended is not None
    assert (ended.signal, ended.killed, ended.left) == (15, False, 0)
    assert not application.alive
    assert application.stop() is None
    before = application.pid
    application.ensure_ready()
    assert application.alive
    assert application.pid != before
    application.discard()
    assert is_free(application.port)


def test_one_that_broke_is_renewed(run: Run, tmp_path: Path) -> None:
    """A service that runs but is not ready any more is started anew."""
    application = Application(run, recipe(tmp_path, ready_within_s=2.5))
    application.start()
    before = application.pid
    assert httpx.get(f"{application.base_url}/break").status_code == 503
    application.ensure_ready()
    assert application.pid != before
    assert httpx.get(application.base_url).status_code == 200


def test_the_stubborn_is_killed(run: Run, tmp_path: Path) -> None:
    """A service that ignores SIGTERM is killed after its grace."""
    application = Application(run, recipe(tmp_path, "stubborn"))
    application.start()
    ended = application.stop(grace_s=0.2)
    assert ended is not None
    assert (ended.signal, ended.killed) == (9, True)
    assert ended.seconds >= 0.2


def test_children_are_ended(run: Run, tmp_path: Path) -> None:
    """What it leaves behind, in its group or out of it, is counted and ended."""
    application = Application(run, recipe(tmp_path, "parent"))
    application.start()
    processes = application.processes()
    assert len(processes) == 3
    ended = application.stop()
    assert ended is not None
    assert (ended.killed, ended.left) == (False, 2)
    assert eventually(lambda: not any(psutil.pid_exists(pid) for pid in processes))


def test_daemons_are_ended(run: Run, tmp_path: Path) -> None:
    """One that left the group and lost its parent does not outlive the service."""
    application = Application(run, recipe(tmp_path, "daemon"))
    application.start()
    assert eventually(lambda: len(of_instance(run.folder, application.name)) == 2)
    assert len(application.processes()) == 1
    application.kill()
    assert not of_instance(run.folder, application.name)


def test_a_child_born_while_they_are_killed_is_ended(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that its supervisor starts after the first look doesn't survive to hold the port."""
    application = Application(run, recipe(tmp_path, "supervisor"))
    application.start()
    assert application.pid is not None
    family, looks = application._family, iter([[psutil.Process(application.pid)]])
    monkeypatch.setattr(application, "_family", lambda: next(looks, None) or family())
    assert application.kill() == 2
    assert application.processes() == ()


def test_another_instance(run: Run, tmp_path: Path) -> None:
    """A second instance runs beside the first, and ends with its block."""
    application = Application(run, recipe(tmp_path))
    application.start()
    with application.another() as other:
        assert other.port != application.port
        assert httpx.get(other.base_url).status_code == 200
    assert not other.alive
    assert application.alive


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("dies", ["ended with status 7", "the last words", "run it by hand"]),
        ("never-ready", ["GET /ready", "status 503", "run it by hand"]),
        ("elsewhere", ["GET /ready", "status 404", "[health] readiness names"]),
    ],
)
def test_one_that_does_not_get_ready(run: Run, tmp_path: Path, how: str, said: list[str]) -> None:
    """A service that dies or never gets ready: the error tells how, with its last lines and no password."""
    variables = {"DATABASE_URL": "{postgres.url}"}
    application = Application(run, recipe(tmp_path, how, env=variables, ready_within_s=2.5))
    with pytest.raises(ApplicationError) as failed:
        application.start()
    assert all(words in failed.value.message for words in [*said, "tiny starts", "[redacted]"])
    assert PASSWORD not in failed.value.message
    assert not application.alive
    assert is_free(application.port)


def test_a_taken_port(run: Run, tmp_path: Path) -> None:
    """A fixed port that another program holds is named, with its key."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"Port {port} is taken(.|\n)*\[service\] port"):
            Application(run, recipe(tmp_path, port=port)).start()


def test_a_fixed_port(run: Run, tmp_path: Path) -> None:
    """A fixed port is used; a second instance is refused then."""
    port = run.ports.reserve()
    application = Application(run, recipe(tmp_path, port=port))
    application.start()
    assert application.base_url == f"http://127.0.0.1:{port}"
    with pytest.raises(ConfigError, match="port of its own"), application.another():
        pass


@pytest.mark.parametrize(
    ("service", "said"),
    [
        ({"command": "no-such-program --port {port}"}, "no-such-program"),
        ({"command": "./missing.sh"}, "missing.sh"),
        ({"command": "python 'unclosed"}, "split"),
        ({"command": ""}, "empty"),
        ({"cwd": "nowhere"}, r"\[service\] cwd"),
        ({"setup": ["no-such-program"]}, r"setup\[0\]"),
    ],
)
def test_a_wrong_command(tmp_path: Path, service: dict[str, Any], said: str) -> None:
    """A command that can't work is an error before anything is started."""
    with pytest.raises(ConfigError, match=said):
        check_command(settings_of(service=service).service, tmp_path)


def test_set_up(run: Run, tmp_path: Path) -> None:
    """Set-up commands run in order in the service's folder; one that fails is told with its output."""
    (tmp_path / "fail.py").write_text(f"import sys; print('{PASSWORD}'); sys.exit('no such table')")
    commands = ["touch made", "cp made copied", "{python} fail.py", "touch never"]
    said: list[str] = []
    wanted = recipe(tmp_path, setup=commands)
    with pytest.raises(ApplicationError) as failed:
        set_up(Application(run, wanted), wanted, said.append)
    assert (tmp_path / "copied").exists()
    assert not (tmp_path / "never").exists()
    assert len(said) == 3
    assert all(
        words in failed.value.message for words in ("status 1", "no such table", "setup[2]", "[redacted]")
    )


def test_what_it_does_not_inherit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables that change how libpq connects, and pytest's own, don't reach it."""
    monkeypatch.setenv("PGSSLMODE", "disable")
    monkeypatch.setenv("KEPT", "yes")
    variables = recipe(tmp_path).environment(1)
    assert variables["KEPT"] == "yes"
    assert not [name for name in variables if name.startswith(("PG", "PYTEST_"))]


def test_a_given_service(run: Run, tmp_path: Path) -> None:
    """A service given by url only has to answer."""
    real = Application(run, recipe(tmp_path))
    real.start()
    service = settings_of(service={"command": None, "url": f"{real.base_url}/"}).service
    given = GivenApplication(Recipe(service, tmp_path, {}))
    given.start()
    assert given.base_url == real.base_url
    assert given.alive
    given.stop()
    assert real.alive
    real.kill()
    with pytest.raises(ApplicationError, match=r"does not answer(.|\n)*\[service\] url"):
        given.ensure_ready()
