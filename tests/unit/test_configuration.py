"""prodready.toml: overlays, and errors that say file, line, key, value and the nearest valid key."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_prodready.configuration import load
from pytest_prodready.errors import ConfigError
from pytest_prodready.misconfiguration import line_of
from pytest_prodready.names import SMALLEST_FILE
from pytest_prodready.settings import Settings

MINIMAL = '[service]\nname = "shop"\ncommand = "serve --port {port}"\n'


def write(folder: Path, text: str) -> Path:
    """A prodready.toml with this text."""
    path = folder / "prodready.toml"
    path.write_text(text)
    return path


def refused(folder: Path, text: str, **options: object) -> str:
    """The message with which this file is refused."""
    with pytest.raises(ConfigError) as caught:
        load(write(folder, text), **options)  # type: ignore[arg-type]
    return str(caught.value)


def test_smallest_file_is_valid(tmp_path: Path) -> None:
    """The file that messages show to newcomers is accepted as it stands."""
    assert load(write(tmp_path, SMALLEST_FILE)).service.name == "jobboard"


def test_option_beats_variable_beats_file_beats_default(tmp_path: Path) -> None:
    """Values come from the nearest place that sets them."""
    path = write(tmp_path, MINIMAL + "[pool]\nsize = 1\nworkers = 1\nreplicas = 1\n")
    variables = {"PRODREADY_POOL__SIZE": "2", "PRODREADY_POOL__WORKERS": "2"}
    pool = load(path, variables=variables, assignments=["pool.size=3"]).pool
    assert (pool.size, pool.workers, pool.replicas, pool.refuse_within_s) == (3, 2, 1, 2.0)


def test_profile_is_laid_over_the_file(tmp_path: Path) -> None:
    """A profile changes the keys that it names and leaves the others of the same table."""
    text = MINIMAL + "[pool]\nsize = 1\nreplicas = 2\n[profiles.staging.pool]\nsize = 9\n"
    pool = load(write(tmp_path, text), profile="staging").pool
    assert (pool.size, pool.replicas) == (9, 2)


def test_unknown_profile_names_the_nearest(tmp_path: Path) -> None:
    """A misspelt profile is refused with the nearest one."""
    text = MINIMAL + "[profiles.staging.pool]\nsize = 9\n"
    assert "did you mean staging?" in refused(tmp_path, text, profile="stagin")


def test_unknown_key_names_line_and_nearest_key(tmp_path: Path) -> None:
    """A misspelt key is refused with its line and the key that was meant."""
    message = refused(tmp_path, MINIMAL + "[pool]\n\nsizes = 3\n")
    assert "unknown key pool.sizes" in message
    assert "prodready.toml:6" in message
    assert "did you mean size?" in message


def test_wrong_type_names_value_and_source(tmp_path: Path) -> None:
    """A value of the wrong type is shown with the place that it came from."""
    message = refused(tmp_path, MINIMAL, variables={"PRODREADY_POOL__SIZE": "many"})
    assert "pool.size" in message
    assert "'many'" in message
    assert "environment variable PRODREADY_POOL__SIZE" in message


def test_secret_values_are_not_shown(tmp_path: Path) -> None:
    """A URL that may hold a password is never repeated."""
    message = refused(tmp_path, MINIMAL + '[postgres]\nurls = "postgresql://u:hunter2@h/d"\n')
    assert "hunter2" not in message


def test_several_errors_come_in_one_message(tmp_path: Path) -> None:
    """All that is wrong is said at once."""
    message = refused(tmp_path, MINIMAL + '[pool]\nsize = "x"\n[health]\nliveness = "live"\n')
    assert "2 errors" in message
    assert "health.liveness" in message


def test_broken_toml_names_the_line(tmp_path: Path) -> None:
    """A file that isn't TOML is refused with the line."""
    assert "prodready.toml:2" in refused(tmp_path, "[service]\nname = shop\n")


def test_missing_service_shows_the_smallest_file(tmp_path: Path) -> None:
    """Without [service] the message shows what to write."""
    assert SMALLEST_FILE in refused(tmp_path, "[pool]\nsize = 3\n")


def test_command_and_url_exclude_each_other(tmp_path: Path) -> None:
    """A service is either started or found."""
    assert "exclude each other" in refused(tmp_path, MINIMAL + 'url = "http://localhost:1"\n')


def test_each_way_to_start_takes_the_place_of_another(tmp_path: Path) -> None:
    """An image above takes the place of the command below, and the other way round; both together stay."""
    image = {"PRODREADY_SERVICE__IMAGE": "shop:1"}
    service = load(write(tmp_path, MINIMAL), variables=image).service
    assert (service.command, service.image) == (None, "shop:1")
    both = {**image, "PRODREADY_SERVICE__COMMAND": "serve"}
    service = load(write(tmp_path, MINIMAL), variables=both).service
    assert (service.command, service.image) == ("serve", "shop:1")
    service = load(write(tmp_path, MINIMAL + 'cwd = "src"\n'), variables=image).service
    assert service.cwd == Path()
    built = '[service]\nname = "shop"\nbuild = "."\nbuild_args = { A = "1" }\n'
    service = load(write(tmp_path, built), variables={"PRODREADY_SERVICE__COMMAND": "serve"}).service
    assert (service.command, service.build, service.build_args) == ("serve", None, {})


def test_bypass_must_name_a_rule(tmp_path: Path) -> None:
    """A bypass of a rule that doesn't exist would silently do nothing: it is refused."""
    message = refused(tmp_path, MINIMAL + '[bypass]\n"pool.bounde" = "we know"\n')
    assert "did you mean pool.bounded?" in message


def test_line_of_finds_arrays_of_tables() -> None:
    """The second [[requests]] has lines of its own."""
    text = '[[requests]]\npath = "/a"\n[[requests]]\nmethod = "GET"\npath = "b"\n'
    assert line_of(text, ("requests", 1, "path")) == 5


def test_url_above_takes_the_place_of_the_command_below(tmp_path: Path) -> None:
    """A profile, variable or option that names an address wins over the command of the file."""
    text = MINIMAL + '[profiles.staging.service]\nurl = "https://staging.example.com"\n'
    service = load(write(tmp_path, text), profile="staging").service
    assert (service.command, service.url) == (None, "https://staging.example.com")
    variables = {"PRODREADY_SERVICE__URL": "http://localhost:1"}
    assert load(write(tmp_path, MINIMAL), variables=variables).service.command is None


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("work_memory", "did you mean work_mem"),
        ("log_statement", "not a setting of the planner"),
        ("jit", "jit is always off here"),
    ],
)
def test_explain_settings_are_the_planners(tmp_path: Path, name: str, says: str) -> None:
    """Another setting in [explain] settings is an error that names it, and the nearest one."""
    text = f'[explain]\nsettings = {{ random_page_cost = 1.1, {name} = "1" }}\n'
    assert says in refused(tmp_path, MINIMAL + text)


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        (
            'rule = "explain.no-spil", statement = "FROM jobs", reason = "why"',
            "did you mean explain.no-spill",
        ),
        (
            'rule = "ssl.protocols", statement = "FROM jobs", reason = "why"',
            "no rule about statements: those are",
        ),
        (
            'rule = "explain.plan-unchanged", statement = "FROM jobs", reason = "why"',
            "--prodready-explain=update",
        ),
        (
            'rule = "explain.statements-captured", statement = "FROM jobs", reason = "why"',
            "no statement is known",
        ),
        ('rule = "explain.no-spill", statement = "SELECT", reason = "why"', "at least 8 characters"),
        ('rule = "explain.no-spill", statement = "FROM jobs"', "explain.accepted[0].reason is missing"),
    ],
    ids=["nearest", "other", "baseline", "capture", "broad", "reason"],
)
def test_what_can_be_accepted(tmp_path: Path, entry: str, says: str) -> None:
    """A statement is accepted for one rule about statements, with a piece of its text and a reason."""
    text = f"[explain]\naccepted = [{{ {entry} }}]\n"
    assert says in refused(tmp_path, MINIMAL + text)


@pytest.mark.parametrize(("where", "connections"), [({"command": "x"}, 20), ({"url": "http://10.0.0.5"}, 60)])
def test_pool_of_all_replicas_behind_an_address(where: dict[str, str], connections: int) -> None:
    """One replica is started here; behind an address all of them open connections."""
    pool = {"size": 5, "workers": 4, "replicas": 3}
    settings = Settings.model_validate({"service": {"name": "x", **where}, "pool": pool})
    assert settings.pool_here.capacity == connections


LOAD = MINIMAL + "[load]\nexpected_rps = 20\n"
BY_USERS = 'locustfile = "users.py"\nusers_at_1x = 5\n'
WRITES = """
[writes]
create = { method = "POST", path = "/jobs", json = { title = "{token}" } }
read_back = { path = "/jobs?title={token}" }
"""

WAIVED = """
[[waivers]]
rule = "load.no-write-lost"
reason = "none of them matters"
approver = "ops"
expires = 2099-01-01
"""

IDLE = {
    "steps from the multiplier on": ("multiplier = 7\nsteps = [2, 7, 9]\n", "load.steps", "9", 7),
    "steps beyond what is usual": ("steps = [2, 12]\n", "load.steps", "12", 6),
    "users of a schedule": (f"{BY_USERS}users = 9\n", "load.users is of the declared requests", "9", 8),
    "no writes by a locustfile": (f"{BY_USERS}writes = 0.2\n", "load.writes is of the declared", "0.2", 8),
    "nothing to settle": (f"{BY_USERS}settle_s = 2\n", "load.settle_s is of the declared", "2.0", 8),
    "no self-test": (f"{BY_USERS}self_test_s = 2\n", "load.self_test_s is of the declared", "2.0", 8),
    "users of no locustfile": ("users_at_1x = 5\n", "load.users_at_1x is of a locustfile", "5", 6),
    "arguments of none": ('locust_arguments = ["--tags", "a"]\n', "load.locust_arguments", "2 arguments", 6),
    "no writes": (f"writes = 0\n{WRITES}", "leaves load.no-write-lost nothing to judge", "0", 6),
}


@pytest.mark.parametrize("name", IDLE)
def test_keys_that_would_do_nothing_are_refused(name: str, tmp_path: Path) -> None:
    """What is given and has no effect is said with its value, its line, and what to do."""
    lines, problem, value, line = IDLE[name]
    message = refused(tmp_path, LOAD + lines)
    assert problem in message
    assert f"value: {value}\n" in message
    assert f"prodready.toml:{line}\n" in message
    assert "do: leave" in message


MEANT = {
    "a lower multiplier for one run": ("steps = [2, 4, 7]\n", ["load.multiplier=3"]),
    "the locustfile taken away for one run": (BY_USERS, ["load.locustfile="]),
    "a locustfile for one run": ("writes = 0.2\nusers = 9\n", ["load.locustfile=u.py", "load.users_at_1x=5"]),
    "no writes, and said why": (f'writes = 0\n{WRITES}\n[bypass]\n"load.no-write-lost" = "none"\n', []),
    "no writes of none that are declared": ("writes = 0\n", []),
    "no writes for one run": (WRITES, ["load.writes=0"]),
    "no writes, and waived": (f"writes = 0\n{WRITES}\n{WAIVED}", []),
    "all of it for one run": ("", ['load={expected_rps=20, locustfile="u.py", users_at_1x=3}']),
    "a step that is the peak": ("steps = [2, 5, 10]\n", []),
    "as many steps as usual, and a low multiplier": ("multiplier = 3\n", []),
}


@pytest.mark.parametrize("name", MEANT)
def test_what_one_run_leaves_without_effect_is_meant(name: str, tmp_path: Path) -> None:
    """An option may take a key's effect away: the key stays for other runs."""
    lines, assignments = MEANT[name]
    assert load(write(tmp_path, LOAD + lines), assignments=assignments).load.expected_rps == 20


def test_a_profile_may_have_the_locustfile(tmp_path: Path) -> None:
    """Keys of the schedule stay beside it; its own, and those laid over it, have to do something."""
    text = LOAD + 'writes = 0.2\nlocust_arguments = ["-T", "a"]\n[profiles.users.load]\n' + BY_USERS
    path = write(tmp_path, text)
    assert load(path).load.locustfile is None
    assert load(path, profile="users").load.users_at_1x == 5
    assert "load.settle_s" in refused(tmp_path, text + "settle_s = 2\n", profile="users")
    assert "prodready.toml:11" in refused(tmp_path, text + "settle_s = 2\n", profile="users")
    both = refused(tmp_path, text, profile="users", assignments=["load.users=5", "load.writes=0.1"])
    assert "--prodready-set load.users" in both
    assert "--prodready-set load.writes" in both
