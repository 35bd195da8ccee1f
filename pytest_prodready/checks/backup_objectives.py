"""Judge what is lost by a restore (RPO), and how long it takes (RTO)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.explain_index_words import counted
from pytest_prodready.checks.failover_words import seconds
from pytest_prodready.findings import Finding
from pytest_prodready.probes.backup_facts import BackupRun, Markers
from pytest_prodready.probes.backup_sizes import RestoreTimes
from pytest_prodready.settings import BackupSettings

GB = 1e9
FEWEST = 4  # restores; through fewer points a straight line has hardly a choice
# Student's t for 95 %, two-sided, by degrees of freedom.
T = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23)
T_BEYOND = 2.1


@dataclass(frozen=True, slots=True)
class Line:
    """The straight line through restores, and how well it is known."""

    fixed_s: float
    per_gb_s: float
    error_s: float  # the standard error of one restore
    mean_gb: float
    spread: float  # Σ(x - mean)²
    count: int

    def at(self, gb: float) -> tuple[float, float, float]:
        """How long a restore of this size takes: least, likely and most (95 %)."""
        likely = self.fixed_s + self.per_gb_s * gb
        freedom = self.count - 2
        t = T[freedom - 1] if freedom <= len(T) else T_BEYOND
        how_far = 1 + 1 / self.count + (gb - self.mean_gb) ** 2 / self.spread
        margin = t * self.error_s * math.sqrt(how_far)
        return max(0.0, likely - margin), likely, likely + margin


def rpo(seen: BackupRun, limits: BackupSettings) -> Finding:
    """What was acknowledged before the backup is in it, and backups come often enough."""
    rule = RULES["backup.rpo"]
    details: dict[str, Any] = {
        "limit": f"{limits.rpo_writes or 'no'} acknowledged write lost"
        + (f", {limits.rpo_s:g} s" if limits.rpo_s is not None else ""),
        "limits": {"rpo_writes": limits.rpo_writes, "rpo_s": limits.rpo_s, "every_s": limits.every_s},
    }
    if seen.compared is None:
        return rule.inconclusive(seen.why_not, **details)
    markers = seen.markers
    if markers is None or markers.unusable:
        return rule.inconclusive(markers.unusable if markers else "nothing was written", **details)
    if markers.written - markers.recovered > limits.rpo_writes:
        return rule.failed(_lost(markers), **details)
    summary = (
        f"{markers.recovered} of {counted(markers.written, 'write')} recovered, the last of them acknowledged"
        f" {seconds(markers.last_age_s)} before the backup began"
    )
    took = f"a backup takes {seconds(seen.backup_s)}"
    if limits.rpo_s is None or limits.every_s is None:
        return rule.passed(f"{summary}; {took}", **details)
    oldest = limits.every_s + seen.backup_s
    summary += f"; {took} every {_long(limits.every_s)}, so up to {_long(oldest)} are lost"
    return (rule.failed if oldest > limits.rpo_s else rule.passed)(summary, **details)


def _lost(markers: Markers) -> str:
    lost = markers.written - markers.recovered
    found = f"; the last one that is was {seconds(markers.last_age_s)} old then" if markers.recovered else ""
    number = counted(markers.written, "write")
    return f"{lost} of {number} that were acknowledged before the backup began are not in it{found}"


def rto(seen: RestoreTimes, limits: BackupSettings) -> Finding:
    """A database of production's size would be restored in time."""
    rule = RULES["backup.rto"]
    if limits.rto_s is None or limits.database_gb is None:
        return rule.unverified("neither rto_s nor database_gb is declared")
    details: dict[str, Any] = {
        "limit": f"{_long(limits.rto_s)} for {limits.database_gb:g} GB",
        "limits": {"rto_s": limits.rto_s, "database_gb": limits.database_gb},
    }
    if seen.why_not:
        return rule.inconclusive(seen.why_not, **details)
    line = fitted([(each.bytes / GB, each.restore_s) for each in seen.timings])
    if line is None:
        return rule.inconclusive("the restores were too few, or all of one size", **details)
    least, likely, most = line.at(limits.database_gb)
    summary = (
        f"{_restores(seen)}: {line.per_gb_s:.0f} s per GB on this machine, so {limits.database_gb:g} GB take"
        f" about {_long(likely)} ({_long(least)} to {_long(most)})"
    )
    if most <= limits.rto_s:
        return rule.passed(summary, **details)
    if least > limits.rto_s:
        return rule.failed(summary, **details)
    return rule.inconclusive(f"{summary}: too uncertain to tell", **details)


def _restores(seen: RestoreTimes) -> str:
    sizes = sorted(timing.bytes / 1e6 for timing in seen.timings)
    number, jobs = counted(len(sizes), "restore"), counted(seen.jobs, "job")
    return f"{number} of {sizes[0]:.0f} to {sizes[-1]:.0f} MB by {jobs}"


def fitted(points: Sequence[tuple[float, float]]) -> Line | None:
    """The straight line through points by least squares; None where they don't make one."""
    count = len(points)
    if count < FEWEST:
        return None
    mean_x, mean_y = (sum(values) / count for values in zip(*points, strict=True))
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    if spread == 0:
        return None
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
    fixed = mean_y - slope * mean_x
    rest = sum((y - fixed - slope * x) ** 2 for x, y in points)
    return Line(fixed, slope, math.sqrt(rest / (count - 2)), mean_x, spread, count)


def _long(value: float) -> str:
    """A time that may be long."""
    if value < 120:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"
