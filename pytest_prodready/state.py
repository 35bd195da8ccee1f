"""What the hooks of one pytest session share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pytest_prodready.options import Options
from pytest_prodready.reports import collect
from pytest_prodready.reports.status import StatusLine
from pytest_prodready.stopwatch import Lap


@dataclass
class Session:
    """What the hooks share."""

    config: pytest.Config
    run: str
    status: StatusLine
    options: Options | None = None
    counted: int = 0
    chosen: dict[Path, set[str]] = field(default_factory=dict)  # the rules to try, by target
    failures: list[str] = field(default_factory=list)  # of what has no finding to say so
    interrupted: bool = False
    errors: list[str] = field(default_factory=list)  # each makes the run misconfigured
    findings: collect.Findings = field(default_factory=collect.Findings)
    lap: Lap = field(default_factory=Lap)
    previous_sigterm: Any = None


SESSION = pytest.StashKey[Session]()
