"""A name that moves for one process alone: it is followed there, seen nowhere else, and nothing is left."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import psycopg
import pytest

from pytest_prodready.environment import hosts, own_hosts
from pytest_prodready.environment.application import Application
from pytest_prodready.environment.certificates import POSTGRES_NAME
from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.hosts import ELSEWHERE, LOOK_UP, Hosts, why_not
from pytest_prodready.environment.leftovers import of_run
from pytest_prodready.environment.moving_name import MovingName
from pytest_prodready.environment.places import as_server_user, reachable
from pytest_prodready.environment.ports import LOOPBACK
from pytest_prodready.errors import ApplicationError

from .conftest import Start, eventually, settings_of
from .standing import ask, database_of, session

REASON = why_not(POSTGRES_NAME)
moves = pytest.mark.skipif(bool(REASON), reason=f"a name can't be moved here: {REASON}")
PYTHON = Path("/usr/bin/python3")  # one that is in nobody's home
# Looks a name up as often as it is told to.
LOOKS_UP = "import socket, sys\nfor _ in sys.stdin: print(socket.gethostbyname(sys.argv[1]), flush=True)"
# Connects as often as it is told to, and keeps the first connection.
CONNECTS = """
import sys, psycopg
kept = []
for _ in sys.stdin:
    try:
        connection = psycopg.connect(sys.argv[1], connect_timeout=5)
        print(connection.info.host, connection.info.hostaddr, flush=True)
        kept.append(connection)
    except psycopg.OperationalError as error:
        print("no connection", flush=True)
"""


@contextmanager
def asking(launcher: tuple[str, ...], program: str, argument: str) -> Iterator[Callable[[], str]]:
    """A program that sees the file, and says a line each time that it is asked."""
    command = [*launcher, sys.executable, "-c", program, argument]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        stdin, stdout = process.stdin, process.stdout

        def ask_it() -> str:
            stdin.write("\n")
            stdin.flush()
            return stdout.readline().strip()

        yield ask_it
        stdin.close()


@pytest.fixture
def file(tmp_path: Path) -> Hosts:
    """A file in which the name is at the first address."""
    return Hosts(tmp_path / "hosts", POSTGRES_NAME)


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """An environment with the tiny service, which prints what its database is called."""
    settings = settings_of(service={"env": {"DATABASE_URL": "{postgres.url}"}})
    started = Environment.start(settings, folder=tmp_path_factory.mktemp("target"))
    yield started
    started.stop()


def mounts() -> list[str]:
    """What is mounted over any hosts file, as everybody sees it."""
    return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if "hosts" in line]


def process_of(environment: Environment) -> Application:
    """The service."""
    assert isinstance(environment.application, Application)
    return environment.application


def named_last(environment: Environment) -> str:
    """What the service was last told of its database."""
    lines = process_of(environment).log(1000).splitlines()
    return [line for line in lines if line.startswith("tiny starts")][-1]


@moves
def test_a_living_process_sees_the_move(file: Hosts) -> None:
    """It looks the name up before and after, and needs no new start."""
    with asking(file.launcher, LOOKS_UP, POSTGRES_NAME) as look_up:
        assert look_up() == LOOPBACK
        file.point_to(ELSEWHERE)
        assert look_up() == ELSEWHERE
        file.point_to(LOOPBACK)
        assert look_up() == LOOPBACK


@moves
def test_nobody_else_sees_it(file: Hosts) -> None:
    """Neither the machine's /etc/hosts nor its mounts change, while it runs and afterwards."""
    before = (Path(own_hosts.HOSTS).read_bytes(), mounts())
    with asking(file.launcher, LOOKS_UP, POSTGRES_NAME) as look_up:
        assert look_up() == LOOPBACK
        assert (Path(own_hosts.HOSTS).read_bytes(), mounts()) == before
        other = subprocess.run(
            [sys.executable, "-c", LOOK_UP, POSTGRES_NAME], check=False, capture_output=True
        )
        assert other.returncode != 0
    assert (Path(own_hosts.HOSTS).read_bytes(), mounts()) == before


@moves
def test_it_is_who_it_was(file: Hosts) -> None:
    """User, group, folder, variables and the treatment of SIGPIPE are those of any process of ours."""
    script = "id -u; id -g; pwd; echo $SHOWN; grep SigIgn /proc/self/status"
    variables = {**os.environ, "SHOWN": "as given"}
    ways = [
        subprocess.run([*before, "sh", "-c", script], check=True, capture_output=True, env=variables).stdout
        for before in ((), file.launcher)
    ]
    assert ways[0] == ways[1]


@moves
@pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can try it as somebody else; here it is an ordinary user"
)
def test_an_ordinary_user_can() -> None:
    """Without any privilege a user namespace does it, and the process stays that user."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        file = Hosts(Path(folder) / "hosts", POSTGRES_NAME)
        program = shutil.copy(own_hosts.__file__, folder)
        if not reachable(Path(program)) or not reachable(PYTHON, execute=True):
            pytest.skip("an ordinary user can't reach this system's Python, or temporary files")
        command = [
            str(PYTHON),
            "-I",
            "-S",
            program,
            str(file.file),
            "sh",
            "-c",
            f"id -u; getent hosts {POSTGRES_NAME}",
        ]
        ran = subprocess.run(
            command, check=False, capture_output=True, text=True, cwd="/", **as_server_user()
        )
    if "a user namespace" in ran.stderr:
        pytest.skip(ran.stderr.strip())
    uid, address = ran.stdout.splitlines()
    assert uid == str(as_server_user()["user"])
    assert address.split() == [LOOPBACK, POSTGRES_NAME]


@moves
def test_a_program_that_is_not_there(file: Hosts) -> None:
    """It says which, and not that something was wrong with the name."""
    ran = subprocess.run([*file.launcher, "no-such-program"], check=False, capture_output=True, text=True)
    assert ran.returncode == own_hosts.FAILED
    assert ran.stderr == "no-such-program: No such file or directory\n"


def test_why_a_name_can_not_be_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is told: the system, what it refused, or that names in files aren't heeded."""
    says = "echo 'a user namespace with a mount namespace: Operation not permitted' >&2; exit 125"
    monkeypatch.setattr(hosts, "PYTHON", ("sh", "-c", says))
    monkeypatch.setattr(hosts, "OBSTACLES", {"kernel.pid_max": pid_max()})
    assert f"Operation not permitted (kernel.pid_max = {pid_max()})" in why_not(POSTGRES_NAME)
    monkeypatch.setattr(hosts, "PYTHON", ("sh", "-c", "echo 192.0.2.1"))
    assert "aren't heeded: postgres.prodready.test is 192.0.2.1" in why_not(POSTGRES_NAME)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert why_not(POSTGRES_NAME) == "it takes a mount namespace, which darwin doesn't have"


def pid_max() -> int:
    """A setting that every system has."""
    return int(Path("/proc/sys/kernel/pid_max").read_text())


@moves
def test_the_database_moves(standing: Environment) -> None:
    """Verified by its name it is at the old address, then nowhere, then at the new one, without a restart."""
    marks: list[str] = []
    with standing.moving_name() as name, asking(name.recipe.launcher, CONNECTS, url_of(name)) as connect:
        assert connect() == f"{POSTGRES_NAME} {LOOPBACK}"
        assert seen(name) == (1, 0)

        def told(mark: str) -> None:
            marks.append(mark)
            if mark == "dead":
                assert connect() == "no connection"

        with name.moved(told, stale_s=0.0):
            assert marks == ["dead", "moved"]
            assert connect() == f"{POSTGRES_NAME} {ELSEWHERE}"
            assert seen(name) == (2, 1)
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(by_address(name, LOOPBACK), connect_timeout=5)
        with closing(psycopg.connect(by_address(name, LOOPBACK), connect_timeout=5)) as again:
            assert again.execute("SELECT 1").fetchone() == (1,)


def seen(name: MovingName) -> tuple[int, int]:
    """How many have come to the old address and to the new one."""
    counts = [proxied.connections() for proxied in (name.addresses.old, name.addresses.new)]
    assert counts[0] is not None
    assert counts[1] is not None
    return counts[0].accepted, counts[1].accepted


def url_of(name: MovingName) -> str:
    """What the service is told."""
    return name.recipe.values["postgres.url"]


def by_address(name: MovingName, address: str) -> str:
    """The URL for this process, which doesn't know the name."""
    return f"{url_of(name)}&hostaddr={address}"


@moves
def test_the_service_is_told_and_then_as_before(standing: Environment) -> None:
    """It runs by the name at the same address, is found when all has to end, and is as before afterwards."""
    application = process_of(standing)
    port, before = application.port, named_last(standing)
    files = set(standing.run.folder.iterdir())
    with standing.moving_name() as name:
        assert (application.port, application.alive) == (port, True)
        assert f"@{POSTGRES_NAME}:{name.addresses.old.port}/" in named_last(standing)
        assert application.pid in {process.pid for process in of_run(standing.run.folder)}
        with closing(session(standing)):  # this process goes the usual way
            assert ask(standing, "SELECT 1") == 1
    assert (application.port, application.alive) == (port, True)
    assert named_last(standing) == before
    assert {file.name for file in set(standing.run.folder.iterdir()) - files} <= {"moving-name.log"}
    assert not running(standing, "own_hosts")
    database_of(standing).backends()


@moves
def test_renewed_after_an_error(standing: Environment) -> None:
    """A failure within the block, or of the other start, leaves the service as it was."""
    application, before = process_of(standing), named_last(standing)
    with pytest.raises(ZeroDivisionError), standing.moving_name():
        _ = 1 / 0
    assert named_last(standing) == before
    recipe = application.recipe
    assert recipe.service.command is not None
    command = recipe.service.command.replace("well", "dies")
    dying = replace(recipe, service=recipe.service.model_copy(update={"command": command}))
    with pytest.raises(ApplicationError, match="ended with status 7"), application.renewed(dying):
        pytest.fail("it is not ready")
    assert application.alive
    assert named_last(standing) == before


def running(environment: Environment, word: str) -> list[int]:
    """The run's processes with this word in their command."""
    return [process.pid for process in of_run(environment.run.folder) if word in " ".join(process.cmdline())]


@moves
def test_nothing_outlives_a_stop_meanwhile(start: Start) -> None:
    """Stopped while the name is in use, the environment leaves no process and no file."""
    environment = start(settings_of(service={"env": {"DATABASE_URL": "{postgres.url}"}}))
    folder, before = environment.run.folder, mounts()
    stopped = ExitStack()
    stopped.enter_context(environment.moving_name())
    pid = process_of(environment).pid
    environment.stop()
    assert not folder.exists()
    assert mounts() == before
    assert pid is not None
    assert eventually(lambda: not psutil.pid_exists(pid))
    with pytest.raises(FileNotFoundError):
        stopped.close()  # there is no folder for a new start
