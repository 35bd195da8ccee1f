"""Where a run's time went: of all processes that ran tests, by kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_prodready.stopwatch import CLEARING, KINDS, MEASURING, QUEUED, STARTING, WAITING

REST = "rest"
WORDS: Mapping[str, str] = {
    WAITING: "waiting that scenarios need",
    STARTING: "start-up",
    MEASURING: "measuring",
    QUEUED: "waiting for another worker's measurement",
    CLEARING: "clearing up",
    REST: "the gate itself",
}
Seconds = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class TimeSpent:
    """The time of one run; workers run side by side, so their times add up to more."""

    wall_s: float
    workers: int
    work_s: float
    by_kind: Seconds  # all kinds and the rest; they add up to work_s

    @classmethod
    def of(cls, wall_s: float, processes: Sequence[Seconds]) -> TimeSpent:
        """The sum of what each process says of itself: its `work_s`, and its seconds of each kind."""
        work_s = sum(each["work_s"] for each in processes)
        by_kind = {kind: sum(each.get(f"{kind}_s", 0.0) for each in processes) for kind in KINDS}
        rest = max(0.0, work_s - sum(by_kind.values()))
        return cls(round(wall_s, 3), len(processes), work_s, {**by_kind, REST: rest})

    def as_json(self) -> dict[str, float]:
        """The same for report.json."""
        kinds = {f"{kind}_s": round(seconds, 3) for kind, seconds in self.by_kind.items()}
        return {"wall_s": self.wall_s, "workers": self.workers, "work_s": round(self.work_s, 3), **kinds}

    @property
    def whole(self) -> str:
        """All of it, by the clock and as work."""
        if self.workers < 2:
            return f"{self.wall_s:.0f} s"
        return f"{self.wall_s:.0f} s in {self.workers} workers ({self.work_s:.0f} s of work)"

    @property
    def line(self) -> str:
        """The same in words, the largest part first."""
        parts = ", ".join(f"{share} % {WORDS[kind]}" for kind, share in shares(self.by_kind).items())
        return f"time: {self.whole}: {parts}" if parts else f"time: {self.whole}"


def shares(by_kind: Seconds) -> dict[str, int]:
    """Whole percentages that add up to 100, the largest first; nothing under half a percent."""
    whole = sum(by_kind.values())
    if whole <= 0:
        return {}
    exact = {kind: 100 * seconds / whole for kind, seconds in by_kind.items()}
    cut = {kind: int(share) for kind, share in exact.items()}
    left = 100 - sum(cut.values())
    for kind in sorted(exact, key=lambda each: cut[each] - exact[each])[:left]:
        cut[kind] += 1
    return {kind: share for kind, share in sorted(cut.items(), key=lambda pair: -pair[1]) if share}


def by_suite(findings: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """The seconds of each kind by suite, with what is left of each finding's own as the rest."""
    found: dict[str, dict[str, float]] = {}
    for each in findings:
        suite = found.setdefault(each["rule"].partition(".")[0], dict.fromkeys((*KINDS, REST), 0.0))
        spent = each.get("time", {})
        parts = {kind: spent.get(f"{kind}_s", 0.0) for kind in KINDS}
        for kind, seconds in {**parts, REST: max(0.0, each["duration_s"] - sum(parts.values()))}.items():
            suite[kind] += seconds
    return found
