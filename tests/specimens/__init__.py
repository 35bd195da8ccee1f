"""Specimens: each is the healthy example with one defect, and names the rule that this breaks."""

from __future__ import annotations

import importlib
import shutil
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "jobboard"
SUITES = ("ssl", "pool", "explain", "failover", "migration", "backup", "load", "health")
ROWS = 500  # of jobs: enough for these suites, and quick to seed


@dataclass(frozen=True)
class Swap:
    """An exact piece of one file of the example, and what takes its place; it must occur exactly once."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Specimen:
    """The example with one defect."""

    name: str
    breaks: str  # the rule that must fail
    says: str  # what its summary must contain, naming the defect
    changes: str = ""  # what its remedy must contain
    also: frozenset[str] = frozenset()  # other rules that this very defect rightly breaks
    swaps: tuple[Swap, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)  # added to the copy of the example
    settings: Mapping[str, Any] = field(default_factory=dict)  # laid over prodready.toml; None removes a key
    options: tuple[str, ...] = ()  # of the command
    still_passes: tuple[str, ...] = ()  # rules of another concern that must pass all the same

    def build(self, folder: Path) -> Path:
        """Copy the example, put the defect in, and write its prodready.toml; returns the file's path."""
        shutil.copytree(
            EXAMPLE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", ".*")
        )
        for swap in self.swaps:
            path = folder / swap.file
            text = path.read_text()
            assert text.count(swap.old) == 1, f"{self.name}: {swap.old!r} occurs {text.count(swap.old)} times"
            path.write_text(text.replace(swap.old, swap.new))
        for name, text in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        target = folder / "prodready.toml"
        target.write_text(as_toml(laid_over(self.settings)))
        return target


def laid_over(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The example's prodready.toml as data, with these settings; None removes a key."""
    data = example_target()
    for dotted, value in settings.items():
        *tables, key = dotted.split(".")
        table = data
        for name in tables:
            table = table.setdefault(name, {})
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value
    return data


def example_target() -> dict[str, Any]:
    """The repository's prodready.toml as data, for a copy of the example that is its own folder."""
    text = (ROOT / "prodready.toml").read_text().replace("examples/jobboard/", "")
    data = tomllib.loads(text)
    del data["service"]["cwd"]
    data["service"]["setup"][-1] += f" --rows {ROWS}"
    return data


def as_toml(data: Mapping[str, Any]) -> str:
    """The data as TOML: inline values under one heading each."""
    lines: list[str] = []
    for name, value in data.items():
        if isinstance(value, list):
            for each in value:
                lines += [f"[[{name}]]", *(f"{key} = {_value(inner)}" for key, inner in each.items()), ""]
        else:
            lines += [f"[{name}]", *(f"{key} = {_value(inner)}" for key, inner in value.items()), ""]
    return "\n".join(lines)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_value(each)}" for key, each in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(each) for each in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    text = str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{text}"'


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() else f'"{key}"'


def all_specimens() -> tuple[Specimen, ...]:
    """Every specimen of every suite."""
    modules = [importlib.import_module(f"tests.specimens.{suite}") for suite in SUITES]
    return tuple(specimen for module in modules for specimen in module.SPECIMENS)
