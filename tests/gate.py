"""The command that a user types, run in a folder of its own."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.specimens import SUITES

LIMIT_S = 280
# As on a machine without containers: a test that wants them says so, with the images to use.
NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}


@dataclass
class GateRun:
    """What one run of the gate left: its exit code, its output and its report."""

    code: int
    output: str
    folder: Path

    @cached_property
    def report(self) -> dict[str, Any]:
        """The newest report.json of the folder."""
        newest = max((self.folder / ".prodready" / "runs").iterdir(), key=lambda path: path.stat().st_mtime)
        loaded: dict[str, Any] = json.loads((newest / "report.json").read_text())
        return loaded

    @property
    def verdicts(self) -> dict[str, str]:
        """The verdict of each rule that was run."""
        return {each["rule"]: each["verdict"] for each in self.report["findings"]}

    def finding(self, rule: str) -> dict[str, Any]:
        """What was found about one rule."""
        found: dict[str, Any] = next(each for each in self.report["findings"] if each["rule"] == rule)
        return found


def run_gate(
    folder: Path, *arguments: str, variables: Mapping[str, str] | None = None, engine: bool = False
) -> GateRun:
    """Run `python -m pytest …` in the folder as a user would, with nothing of this session's own.

    A container engine is only seen with `engine`.
    """
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "PRODREADY_"))
    }
    hidden = {
        name: os.environ[name] for name in ("PRODREADY_HIDE_SYSTEM", "PRODREADY_CACHE") if name in os.environ
    }
    command = [sys.executable, "-m", "pytest", "-p", "no:randomly", *arguments]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**kept, **({} if engine else NO_ENGINE), **hidden, **(variables or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    return GateRun(done.returncode, done.stdout, folder)


def node_ids() -> dict[str, str]:
    """The node id of each rule's test."""
    found = {}
    for suite in SUITES:
        module = importlib.import_module(f"pytest_prodready.suites.test_{suite}")
        for name, test in vars(module).items():
            for mark in getattr(test, "pytestmark", []):
                if mark.name == "prodready_rule":
                    found[mark.args[0]] = f"prodready.toml::{suite}::{name}"
    return found
