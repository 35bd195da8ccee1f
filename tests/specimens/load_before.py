"""The run of the healthy example that a specimen is held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pytest_prodready.probes.load import SELF_TEST, Interval, Topology
from pytest_prodready.probes.load_baseline import KeptStage, as_text, planned
from pytest_prodready.probes.load_plan import plan
from pytest_prodready.settings import Settings
from tests.specimens import laid_over

NULL = {"p50": 0.9, "p95": 3.0, "p99": 6.0}  # ms
SERVICE = {"p50": 5.0, "p95": 12.0, "p99": 25.0}
SURE = 0.1


def kept_run(changes: Mapping[str, Any]) -> str:
    """The file of a run of the example with these settings."""
    tables = {name: table for name, table in laid_over(changes).items() if name != "profiles"}
    settings = Settings.model_validate(tables)
    run = planned(plan(settings, "", "", {}), settings.service.name, Topology())
    return as_text(replace(run, stages=tuple(_timed(stage) for stage in run.stages)))


def _timed(stage: KeptStage) -> KeptStage:
    times = NULL if stage.name == SELF_TEST else SERVICE
    return replace(stage, response={name: _interval(ms) for name, ms in times.items()})


def _interval(ms: float) -> Interval:
    return Interval(ms, round(ms * (1 - SURE), 3), round(ms * (1 + SURE), 3))
