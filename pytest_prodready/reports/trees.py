"""Plans in the reports: before and after, with the nodes that changed or that are wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MARK, NO_MARK = "▸ ", "  "
LONGEST = 40  # lines of a plan on the terminal
PLANS = "plans"  # the evidence of the explain suite's rules


@dataclass(frozen=True, slots=True)
class Tree:
    """A plan as lines, and the one that it had before where that is another."""

    title: str
    after: tuple[str, ...]
    before: tuple[str, ...] = ()
    marked: frozenset[int] = frozenset()  # lines of `after`


def plan_trees(evidence: Mapping[str, Any]) -> Iterator[Tree]:
    """Every plan in the evidence of a finding."""
    for part in evidence.values():
        found = part.get("trees", ()) if isinstance(part, Mapping) else ()
        for each in found:
            yield Tree(
                title=str(each["title"]),
                after=tuple(each["after"]),
                before=tuple(each["before"]),
                marked=frozenset(each["marked"]),
            )


def tree_lines(tree: Tree, longest: int = LONGEST) -> list[str]:
    """The plan for people: its title, what it was, what it is."""
    lines = [tree.title]
    if tree.before:
        lines += ["before", *_cut([f"{NO_MARK}{line}" for line in tree.before], longest), "now"]
    after = [f"{MARK if number in tree.marked else NO_MARK}{line}" for number, line in enumerate(tree.after)]
    return [*lines, *_cut(after, longest)]


def written(evidence: Mapping[str, Any]) -> list[str]:
    """What this run has changed in the baseline file, a line for each statement."""
    plans = evidence.get(PLANS)
    return [str(line) for line in plans.get("written", ())] if isinstance(plans, Mapping) else []


def _cut(lines: list[str], longest: int) -> list[str]:
    more = len(lines) - longest
    return lines if more <= 0 else [*lines[:longest], f"{NO_MARK}… {more} more lines"]
