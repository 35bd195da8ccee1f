"""The gate's options: command line > environment variable > ini key > default."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_prodready import generators
from pytest_prodready.errors import ConfigError
from pytest_prodready.generators import ONE, Generators
from pytest_prodready.printable import without_secret

SAVING_RULE = "load.no-slower-than-before"  # its test writes the file of --prodready-load-save


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked for, apart from prodready.toml."""

    backend: str = "auto"
    profile: str | None = None
    unverified: str = "fail"
    inconclusive: str = "fail"
    explain: str = "check"
    keep: bool = False
    allow_destructive: bool = False
    judge: Path | None = None
    load_compare: Path | None = None
    load_save: Path | None = None
    assignments: tuple[str, ...] = ()
    generators: Generators = ONE

    def as_arguments(self, rule: str = "") -> tuple[str, ...]:
        """The command-line arguments that repeat these options for a rule, as a shell has to be told them."""
        chosen = [
            (self.backend != "auto", f"--prodready-backend={self.backend}"),
            (self.profile is not None, f"--prodready-profile={self.profile}"),
            (self.allow_destructive, "--prodready-allow-destructive"),
            (self.load_compare is not None, f"--prodready-load-compare={self.load_compare}"),
            (self.load_save is not None and rule == SAVING_RULE, f"--prodready-load-save={self.load_save}"),
        ]
        told = (
            *(text for differs, text in chosen if differs),
            *(f"--prodready-set={without_secret(each)}" for each in self.assignments),
            *self.generators.as_arguments,
        )
        return tuple(map(shlex.quote, told))


_CHOICES: Mapping[str, tuple[str, ...]] = {
    "backend": ("auto", "containers", "processes", "external"),
    "unverified": ("fail", "skip"),
    "inconclusive": ("fail", "skip"),
    "explain": ("check", "update"),
}

_HELP: Mapping[str, str] = {
    "backend": "where Postgres, Redis and the fault proxy come from: auto, containers, processes, external",
    "profile": "lay [profiles.NAME] of prodready.toml over the rest",
    "unverified": "what a must that isn't configured does to the run: fail (default) or skip",
    "inconclusive": "what a measurement that can't tell does to the run: fail (default) or skip",
    "explain": "hold plans against the baseline file: check (default), or write it anew: update",
}


def add_options(parser: pytest.Parser) -> None:
    """Register options and ini keys; every option's default is None, or it would hide the ini value."""
    group = parser.getgroup("prodready", "production readiness")
    for name, text in _HELP.items():
        group.addoption(f"--prodready-{name}", default=None, metavar=name.upper(), help=text)
        parser.addini(f"prodready_{name}", help=text, default=None)
    group.addoption(
        "--prodready-keep",
        action="store_true",
        default=None,
        help="after a failure leave servers and service running, and print how to reach them",
    )
    group.addoption(
        "--prodready-allow-destructive",
        action="store_true",
        default=None,
        help="let destructive rules run on servers that we did not start",
    )
    group.addoption(
        "--prodready-judge",
        default=None,
        metavar="RUN",
        help="judge the measurements recorded in this run's folder again; no server is started",
    )
    group.addoption(
        "--prodready-load-compare",
        default=None,
        metavar="FILE|RUN",
        help="hold the load against an earlier run: a file of --prodready-load-save, or a run's folder",
    )
    group.addoption(
        "--prodready-load-save",
        default=None,
        metavar="FILE",
        help="keep the load's times in this file, to hold later runs against",
    )
    group.addoption(
        "--prodready-set",
        action="append",
        default=None,
        metavar="KEY=VALUE",
        help="set one value of prodready.toml, such as pool.size=20 (may be repeated)",
    )
    group.addoption("--prodready-rules", action="store_true", default=False, help="list every rule, and exit")
    group.addoption(
        "--prodready-redact-statistics",
        default=None,
        metavar="FILE",
        help="write FILE, a dump by pg_dump --statistics-only, without values as NAME.redacted.sql, and exit",
    )
    generators.add_options(group)


def read_options(config: pytest.Config, variables: Mapping[str, str] | None = None) -> Options:
    """The options in force; raises ConfigError for a value that an option doesn't know."""
    env = os.environ if variables is None else variables
    judge = _text(config, env, "judge", ini=False)
    return Options(
        backend=_choice(config, env, "backend") or "auto",
        profile=_text(config, env, "profile"),
        unverified=_choice(config, env, "unverified") or "fail",
        inconclusive=_choice(config, env, "inconclusive") or "fail",
        explain=_choice(config, env, "explain") or "check",
        keep=_flag(config, env, "keep"),
        allow_destructive=_flag(config, env, "allow_destructive"),
        judge=None if judge is None else _run_folder(judge, config),
        load_compare=_path(config, env, "load_compare"),
        load_save=_path(config, env, "load_save"),
        assignments=tuple(config.getoption("prodready_set") or ()),
        generators=generators.read_generators(config, env),
    )


def _found(config: pytest.Config, env: Mapping[str, str], name: str, ini: bool = True) -> tuple[Any, str]:
    """The value and the place it came from."""
    option = f"--prodready-{name.replace('_', '-')}"
    if (value := config.getoption(f"prodready_{name}")) is not None:
        return value, option
    if variable := env.get(f"PRODREADY_{name.upper()}"):
        return variable, f"environment variable PRODREADY_{name.upper()}"
    if ini and (value := config.getini(f"prodready_{name}")):
        return value, f"prodready_{name} in {config.inipath}"
    return None, option


def _text(config: pytest.Config, env: Mapping[str, str], name: str, ini: bool = True) -> str | None:
    value, _ = _found(config, env, name, ini)
    return None if value is None else str(value)


def _path(config: pytest.Config, env: Mapping[str, str], name: str) -> Path | None:
    value = _text(config, env, name, ini=False)
    return None if value is None else Path(value)


def _choice(config: pytest.Config, env: Mapping[str, str], name: str) -> str | None:
    value, source = _found(config, env, name)
    if value is None or value in _CHOICES[name]:
        return None if value is None else str(value)
    raise ConfigError(
        f"there is no such {name}",
        value=value,
        source=source,
        remedy=f"choose one of {', '.join(_CHOICES[name])}",
    )


def _flag(config: pytest.Config, env: Mapping[str, str], name: str) -> bool:
    value, source = _found(config, env, name, ini=False)
    if value in (None, True, False):
        return bool(value)
    if str(value).lower() in ("1", "true", "yes", "on"):
        return True
    if str(value).lower() in ("0", "false", "no", "off"):
        return False
    raise ConfigError("this is neither yes nor no", value=value, source=source, remedy="use 1 or 0")


def _run_folder(value: str, config: pytest.Config) -> Path:
    folder = Path(value)
    if not folder.is_absolute():
        folder = config.invocation_params.dir / folder
    if (folder / "run.json").is_file():
        return folder
    raise ConfigError(
        "there is no recorded run here",
        value=value,
        source="--prodready-judge",
        tried=[str(folder / "run.json")],
        remedy="name a folder such as .prodready/runs/20261122-231501-1a2b",
    )
