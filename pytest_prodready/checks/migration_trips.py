"""What the checks of round trips have in common: which steps they judge, and their words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from pytest_prodready.environment.ran import Ran
from pytest_prodready.findings import Finding, Rule
from pytest_prodready.probes.migration import RoundTrips, Step, Turn
from pytest_prodready.probes.migration_rows import Loss
from pytest_prodready.probes.schema import SchemaDifference

NAMED = 4
LONGEST = 160  # of what a command said

Problem = tuple[str, str]  # which revision, and what is wrong


def all_steps(seen: RoundTrips) -> tuple[Step, ...]:
    """Those that went one by one, the one with the seed, and the one that took all at once."""
    return (*seen.steps, *(each for each in (seen.with_seed, seen.whole) if each is not None))


def name_of(step: Step, seen: RoundTrips) -> str:
    """How a step is called in words."""
    if step is seen.with_seed:
        return f"{step.revision} with rows of the seed"
    return "all at once" if step is seen.whole else step.revision


def concluded(rule: Rule, seen: RoundTrips, problems: Sequence[Problem], well: str, limit: str) -> Finding:
    """Failed with these problems, or passed unless too little was seen."""
    if seen.doubt:
        return rule.inconclusive(seen.doubt, limit=limit)
    if problems:
        return rule.failed(listed([f"{name}: {what}" for name, what in problems]), limit=limit)
    if not all_steps(seen):
        return rule.inconclusive("no revision has been run", limit=limit)
    if not_reached := [name_of(step, seen) for step in all_steps(seen) if not step.up.ran.succeeded]:
        return rule.inconclusive(f"the upgrade fails: {listed(not_reached)}", limit=limit)
    return rule.passed(well, limit=limit)


def about(seen: RoundTrips) -> str:
    """How much was tried."""
    older = len(seen.history.revisions) + seen.history.older - len(seen.steps)
    tried = counted(len(seen.steps), "revision") if seen.steps else "all revisions at once"
    return f"{tried}{f' ({older} older ones only all at once)' if seen.steps and older > 0 else ''}"


def turns(seen: RoundTrips, pick: Callable[[Step], Turn | None]) -> Iterator[tuple[str, Turn]]:
    """One turn of each step that came that far."""
    for step in all_steps(seen):
        turn = pick(step)
        if turn is not None:
            yield name_of(step, seen), turn


def said(ran: Ran) -> str:
    """How a command ended, with the last that it said."""
    much = f" after printing {ran.printed_bytes / 1e6:,.0f} MB" if ran.printed_bytes > 1e6 else ""
    last = f": {shortened(ran.telling)}" if ran.telling else ", and said nothing"
    return f"{ran.ended}{much}{last}"


def told(differences: Iterable[SchemaDifference]) -> str:
    """Differences in words, the first few of them."""
    return listed([str(each) for each in differences])


def lost(losses: Iterable[Loss]) -> str:
    """Losses in words, the first few of them."""
    return listed([f"{each} lost" for each in losses])


def listed(texts: Sequence[str]) -> str:
    """The first few, and how many more there are."""
    more = len(texts) - NAMED
    return "; ".join(texts[:NAMED]) + (f"; and {more} more" if more > 0 else "")


def counted(number: int, what: str) -> str:
    """A number with its noun."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def shortened(text: str) -> str:
    """The beginning of a long line."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
