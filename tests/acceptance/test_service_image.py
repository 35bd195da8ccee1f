"""The gate on a service that is an image: it is judged as the same service as a process is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from pytest_prodready.catalogue import RULES
from pytest_prodready.findings import Capability
from tests.gate import GateRun, node_ids, run_gate
from tests.images.build import Images
from tests.images.fixture import images
from tests.images.variables import variables as image_variables
from tests.service_images import BUILT_IN, DOCKERFILE, by_build, by_image
from tests.specimens import Specimen, all_specimens
from tests.specimens.load import SHORT

__all__ = ["images"]

DEFECTS = (
    "ssl-service-require",
    "pool-overflows",
    "pool-forks-after-connecting",
    "dies-with-the-database",
    "failover-pinned-address",
    "ends-at-once",
    "a-thread-outlives-sigterm",
    "a-report-outlives-the-service",
)
HEALTHY = Specimen(name="healthy", breaks="", says="")
LOADED = Specimen(name="loaded", breaks="", says="", settings=SHORT)


def gate(folder: Path, images: Images, *arguments: str) -> GateRun:
    """The gate with an engine in sight."""
    variables = {**image_variables(images), "TESTCONTAINERS_RYUK_DISABLED": "true"}
    return run_gate(folder, *arguments, variables=variables, engine=True)


@pytest.fixture(autouse=True)
def tidy_engine(tmp_path: Path, images: Images) -> Iterator[None]:
    """What a test has built goes with it."""
    yield
    api = docker.from_env()
    try:
        for image in api.images.list(filters={"label": f"{BUILT_IN}={tmp_path}"}):
            api.images.remove(image.id, force=True)
    finally:
        api.close()


def test_the_image_is_ready(tmp_path: Path, images: Images) -> None:
    """The gate passes on the example's image; only what needs its engine in process isn't tried."""
    by_image(HEALTHY.build(tmp_path), images.service)
    run = gate(tmp_path, images, "-m", "readiness and not failover and not load")
    assert run.code == 0, run.output
    assert "[service] image is given" in run.output
    assert images.service in run.output
    tried = {rule: each for rule, each in RULES.items() if each.suite not in ("failover", "load")}
    untried = {rule for rule, verdict in run.verdicts.items() if verdict == "unverified"}
    in_process = {rule for rule, each in tried.items() if Capability.ENGINE in each.needs}
    # There is no baseline yet, and no table is large.
    assert untried == in_process | {"explain.plan-unchanged", "explain.tables-not-scanned"}
    assert {run.verdicts[rule] for rule in tried.keys() - untried} == {"passed"}


@pytest.mark.alone
def test_the_image_is_loaded(tmp_path: Path, images: Images) -> None:
    """A service in a container takes the load and is watched; a busy machine may leave its times open."""
    by_image(LOADED.build(tmp_path), images.service)
    run = gate(tmp_path, images, "-m", "load")
    verdicts = {rule: run.verdicts[rule] for rule, each in RULES.items() if each.suite == "load"}
    assert {rule for rule, verdict in verdicts.items() if verdict == "failed"} <= {"load.has-headroom"}
    told = ("no-write-lost", "answers-are-right", "no-hidden-errors", "connections-are-given-back")
    assert {verdicts[f"load.{rule}"] for rule in (*told, "memory-is-bounded")} == {"passed"}, run.output
    seen = run.finding("load.stays-up")["evidence"]["load"]
    assert all(each["memory_mb"] > 10 and each["delay_s"] is not None for each in seen["usage"])


def test_the_image_lives_through_failures(tmp_path: Path, images: Images) -> None:
    """An outage and a failover are survived in a container as well."""
    by_image(HEALTHY.build(tmp_path), images.service)
    rules = (
        "failover.outage-is-survived",
        "failover.promotion-is-followed",
        "failover.moved-address-is-followed",
        "failover.no-count-twice",
    )
    run = gate(tmp_path, images, *(node_ids()[rule] for rule in rules))
    assert run.code == 0, run.output
    assert {run.verdicts[rule] for rule in rules} == {"passed"}


@pytest.mark.parametrize(
    "specimen", [each for each in all_specimens() if each.name in DEFECTS], ids=lambda each: each.name
)
def test_a_defect_in_an_image_fails_its_rule(specimen: Specimen, tmp_path: Path, images: Images) -> None:
    """A defect is found in a container as well, and by the same words."""
    by_build(specimen.build(tmp_path), images.service)
    run = gate(tmp_path, images, *(node_ids()[rule] for rule in (specimen.breaks, *specimen.still_passes)))
    assert run.verdicts[specimen.breaks] == "failed", run.output
    assert specimen.says in run.finding(specimen.breaks)["summary"], run.output
    assert {run.verdicts[rule] for rule in specimen.still_passes} == {"passed"}, run.output


def test_a_shell_that_keeps_sigterm(tmp_path: Path, images: Images) -> None:
    """A shell as the first process passes no signal on: the classic mistake of a Dockerfile is found."""
    rule = "health.shutdown-in-time"
    command = "CMD python -m jobboard --host 0.0.0.0 --port 8000; echo ended\n"
    target = Specimen(name="x", breaks=rule, says="", settings={"health.grace_s": 3}).build(tmp_path)
    by_build(target, images.service, DOCKERFILE + command)
    run = gate(tmp_path, images, node_ids()[rule])
    assert run.verdicts[rule] == "failed", run.output
    assert "still alive" in run.finding(rule)["summary"]
