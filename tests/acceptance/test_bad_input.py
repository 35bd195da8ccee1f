"""Whatever is wrong with prodready.toml, an option or the environment: exit 4, one message, no traceback."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gate import run_gate
from tests.targets import SMALL, small_target

POSTGRES = SMALL.replace("[health]", 'env = { DATABASE_URL = "{postgres.url}" }\n[postgres]\n%s\n[health]', 1)

IMAGE = '[service]\nname = "small"\nimage = "example/small:1"\n%s[health]\nliveness = "/live"\n'

# name: (prodready.toml, further arguments, what the message must say)
CASES: dict[str, tuple[str, list[str], list[str]]] = {
    "no toml": ("[service\n", [], ["isn't valid TOML", "prodready.toml:1"]),
    "empty file": ("", [], ["service is missing", "smallest useful file"]),
    "unknown table": (SMALL + "[pol]\nsize = 3\n", [], ["unknown table pol", "did you mean pool?"]),
    "unknown key": (SMALL + "[pool]\nsise = 3\n", [], ["unknown key pool.sise", "did you mean size?"]),
    "wrong type": (SMALL + '[pool]\nsize = "ten"\n', [], ["pool.size", "'ten'", "prodready.toml:9"]),
    "out of range": (SMALL + "[pool]\nsize = 0\n", [], ["pool.size", "greater than or equal to 1"]),
    "no command": ('[service]\nname = "x"\n', [], ["give either command", "prodready.toml:1"]),
    "command and url": (SMALL.replace("[health]", 'url = "http://127.0.0.1:9"\n[health]'), [], ["exclude"]),
    "image and url": (
        IMAGE % 'url = "http://127.0.0.1:9"\n',
        [],
        ["image and url exclude", "prodready.toml:1"],
    ),
    "image and build": (IMAGE % 'build = "."\n', [], ["image and build exclude", "give one of them"]),
    "image in capitals": (
        IMAGE.replace("example", "Example") % "",
        [],
        ["service.image", "'Example/small:1'"],
    ),
    "arguments of no build": (IMAGE % "build_args = { BASE = 'x' }\n", [], ["build_args", "build"]),
    "folder of an image": (IMAGE % 'cwd = "app"\n', [], ["cwd has no effect", "WORKDIR", "engine"]),
    "no run to compare with": (
        SMALL,
        ["--prodready-load-compare=nothing.json"],
        ["no run of the load suite", "nothing.json", "--prodready-load-save has written"],
    ),
    "a file of another kind to save in": (
        SMALL,
        ["--prodready-load-save=prodready.toml"],
        ["no run of the load suite", "value: prodready.toml", "from: --prodready-load-save"],
    ),
    "a load to save, and none expected": (
        SMALL,
        ["-k", "no_slower", "--prodready-load-save=kept.json"],
        ["no load would be kept", "not tried: needs load", "value: kept.json", "from: --prodready-load-save"],
    ),
    "a load to save, and another suite": (
        SMALL,
        ["-m", "ssl", "--prodready-load-save=kept.json"],
        ["no load would be kept", "the test of load.no-slower-than-before isn't run", "pytest -m load"],
    ),
    "a load to save in a worker": (
        SMALL,
        ["-n", "2", "-k", "test_stays_up", "--prodready-load-save=kept.json"],
        ["no load would be kept", "the test of load.no-slower-than-before isn't run", "leave the option out"],
    ),
    "a load to save that is taken out": (
        SMALL + '[load]\nexpected_rps = 5\n[bypass]\n"load.no-slower-than-before" = "later"\n',
        ["-k", "no_slower", "--prodready-load-save=kept.json"],
        ["no load would be kept", "taken out by [bypass]"],
    ),
    "no Dockerfile": (
        IMAGE.replace('image = "example/small:1"', 'build = "app"') % "",
        [],
        ["no Dockerfile", "app/Dockerfile", "[service] build"],
    ),
    "image as a process": (
        IMAGE % "",
        ["--prodready-backend=processes"],
        ["[service] image is a container", "processes", "--prodready-backend=containers"],
    ),
    "image without an engine": (
        IMAGE % "",
        [],
        ["[service] image needs a Docker engine", "no socket", "/nonexistent/docker.sock"],
    ),
    "bad name": (SMALL.replace('"small"', '"no spaces"'), [], ["service.name", "no spaces"]),
    "bad path": (SMALL.replace('"/live"', '"live"'), [], ["health.liveness", "'live'"]),
    "bad placeholder": (SMALL.replace("{port}", "{prt}"), [], ["{prt}", "{port}"]),
    "dead placeholder": (
        SMALL.replace("[health]", 'env = { U = "{postgres.uri}" }\n[health]'),
        [],
        ["postgres.uri", "postgres.url"],
    ),
    "missing program": (SMALL.replace("{python}", "no-such-program"), [], ["no-such-program", "PATH"]),
    "missing folder": (SMALL.replace("[health]", 'cwd = "nowhere"\n[health]'), [], ["nowhere"]),
    "command that dies": (
        SMALL.replace('"{python} server.py {port}"', "'{python} -c \"print(40 + 2); raise SystemExit(7)\"'"),
        [],
        ["42", "status 7"],
    ),
    "never ready": (
        SMALL.replace('"/ready"', '"/503"').replace("[health]", "ready_within_s = 1\n[health]"),
        [],
        ["503", "1"],
    ),
    "set-up that fails": (
        SMALL.replace("[health]", "setup = [\"{python} -c 'raise SystemExit(3)'\"]\n[health]"),
        [],
        ["setup", "3"],
    ),
    "unreachable url": (
        '[service]\nname = "x"\nurl = "http://127.0.0.1:9"\n[health]\nliveness = "/live"\n',
        [],
        ["127.0.0.1:9"],
    ),
    "no such backend": (SMALL, ["--prodready-backend=cloud"], ["cloud", "processes"]),
    "no engine": (SMALL, ["--prodready-backend=containers"], ["no socket at this address", "DOCKER_HOST"]),
    "no such profile": (SMALL, ["--prodready-profile=prod"], ["prod", "no profiles"]),
    "no such run": (SMALL, ["--prodready-judge=nowhere"], ["nowhere", "run.json"]),
    "bad assignment": (SMALL, ["--prodready-set=pool.size"], ["pool.size", "table.key=value"]),
    "no workers": (
        SMALL,
        ["--prodready-load-workers=0"],
        ["no such number of workers", "value: 0", "from: --prodready-load-workers", "from 1 to 1000"],
    ),
    "half a worker": (
        SMALL,
        ["--prodready-load-expect-workers=1.5"],
        ["no such number of workers", "value: 1.5", "--prodready-load-expect-workers"],
    ),
    "workers from here and there": (
        SMALL,
        ["--prodready-load-workers=2", "--prodready-load-expect-workers=2"],
        ["from those of others", "leave one of the two out"],
    ),
    "waiting for nobody": (
        SMALL,
        ["--prodready-load-bind-port=5558"],
        ["nobody is waited for", "value: 5558", "add --prodready-load-expect-workers=N"],
    ),
    "waiting for ever": (
        SMALL,
        ["--prodready-load-expect-workers-max-wait=inf"],
        ["nobody can wait so long", "value: inf", "up to a day"],
    ),
    "address of another machine": (
        SMALL,
        ["--prodready-load-bind-host=192.0.2.1"],
        ["can't listen there", "192.0.2.1", "0.0.0.0 for all of them"],
    ),
    "no such port": (SMALL, ["--prodready-load-bind-port=70000"], ["no such port", "70000", "65535"]),
    "bypass of nothing": (SMALL + '[bypass]\n"pool.leaks" = "we know"\n', [], ["pool.leaks"]),
    "waiver without approver": (
        SMALL + '[[waivers]]\nrule = "pool.bounded"\nreason = "known"\nexpires = 2030-01-01\n',
        [],
        ["waivers[0].approver is missing"],
    ),
    "no such locustfile": (
        SMALL + '[load]\nexpected_rps = 5\nlocustfile = "nowhere.py"\nusers_at_1x = 3\n',
        [],
        ["no such locustfile", "nowhere.py", "[load] locustfile"],
    ),
    "locustfile by workers": (
        SMALL + '[load]\nexpected_rps = 5\nlocustfile = "server.py"\nusers_at_1x = 3\n',
        ["--prodready-load-workers=2"],
        ["is run by one process", "server.py", "--prodready-load-workers=2"],
    ),
    "locustfile without users": (
        SMALL + '[load]\nexpected_rps = 5\nlocustfile = "server.py"\n',
        [],
        ["locustfile needs users_at_1x", "prodready.toml:8"],
    ),
    "no bound at all": (SMALL + "[load]\nslowdown = inf\n", [], ["load.slowdown", "finite number", "inf"]),
    "folder of no command": (
        SMALL + '[migration]\ntool = "alembic"\nprevious_cwd = "../old"\n',
        [],
        ["previous_cwd needs previous", "prodready.toml:8"],
    ),
    "missing hba": (POSTGRES % 'hba = "no_hba.conf"', [], ["no_hba.conf"]),
    "no postgres in bin": (POSTGRES % 'bin = "/nowhere/bin"', [], ["/nowhere/bin"]),
    "bad server setting": (POSTGRES % "settings = { no_such_setting = 1 }", [], ["no_such_setting"]),
    "engine unreachable": (
        POSTGRES % 'url = "postgresql://u:hunter2secret@127.0.0.1:9/d"',
        [],
        ["127.0.0.1"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_explained(name: str, tmp_path: Path) -> None:
    """The message names what failed, the value and where it came from; nothing of ours is traced back."""
    text, arguments, said = CASES[name]
    small_target(tmp_path, text)
    run = run_gate(tmp_path, "-m", "readiness", "-k", "answers or test_plaintext_is_refused", *arguments)
    assert run.code == 4, run.output
    for words in said:
        assert words in run.output, run.output
    assert "Traceback" not in run.output
    assert "hunter2" not in run.output
    assert "INTERNALERROR" not in run.output


def test_program_of_one_measurement(tmp_path: Path) -> None:
    """What a measurement alone needs leaves its rules open, and says which key has it; set-up may make it."""
    small_target(tmp_path, POSTGRES % "" + '[migration]\nupgrade = "no-such-program up"\n')
    run = run_gate(tmp_path, "-m", "readiness", "-k", "test_upgrades_from_empty")
    assert run.code == 1, run.output
    said = " ".join(run.output.split())
    assert "The program 'no-such-program' was not found. (from [migration] upgrade; all of it:" in said
    assert "Traceback" not in run.output


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody else already listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_taken_port_is_named(taken: int, tmp_path: Path) -> None:
    """A fixed port that somebody else uses is named."""
    small_target(tmp_path, SMALL.replace("[health]", f"port = {taken}\n[health]"))
    run = run_gate(tmp_path, "-m", "readiness", "-k", "answers")
    assert run.code == 4, run.output
    assert str(taken) in run.output
    assert "Traceback" not in run.output
