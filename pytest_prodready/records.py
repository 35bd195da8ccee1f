"""What a run leaves behind in `.prodready/runs/<id>/`: measurements, logs, reports."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import TypeAdapter

RUNS_KEPT = 20
Redact = Callable[[str], str]


def new_run_id() -> str:
    """A run's name: when it began, and a few letters so that two at once differ."""
    return f"{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


class Record:
    """One run's folder for one target."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of(cls, target_folder: Path, run_id: str) -> Record:
        """The record of this run beside its target; nothing is written yet."""
        return cls(target_folder / ".prodready" / "runs" / run_id)

    def durations_before(self) -> dict[str, float]:
        """How many seconds of its own each test took in the newest earlier run that knows it, by node id."""
        found: dict[str, float] = {}
        for report in sorted(self.folder.parent.glob("*/report.json")):
            if report.parent != self.folder:
                with suppress(OSError, ValueError, KeyError):
                    findings = json.loads(report.read_text())["findings"]
                    found |= {each["nodeid"]: _own_seconds(each) for each in findings}
        return found

    def write_measurement(self, name: str, measurement: Any, redact: Redact = str) -> Any:
        """Keep a measurement under its name, its texts without secrets; returns it as JSON-safe data."""
        data = _redacted(as_data(measurement), redact)
        self._write(f"measurements/{name}.json", json.dumps(data, indent=1))
        return data

    def read_measurement(self, name: str, kind: Any) -> Any:
        """A measurement that an earlier run recorded, as its own type; FileNotFoundError without one."""
        text = (self.folder / "measurements" / f"{name}.json").read_text()
        return TypeAdapter(kind).validate_json(text)

    def write_failure(self, name: str, reason: str) -> None:
        """Keep why there is no measurement of this name."""
        self._write(_failure(name), reason)

    def read_failure(self, name: str) -> str:
        """Why there is no measurement of this name; empty where nothing has failed."""
        with suppress(FileNotFoundError):
            return (self.folder / _failure(name)).read_text(encoding="utf-8")
        return ""

    def lock_of(self, name: str) -> Path:
        """The file that whoever makes the measurement of this name holds a lock on."""
        self._begun()
        locks = self.folder / "locks"
        locks.mkdir(exist_ok=True)
        return locks / name

    def write_run(self, facts: dict[str, Any]) -> None:
        """Keep what --prodready-judge needs to know about the run."""
        self._write("run.json", json.dumps(facts, indent=1))

    def read_run(self) -> dict[str, Any]:
        """What write_run kept."""
        facts: dict[str, Any] = json.loads((self.folder / "run.json").read_text())
        return facts

    def write_text(self, name: str, text: str) -> Path:
        """Keep a text, such as a log or a traceback."""
        return self._write(name, text)

    def _write(self, name: str, text: str) -> Path:
        path = self.folder / name
        self._begun()
        return replaced(path, text)  # another worker may be writing the same measurement

    def _begun(self) -> None:
        """Make the folder (several workers share one), keep it out of git, and forget the oldest runs."""
        if self.folder.is_dir():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        runs = self.folder.parent
        (runs.parent / ".gitignore").write_text("*\n")
        for old in sorted(path for path in runs.iterdir() if path.is_dir())[:-RUNS_KEPT]:
            shutil.rmtree(old, ignore_errors=True)


def _redacted(data: Any, redact: Redact) -> Any:
    if isinstance(data, str):
        return redact(data)
    if isinstance(data, list):
        return [_redacted(each, redact) for each in data]
    return {key: _redacted(each, redact) for key, each in data.items()} if isinstance(data, dict) else data


def _failure(name: str) -> str:
    return f"measurements/{name}.failed.txt"


def replaced(path: Path, text: str) -> Path:
    """Write a file at once or not at all, with the folders that it lies in; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
    return path


def of_schema(text: str, schema: str) -> dict[str, Any]:
    """The JSON object in a file that is kept beside prodready.toml; ValueError for another."""
    data = json.loads(text)
    if not isinstance(data, dict) or data.get("schema") != schema:
        raise ValueError(f'it is not of the schema "{schema}"')
    return data


def as_data(measurement: Any) -> Any:
    """A measurement as JSON-safe data."""
    if isinstance(measurement, tuple):
        return [as_data(each) for each in measurement]
    if is_dataclass(measurement) and not isinstance(measurement, type):
        return TypeAdapter(dict[str, Any]).dump_python(asdict(measurement), mode="json")
    return TypeAdapter(Any).dump_python(measurement, mode="json")


def returned_type(probe: Any) -> Any:
    """The type that a probe declares to return."""
    return get_type_hints(probe)["return"]


def _own_seconds(finding: Mapping[str, Any]) -> float:
    """Without the wait for another worker, which one worker alone doesn't have."""
    return float(finding["duration_s"]) - float(finding.get("time", {}).get("queued_s", 0))
