"""The gate on containers: the same verdicts as on local processes, and nothing else differs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import docker
import psycopg
import pytest

from pytest_prodready.environment.containers.leftovers import LABEL
from tests.gate import GateRun, node_ids, run_gate
from tests.images.build import Images
from tests.images.fixture import images
from tests.images.variables import variables as image_variables
from tests.same_reports import differences, lasting
from tests.specimens import Specimen, all_specimens

__all__ = ["images"]

# Cheap rules that need every capability of an environment.
RULES = (
    "ssl.plaintext-refused",
    "ssl.hba-authenticates",
    "ssl.service-encrypted",
    "ssl.client-checks-name",
    "ssl.redis-encrypted",
    "pool.bounded",
    "pool.fork-safe",
    "pool.recovers-after-exhaustion",
    "health.readiness-follows-database",
    "health.optional-redis",
    "health.shutdown-leaves-no-backend",
)
DEFECTS = ("ssl-hba-trust", "ssl-service-verify-ca", "pool-overflows", "readiness-is-a-constant")


@pytest.fixture
def variables(images: Images) -> dict[str, str]:
    """The variables that choose the images."""
    return {**image_variables(images), "TESTCONTAINERS_RYUK_DISABLED": "true"}


def on_containers(folder: Path, variables: Mapping[str, str], *arguments: str) -> GateRun:
    """The gate with an engine in sight: auto takes containers."""
    return run_gate(folder, *arguments, variables=variables, engine=True)


def test_both_backends_agree(tmp_path: Path, variables: dict[str, str]) -> None:
    """The healthy example passes on both; the reports differ in the environment alone."""
    Specimen(name="x", breaks="", says="").build(tmp_path)
    nodes = [node_ids()[rule] for rule in RULES]
    contained = on_containers(tmp_path, variables, *nodes)
    assert contained.code == 0, contained.output
    assert "backend containers: Docker" in contained.output
    report = contained.report
    local = run_gate(tmp_path, "--prodready-backend=processes", *nodes)
    assert local.code == 0, local.output
    assert differences(lasting(report), lasting(local.report)) == []
    assert report["environment"]["backend"] == "containers"
    assert variables["PRODREADY_POSTGRES_IMAGE"] in report["environment"]["postgres"]["version"]


@pytest.mark.parametrize(
    "specimen", [each for each in all_specimens() if each.name in DEFECTS], ids=lambda s: s.name
)
def test_a_defect_fails_its_rule(specimen: Specimen, tmp_path: Path, variables: dict[str, str]) -> None:
    """A defect is found on containers as well."""
    specimen.build(tmp_path)
    run = on_containers(tmp_path, variables, node_ids()[specimen.breaks])
    assert run.verdicts[specimen.breaks] == "failed", run.output
    assert specimen.says in run.finding(specimen.breaks)["summary"]


def test_keep_leaves_containers_reachable(tmp_path: Path, base: Path, variables: dict[str, str]) -> None:
    """After a failure the containers stay, are reached at the told address, and go with the next run."""
    Specimen(name="x", breaks="", says="", settings={"health.liveness": "/nowhere"}).build(tmp_path)
    ids, here = node_ids(), {**variables, "TMPDIR": str(base)}
    run = on_containers(tmp_path, here, "--prodready-keep", ids["health.liveness-answers"])
    assert run.code == 1, run.output
    path = Path(re.search(r"with passwords: (\S+)", run.output)[1])  # type: ignore[index]
    url = re.search(r"postgres: (\S+)", path.read_text())[1]  # type: ignore[index]
    with psycopg.connect(url, connect_timeout=5) as connection:
        assert connection.execute("select count(*) from jobs").fetchone()
    later = on_containers(tmp_path, here, ids["health.readiness-answers"])
    assert later.code == 0, later.output
    assert not path.parent.exists()
    api = docker.from_env()
    try:
        assert not api.containers.list(all=True, filters={"label": f"{LABEL}={path.parent.name}"})
    finally:
        api.close()
