"""Judge what is lost by a restore (RPO), and how long it takes (RTO)."""

from __future__ import annotations

from typing import Any

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.explain_index_words import counted
from pytest_prodready.checks.failover_words import seconds
from pytest_prodready.findings import Finding
from pytest_prodready.probes.backup_facts import BackupRun, Markers
from pytest_prodready.probes.backup_sizes import RestoreTimes
from pytest_prodready.settings import BackupSettings


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
    if limits.point_in_time:
        between = "what is written between backups is kept by its WAL archive (backup.point-in-time)"
        return rule.passed(f"{summary}; {took}; {between}", **details)
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
    line = seen.line
    if line is None:
        return rule.inconclusive("the restores were too few, or all of one size", **details)
    least, likely, most = line.at(limits.database_gb)
    summary = (
        f"{_restores(seen)}: {line.per_gb_s:.0f} s per GB on this machine, so {limits.database_gb:g} GB take"
        f" about {_long(likely)} ({_long(least)} to {_long(most)})"
    )
    if most <= limits.rto_s and line.per_gb_s > 0:
        return rule.passed(summary, **details)
    if least > limits.rto_s:
        return rule.failed(summary, **details)
    return rule.inconclusive(f"{summary}: too uncertain to tell", **details)


def _restores(seen: RestoreTimes) -> str:
    sizes = sorted(timing.bytes / 1e6 for timing in seen.timings)
    number, jobs = counted(len(sizes), "restore"), counted(seen.jobs, "job")
    return f"{number} of {sizes[0]:.0f} to {sizes[-1]:.0f} MB by {jobs}"


def _long(value: float) -> str:
    """A time that may be long."""
    if value < 120:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"
