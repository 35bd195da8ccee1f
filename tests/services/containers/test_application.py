"""The service under test as a container: the same abilities as a local process has."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest

from pytest_prodready.environment import runs, set_up
from pytest_prodready.environment.containers.leftovers import BASE_LABEL, LABEL
from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.roles import ApplicationRole
from pytest_prodready.errors import ApplicationError, ConfigError, ServerError
from pytest_prodready.settings import Settings
from tests.images.build import Images

from .conftest import TINY, Start, eventually, left_of

LOOPBACK, EVERYWHERE = "127.0.0.1", "0.0.0.0"  # noqa: S104 (of a container)
ENDS_WELL = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\n"


def program(how: str = "well", before: str = ENDS_WELL) -> str:
    """The tiny service as one command; in a container it listens on every address."""
    code = before + TINY.read_text().replace(LOOPBACK, EVERYWHERE).replace("from __future__", "#")
    return f"python3 -c {shlex.quote(code)} {{port}} {how}"


def settings_of(image: str | None, *, health: dict[str, Any] | None = None, **service: Any) -> Settings:
    """A service in a container, and nothing beside it unless its variables ask for it."""
    given = {"name": "tiny-one", "image": image, "command": program(), "ready_within_s": 20, **service}
    return Settings.model_validate({"service": given, "health": health or {}})


def application_of(environment: Environment) -> ApplicationRole:
    """The service of an environment that has one."""
    assert environment.application is not None
    return environment.application


def test_started_ended_and_started_again(start: Start, images: Images, api: docker.DockerClient) -> None:
    """It answers at a loopback port that it keeps, ends by its own handler, and is as good as new again."""
    environment = start(settings_of(images.python))
    application, run = application_of(environment), environment.run.id
    first, address = application.pid, application.base_url
    assert httpx.get(f"{address}/").status_code == 200
    assert len(application.processes()) == 1
    _is_ours_and_on_loopback(api, run)
    ended = application.stop()
    assert ended is not None
    assert (ended.status, ended.signal, ended.killed) == (3, None, False)
    assert not application.alive
    assert application.processes() == ()
    assert application.stop() is None
    mark = application.log_mark()
    application.ensure_ready()
    assert sum("tiny starts" in line for line in application.log_since(mark)) == 1
    assert application.pid != first
    assert application.base_url == address
    assert httpx.get(f"{address}/").status_code == 200
    assert application.log_tail().count("tiny starts") == 2
    environment.stop()
    assert left_of(api, run) == []


def _is_ours_and_on_loopback(api: docker.DockerClient, run: str) -> None:
    (container,) = api.containers.list(filters={"label": f"{LABEL}={run}"})
    published = container.attrs["NetworkSettings"]["Ports"].values()
    assert {each["HostIp"] for ports in published for each in ports or ()} == {"127.0.0.1"}


def test_main_process_without_a_handler(start: Start, images: Images) -> None:
    """The system keeps SIGTERM from a first process that doesn't ask for it: such a service is killed."""
    application = application_of(start(settings_of(images.python, command=program(before=""))))
    ended = application.stop(grace_s=0.5)
    assert ended is not None
    assert (ended.status, ended.signal, ended.killed) == (None, 9, True)
    assert ended.seconds >= 0.5


def test_killed_and_replaced(start: Start, images: Images) -> None:
    """Its end by force takes all processes along; a new container comes in its place."""
    environment = start(settings_of(images.python, command=program("supervisor")))
    application = application_of(environment)
    assert eventually(lambda: len(application.processes()) == 2)
    assert application.kill() == 2
    assert not application.alive
    application.ensure_ready()
    assert application.alive


def test_another_instance(start: Start, images: Images, api: docker.DockerClient) -> None:
    """Even with a fixed port there can be a second one, for as long as the block lasts."""
    environment = start(settings_of(images.python, port=8123))
    application = application_of(environment)
    assert application.repeatable
    with application.another() as other:
        assert other.base_url != application.base_url
        assert httpx.get(f"{other.base_url}/").status_code == 200
        other.terminate()
        assert eventually(lambda: not other.alive)
    assert len(left_of(api, environment.run.id)) == 2  # the first one, and the network
    assert application.alive
    assert "tiny starts" in environment.logs()["service-2"]


def test_each_side_has_its_own_addresses(start: Start, images: Images, api: docker.DockerClient) -> None:
    """The container is told names on its network and files of its own; this process what it reaches."""
    variables = {"URL": "{postgres.url}", "CA": "{postgres.ca_file}", "AT": "{port}", "PYTHON": "{python}"}
    environment = start(settings_of(images.python, env=variables))
    assert environment.database is not None
    name = f"prodready-{environment.run.id}-service"
    container = api.containers.get(name)
    told = dict(each.split("=", 1) for each in container.attrs["Config"]["Env"])
    assert f"@{environment.database.seen_at}/" in told["URL"]
    assert told["URL"].endswith("sslrootcert=/etc/prodready/ca.pem")
    assert told["CA"] == "/etc/prodready/ca.pem"
    assert (told["AT"], told["PYTHON"]) == ("8000", "python")
    here = environment.service_env()
    assert here["URL"] == environment.database.url()
    assert Path(here["CA"]).is_file()
    assert here["AT"] == str(application_of(environment).port)
    code, copied = container.exec_run(["cat", told["CA"]], user="65534")
    assert (code, copied) == (0, Path(here["CA"]).read_bytes())
    held = application_of(environment).connections_to({environment.database.seen_at})
    assert held == {1: frozenset()}


def test_set_up(start: Start, images: Images) -> None:
    """Set-up commands run in containers of the same image with the same variables; each log is kept."""
    commands = ["sh -c 'echo $WORD at {port}'", "python3 -c 'print(6 * 7)'"]
    environment = start(settings_of(images.python, setup=commands, env={"WORD": "hello"}))
    logs = environment.logs()
    assert (logs["setup-0"], logs["setup-1"]) == ("hello at 8000", "42")


FAILURES: dict[str, tuple[dict[str, Any], str]] = {
    "set-up fails": (
        {"setup": ["sh -c 'echo no such table; exit 4'"]},
        r"status 4(.|\n)*setup\[0\](.|\n)*no such table",
    ),
    "set-up hangs": ({"setup": ["sleep 60"]}, r"did not end within [1-9] s(.|\n)*setup\[0\]"),
    "dies": ({"command": program("dies")}, r"ended with status 7(.|\n)*the last words"),
    "no such program": (
        {"command": "no-such-program {port}"},
        r"can't be started in its container(.|\n)*no-such-program(.|\n)*\[service\] command(.|\n)*PATH",
    ),
    "no such program in set-up": ({"setup": ["no-such-program"]}, r"no-such-program(.|\n)*setup\[0\]"),
    "loopback only": (
        {"command": program().replace(EVERYWHERE, LOOPBACK), "ready_within_s": 1.5},
        r"nothing listened(.|\n)*0\.0\.0\.0",
    ),
    "port unknown": ({"command": "sleep 60"}, r"Which port(.|\n)*\[service\] image(.|\n)*port = "),
    "image unknown": (
        {"image": "127.0.0.1:9/no/such:image"},
        r"127\.0\.0\.1:9/no/such:image is not on the Docker engine(.|\n)*\[service\] image",
    ),
}


@pytest.fixture
def left(
    api: docker.DockerClient, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], list[str]]:
    """Tells what the runs of this test have left on the engine."""
    base = tmp_path_factory.mktemp("t")
    monkeypatch.setattr(runs, "_temporary_folder", lambda: base)

    def tell() -> list[str]:
        wanted = {"label": BASE_LABEL}
        networks = [(each.name, each.attrs["Labels"]) for each in api.networks.list(filters=wanted)]
        containers = api.containers.list(all=True, filters=wanted, ignore_removed=True)
        there = [*networks, *((each.name, each.labels) for each in containers)]
        return [name for name, labels in there if str(base) in labels[BASE_LABEL]]

    return tell


@pytest.mark.parametrize("name", FAILURES)
def test_what_can_go_wrong(
    name: str, start: Start, images: Images, left: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told with the key that is to blame, and nothing stays behind."""
    service, said = FAILURES[name]
    monkeypatch.setattr(set_up, "WITHIN_S", 1)
    with pytest.raises((ApplicationError, ConfigError, ServerError), match=said):
        start(settings_of(**{"image": images.python, **service}))
    assert left() == []


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A folder with a Dockerfile on top of any base."""
    folder = tmp_path / "app"
    (folder / ".prodready").mkdir(parents=True)
    (folder / ".prodready" / "record").write_text("changes with every run")
    (folder / "ignored").write_text("")
    (folder / ".dockerignore").write_text("# not sent\nignored\n")
    (folder / "Dockerfile").write_text(
        "ARG BASE\nFROM ${BASE}\nCOPY . /app\nEXPOSE 8765\nSTOPSIGNAL SIGINT\nCMD exec sleep 600\n"
    )
    return folder


def built_on(image: str) -> dict[str, Any]:
    """The keys of a service that is built from that folder."""
    return {"build": "app", "build_args": {"BASE": image}}


def test_built(start: Start, images: Images, api: docker.DockerClient, context: Path) -> None:
    """An image is built with its arguments, says port and stop signal itself, and is replaced by the next."""
    command = program(before=ENDS_WELL.replace("SIGTERM", "SIGINT"))
    settings = settings_of(None, **built_on(images.python), command=command, setup=["ls -A /app"])
    environment = start(settings)
    ended = application_of(environment).stop()
    assert ended is not None
    assert ended.status == 3
    assert set(environment.logs()["setup-0"].split()) == {".dockerignore", "Dockerfile"}
    environment.stop()
    first = _built(api, environment)
    (context / "new").write_text("")
    later = start(settings)
    later.stop()
    tag = _built(api, later)
    try:
        assert tag.id != first.id
        with pytest.raises(docker.errors.ImageNotFound):
            api.images.get(first.id)
    finally:
        api.images.remove(tag.tags[0])


def _built(api: docker.DockerClient, environment: Environment) -> Any:
    return api.images.get(environment.versions["service"].partition(" ")[0])


def test_a_build_that_fails(start: Start, images: Images, context: Path) -> None:
    """The end of what the build said is told."""
    (context / "Dockerfile").write_text("ARG BASE\nFROM ${BASE}\nRUN echo compiling; exit 6\n")
    with pytest.raises(ServerError, match=r"can't be built(.|\n)*\[service\] build(.|\n)*compiling"):
        start(settings_of(None, **built_on(images.python)))
