"""The findings of a session, by target, as the reports tell them."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pytest_prodready.catalogue import RULES
from pytest_prodready.findings import Verdict
from pytest_prodready.reports.spent import Seconds, TimeSpent

Payload = Mapping[str, Any]


def told(finding: Payload) -> str:
    """The verdict as people are told it: what only advises hasn't failed."""
    advice = finding["verdict"] == "failed" and finding["level"] == "info"
    return "advice" if advice else str(finding["verdict"])


@dataclass(frozen=True, slots=True)
class TargetReport:
    """What was found about one target."""

    path: Path
    findings: tuple[Payload, ...]  # in checklist order
    started: datetime
    duration_s: float
    time: TimeSpent  # of the whole run

    @property
    def name(self) -> str:
        """The service's name."""
        return str(self.findings[0]["name"])

    @property
    def environment(self) -> Mapping[str, Any]:
        """Backend and versions, from the last finding that knew them."""
        known = [each["environment"] for each in self.findings]
        return max(known, key=lambda facts: len(facts["versions"]))

    @property
    def ready(self) -> bool:
        """Whether nothing that was found fails the run."""
        return not any(each["fails"] for each in self.findings)

    @property
    def checked(self) -> bool:
        """Whether any rule was tried to the end; one that failed but only advises counts."""
        return any(each["verdict"] in (Verdict.PASSED, Verdict.FAILED) for each in self.findings)

    def counts(self, suite: str | None = None) -> Counter[str]:
        """How many rules have each verdict, of one suite or of all."""
        return Counter(
            told(each) for each in self.findings if suite in (None, each["rule"].partition(".")[0])
        )

    @property
    def suites(self) -> tuple[str, ...]:
        """The suites that have findings, in checklist order."""
        return tuple(dict.fromkeys(each["rule"].partition(".")[0] for each in self.findings))


@dataclass
class Findings:
    """Gathers findings while the tests run."""

    processes: list[Seconds] = field(default_factory=list)
    _payloads: list[Payload] = field(default_factory=list)
    _began: float = field(default_factory=time.time)

    def add(self, text: str) -> None:
        """Take over one finding, as JSON."""
        self._payloads.append(json.loads(text))

    def add_process(self, spent: Seconds) -> None:
        """Take over how long a process that ran tests was at it, in all and by kind."""
        self.processes.append(spent)

    def by_target(self) -> tuple[TargetReport, ...]:
        """One report for each target, findings in checklist order."""
        order = {rule: number for number, rule in enumerate(RULES)}
        paths = dict.fromkeys(each["target"] for each in self._payloads)
        now = time.time()
        return tuple(
            TargetReport(
                path=Path(path),
                findings=tuple(
                    sorted(
                        (each for each in self._payloads if each["target"] == path),
                        key=lambda each: order[each["rule"]],
                    )
                ),
                started=datetime.fromtimestamp(self._began, UTC),
                duration_s=round(now - self._began, 3),
                time=TimeSpent.of(now - self._began, self.processes),
            )
            for path in paths
        )
