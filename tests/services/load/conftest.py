"""A small service under load."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.leftovers import of_run
from pytest_prodready.environment.runs import Run
from pytest_prodready.generators import ONE, Generators
from pytest_prodready.probes.load import Load
from pytest_prodready.probes.load_run import load
from pytest_prodready.probes.traffic import Traffic
from pytest_prodready.settings import Settings

SERVICE = Path(__file__).with_name("loaded.py")
SHORT = {
    "expected_rps": 20,
    "multiplier": 5,
    "steps": [],
    "self_test_s": 1,
    "warm_up_s": 1,
    "usual_s": 3,
    "peak_s": 4,
    "again_s": 2,
    "deadline_s": 3,
    "settle_s": 0.2,
}


@pytest.fixture
def run() -> Iterator[Run]:
    """A run's folder, in which nothing runs any more at the end."""
    made = Run.open()
    yield made
    assert of_run(made.folder) == []
    made.close()


@dataclass(frozen=True)
class Loaded:
    """What was measured, by which limits, and how long it took."""

    seen: Load
    settings: Settings
    seconds: float
    told: tuple[str, ...]
    left: tuple[int, ...]  # processes of the run other than the service, after the load
    logs: Mapping[str, str]


Loads = Callable[..., Loaded]
During = Callable[[str, Environment], None]  # what is told of the progress


def settings_for(how: str, **limits: Any) -> Settings:
    """A service that behaves like this, and a short schedule."""
    return Settings.model_validate(
        {
            "service": {"name": "loaded", "command": f"{sys.executable} {SERVICE} {{port}} {how}"},
            "requests": [{"name": "items", "path": "/items", "contains": "items"}],
            "writes": {
                "create": {"method": "POST", "path": "/items", "json": {"title": "{token}"}, "expect": 201},
                "read_back": {"path": "/items?title={token}"},
            },
            "load": {**SHORT, **limits},
        }
    )


@pytest.fixture
def loads(tmp_path: Path) -> Loads:
    """Load a service that behaves like this."""

    def loaded(how: str, generators: Generators = ONE, during: During | None = None, **limits: Any) -> Loaded:
        settings = settings_for(how, **limits)
        environment = Environment.start(settings, folder=tmp_path)
        told: list[str] = []

        def progress(words: str) -> None:
            told.append(words)
            if during is not None:
                during(words, environment)

        try:
            assert environment.application is not None
            traffic = Traffic(environment.application.base_url, settings.requests)
            try:
                began = time.monotonic()
                seen = load(environment, traffic, settings, progress, generators)
                seconds = time.monotonic() - began
                running = _others(environment)
                return Loaded(seen, settings, seconds, tuple(told), tuple(running), environment.logs())
            finally:
                traffic.close()
        finally:
            environment.stop()

    return loaded


def _others(environment: Environment) -> list[int]:
    application = environment.application
    mine = set(application.processes()) if application is not None else set()
    return [each.pid for each in of_run(environment.run.folder) if each.pid not in mine]
