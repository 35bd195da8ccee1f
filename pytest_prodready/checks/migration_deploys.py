"""Judge deploys that go wrong: a failed upgrade, and two upgrades at once."""

from __future__ import annotations

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.migration_trips import Problem, counted, listed, said, told
from pytest_prodready.findings import Finding
from pytest_prodready.probes.migration_deploys import Collision, Deploys, Failure


def failure_leaves_nothing(seen: Deploys) -> Finding:
    """After a failed upgrade the next one leads where it would have led."""
    rule = RULES["migration.failure-leaves-nothing"]
    limit = "the next upgrade succeeds, with the same catalogue and rows"
    if seen.doubt:
        return rule.inconclusive(seen.doubt, limit=limit)
    if not seen.failures:
        return rule.inconclusive("no revision defines anything, so that nothing could fail", limit=limit)
    problems = [(_name(each), what) for each in seen.failures if (what := _wrong(each))]
    if problems:
        return rule.failed(_worded(problems), limit=limit)
    if spared := [each for each in seen.failures if each.failed.succeeded]:
        names = listed([_name(each) for each in spared])
        return rule.inconclusive(f"the upgrade did not fail where it was made to: {names}", limit=limit)
    left = [_name(each) for each in seen.failures if each.half_done]
    between = f"; done in part by then, and finished the next time: {listed(left)}" if left else ""
    number = counted(len(seen.failures), "upgrade")
    return rule.passed(f"{number} failed at the last command, then succeeded{between}", limit=limit)


def two_at_once(seen: Deploys) -> Finding:
    """Two upgrades at once leave what one leaves."""
    rule = RULES["migration.two-at-once"]
    limit = "one succeeds at least, the other ends; the same catalogue and rows as by one alone"
    if seen.doubt or not seen.collisions:
        return rule.inconclusive(seen.doubt or "two upgrades at once were not tried", limit=limit)
    problems = [(_start(each), what) for each in seen.collisions if (what := _collided(each))]
    if problems:
        return rule.failed(_worded(problems), limit=limit)
    ended = listed([f"{_start(each)}: {_how(each)}" for each in seen.collisions])
    return rule.passed(f"{ended}; catalogue and rows are those of one alone", limit=limit)


def _wrong(failure: Failure) -> str:
    if failure.failed.status is None:
        return f"the failing upgrade {said(failure.failed)}"
    left = f", after one that had {told(failure.half_done)}" if failure.half_done else ""
    if not failure.again.succeeded:
        return f"the next upgrade {said(failure.again)}{left}"
    if wrong := _otherwise(failure):
        return f"after the next upgrade {wrong}{left}"
    return ""


def _collided(collision: Collision) -> str:
    if hung := [each for each in collision.ran if each.status is None]:
        return said(hung[0])
    if collision.again is not None:
        return f"both failed ({said(collision.ran[0])}; {said(collision.ran[1])})"
    return _otherwise(collision)


def _otherwise(seen: Failure | Collision) -> str:
    """What is other than after an upgrade without trouble."""
    return listed([*map(str, seen.differences), *map(str, seen.rows)])


def _how(collision: Collision) -> str:
    refused = [each for each in collision.ran if not each.succeeded]
    return f"one succeeded, one {said(refused[0])}" if refused else "both succeeded"


def _name(failure: Failure) -> str:
    return failure.revision or "all at once"


def _start(collision: Collision) -> str:
    return f"from {collision.before}" if collision.before else "from an empty database"


def _worded(problems: list[Problem]) -> str:
    return listed([f"{name}: {what}" for name, what in problems])
