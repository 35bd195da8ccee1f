"""Nothing stays on the engine: after a crash at any moment, with the reaper on and off."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import docker
import pytest
from docker.errors import NotFound

from pytest_prodready.environment.containers import leftovers
from pytest_prodready.environment.containers.leftovers import (
    BASE_LABEL,
    LABEL,
    OWNER_LABEL,
    labels,
    note_engine,
    sweep_base,
)
from pytest_prodready.environment.runs import base_folder, sweep
from pytest_prodready.errors import ServerError
from tests.images.build import Images

from .conftest import Child, Start, eventually, left_of

MakeChild = Callable[..., Child]


def dangling(api: docker.DockerClient) -> set[str]:
    """The names of all anonymous volumes."""
    return {str(volume.name) for volume in api.volumes.list(filters={"dangling": True})}


def living_runs() -> set[str]:
    """The runs that have a folder."""
    return {folder.name for folder in base_folder().iterdir() if folder.is_dir()}


@pytest.mark.parametrize("moment", ["making a network", "starting Redis", "starting tiny-one"])
def test_the_next_run_removes_what_a_killed_one_left(
    child: MakeChild, start: Start, api: docker.DockerClient, moment: str
) -> None:
    """SIGKILL while it starts: the next run leaves no container, network or volume of it."""
    dead = child()
    while moment not in dead.hear("progress")["progress"]:
        pass
    dead.kill()
    start()
    live = living_runs()
    found = api.containers.list(all=True, filters={"label": LABEL}, ignore_removed=True)
    ours = [one.labels for one in found if one.labels[BASE_LABEL].endswith(f":{base_folder()}")]
    assert {str(each[LABEL]) for each in ours} <= live | living_runs()  # others come and go meanwhile


def test_a_killed_run_leaves_nothing(child: MakeChild, api: docker.DockerClient) -> None:
    """SIGKILL while it runs: a sweep removes containers, network and volumes."""
    before = dangling(api)
    dead = child()
    run = dead.hear("run")["run"]
    assert left_of(api, run) != []
    dead.kill()
    swept = [each for each in sweep() if each.run == run]
    # Another worker's run may have swept it first.
    assert not swept or swept[0].containers == 3
    assert left_of(api, run) == []
    assert eventually(lambda: dangling(api) <= before)


def test_a_run_that_ends_leaves_nothing(child: MakeChild, api: docker.DockerClient) -> None:
    """A normal end removes containers, network and volumes at once."""
    ended = child()
    run = ended.hear("run")["run"]
    assert ended.finish() == 0
    assert left_of(api, run) == []


def test_the_reaper_is_no_hindrance(child: MakeChild, api: docker.DockerClient) -> None:
    """With the reaper of testcontainers on, a killed run is removed without any next run."""
    dead = child({"TESTCONTAINERS_RYUK_DISABLED": "false", "RYUK_RECONNECTION_TIMEOUT": "1s"})
    run = dead.hear("run")["run"]
    dead.kill()
    assert eventually(lambda: left_of(api, run) == [], within_s=60)


def test_orphans_of_other_containers_are_swept(named: Images, api: docker.DockerClient) -> None:
    """What a gate in another container left is removed once that container is gone."""
    orphan = {LABEL: "0rphan", BASE_LABEL: "elsewhere:/tmp/prodready-0", OWNER_LABEL: "0" * 64}
    made = api.containers.create(named.redis, labels=orphan)
    assert made.id is not None
    sweep_base(api, base_folder())
    with pytest.raises(NotFound):
        api.containers.get(made.id)


def test_what_the_engine_does_not_remove_now(
    named: Images, api: docker.DockerClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a dead run left hinders no later one: the next sweep tries again."""
    gone = api.containers.create(named.redis, labels=labels("g0ne", tmp_path, None))

    def refused(*_: object) -> int:
        raise ServerError("Removing the containers of a run failed.")

    note_engine(tmp_path / "engine.json")
    with monkeypatch.context() as patched:
        patched.setattr(leftovers, "remove", refused)
        assert leftovers.sweep(tmp_path / "engine.json", "g0ne") is None
        assert sweep_base(api, tmp_path) == 0
    assert sweep_base(api, tmp_path) == 1
    with pytest.raises(NotFound):
        gone.reload()


def test_strangers_are_left_alone(named: Images, api: docker.DockerClient) -> None:
    """Containers of a run on another machine are not ours to remove."""
    stranger = {LABEL: "5tranger", BASE_LABEL: "elsewhere:/tmp/prodready-0"}
    made = api.containers.create(named.redis, labels=stranger)
    try:
        assert made.id is not None
        sweep_base(api, base_folder())
        assert api.containers.get(made.id).labels[LABEL] == "5tranger"
    finally:
        made.remove(v=True, force=True)
