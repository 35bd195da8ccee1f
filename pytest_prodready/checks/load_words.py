"""What the checks of the load suite have in common: what isn't known, whose fault it is, and words for it."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_prodready.findings import Finding, Rule
from pytest_prodready.probes.load import Kind, Load, Stage
from pytest_prodready.probes.load_limits import doubts

NAMED = 3
INSTALL = "Install it: pip install 'pytest-prodready[load]'."


def unmeasured(rule: Rule, seen: Load) -> Finding | None:
    """The finding where there is nothing to judge; None where there is."""
    if seen.lacking:
        return rule.unverified(seen.lacking, change=INSTALL)
    if seen.doubt:
        return rule.inconclusive(seen.doubt)
    if not seen.climb:
        return rule.inconclusive(f"no request was sent at the usual load{_ended(seen)}")
    return None


def judged(  # noqa: PLR0913 (what a finding is made of, by name)
    rule: Rule, seen: Load, *, wrong: str, told: str, limit: str, firm: bool = False, own: str = ""
) -> Finding:
    """The verdict: a target that was met is met; one that was missed may be the machine's fault.

    `firm` is what no machine can be blamed for: wrong data, lost writes, errors that the service told.
    `own` says what is wrong even without all that the machine may have added.
    """
    if wrong and not firm and (doubt := doubts(seen.generator)):
        if not own:
            return rule.inconclusive(f"{wrong}; but {doubt}{_tries(seen)}", limit=limit)
        wrong = f"{wrong}; {doubt}, but {own}"
    if wrong:
        return rule.failed(wrong, limit=limit)
    if seen.peak is None or seen.ended:
        return rule.inconclusive(f"nothing wrong as far as it went{_ended(seen)}", limit=limit)
    if seen.unfinished:
        return rule.inconclusive(
            f"{seen.unfinished} requests were still under way when all deadlines had passed", limit=limit
        )
    return rule.passed(told, limit=limit)


def at(stage: Stage) -> str:
    """Which load it was: at 10x, 200/s."""
    return f"at {stage.name}, {stage.rate:g}/s,"


def kinds(found: Iterable[Kind]) -> str:
    """What happened how often: 12 x 503 (list), 3 x no answer in time (show)."""
    told = [f"{each.count} x {each.what} ({each.request})" for each in found]
    more = f" and {len(told) - NAMED} more kinds" if len(told) > NAMED else ""
    return ", ".join(told[:NAMED]) + more


def _ended(seen: Load) -> str:
    return f": the climb was ended in stage {seen.ended_in}, since {seen.ended}" if seen.ended else ""


def _tries(seen: Load) -> str:
    return f" (tried {seen.attempts} times)" if seen.attempts > 1 else ""
