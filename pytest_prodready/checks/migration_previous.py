"""Judge the previous code on the schema of the newest step."""

from __future__ import annotations

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.migration_words import listed
from pytest_prodready.findings import Finding
from pytest_prodready.probes.migration_previous import OldRequest, SideBySide


def old_code_keeps_working(seen: SideBySide) -> Finding:
    """What the previous code answered before the step, it answers while it runs and afterwards."""
    rule = RULES["migration.old-code-keeps-working"]
    limit = "every declared request that it answered before"
    if seen.doubt:
        return rule.inconclusive(seen.doubt, limit=limit)
    usable = [each for each in seen.requests if each.before.sent and not each.before.failed]
    unusable = [f"{each.request} ({each.before.said})" for each in seen.requests if each not in usable]
    if not usable:
        return rule.inconclusive(
            f"the previous code answered no declared request before {seen.revision}: {listed(unusable)}",
            limit=limit,
        )
    broken = [words for each in usable if (words := _broken(each))]
    if broken:
        return rule.failed(
            f"{len(broken)} of {len(usable)} requests to the previous code fail with {seen.revision}:"
            f" {listed(broken)}",
            limit=limit,
        )
    if unknown := [each.request for each in usable if not each.after.sent]:
        return rule.inconclusive(f"not asked after {seen.revision}: {listed(unknown)}", limit=limit)
    if seen.step_ended:
        return rule.inconclusive(f"{seen.revision} was not applied: {seen.step_ended}", limit=limit)
    left_out = f"; left out, since they failed before it: {listed(unusable)}" if unusable else ""
    return rule.passed(
        f"{len(usable)} requests to the previous code, answered before {seen.revision}, during it and"
        f" afterwards{left_out}",
        limit=limit,
    )


def _broken(each: OldRequest) -> str:
    """When a request fails, and how; empty when it doesn't."""
    if each.after.failed:
        return f"{each.request} afterwards ({each.after.said})"
    if each.during.failed:
        return (
            f"{each.request} while it runs ({each.during.failed} of {each.during.sent}: {each.during.said})"
        )
    return ""
