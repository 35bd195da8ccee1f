"""What the checks of statements have in common: which plans they judge, doubts, and words for them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_prodready.checks.explain_accepted import accepted
from pytest_prodready.findings import Finding, Rule
from pytest_prodready.probes.plan_text import figured
from pytest_prodready.probes.plan_tree import Node
from pytest_prodready.probes.plans import Explained, Mode, Plans, Statement
from pytest_prodready.settings import ExplainSettings

NAMED = 3  # problems in one line; the others are in the evidence
LONGEST = 100  # of a statement in a line
SELECTED = re.compile(r"^(SELECT(?: DISTINCT)?) .{30,}? (FROM )", re.IGNORECASE)
PARENS = re.compile(r"\((?:\$\d+(?:, ?)?){3,}[^()]*\)")


@dataclass(frozen=True, slots=True)
class Judged:
    """One plan of one statement."""

    statement: Statement
    explained: Explained
    root: Node

    @property
    def analyzed(self) -> bool:
        """Whether it was run, so that it has rows and buffers."""
        return self.explained.analyzed


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one plan, the node that it is wrong with, and what to do."""

    judged: Judged
    words: str
    change: str = ""
    node: Node | None = None


def judged(plans: Plans, mode: Mode | None = None) -> tuple[Judged, ...]:
    """Every plan of this mode; without one, those that the server makes first for each statement."""
    return tuple(each for statement in plans.statements for each in _of_one(statement, mode))


def _of_one(statement: Statement, mode: Mode | None) -> Iterator[Judged]:
    known = [each for each in statement.plans if each.plan]
    wanted = mode or ("custom" if any(each.mode == "custom" for each in known) else "generic")
    made = (Judged(statement, each, Node.parse(each.plan)) for each in known if each.mode == wanted)
    return (each for each in made if not _of_catalogue(each.root))


def _of_catalogue(root: Node) -> bool:
    """Whether it reads PostgreSQL's own catalogue alone, as drivers do once for each connection."""
    schemas = {scan.text("Schema") for scan in root.scans()}
    return bool(schemas) and schemas <= {"pg_catalog", "information_schema"}


def analyzed(plans: Plans) -> tuple[Judged, ...]:
    """Those that were run."""
    return tuple(each for each in judged(plans) if each.analyzed)


def unknown(rule: Rule, plans: Plans, details: Mapping[str, Any], *, rows: bool = True) -> Finding | None:
    """Why nothing can be told about any plan; None where it can. With `rows` one must have been run."""
    if plans.doubt:
        return rule.inconclusive(plans.doubt, **details)
    if not plans.statements:
        return rule.inconclusive("no statement was captured", **details)
    every = judged(plans)
    if not every:
        return rule.inconclusive(f"no statement has a plan: {_first_reason(plans)}", **details)
    # What a function or a constraint runs was run while the service was asked, on whatever rows there were.
    own = [each for each in every if not each.statement.nested] or list(every)
    if not rows or any(each.analyzed for each in own):
        return None
    if all(each.explained.data == "statistics" for each in own):
        return rule.unverified(
            "production's statistics alone tell no rows: add [explain] seed or rows", **details
        )
    return rule.inconclusive(f"no statement could be run: {_first_reason(plans)}", **details)


def _first_reason(plans: Plans) -> str:
    reasons = [
        each.skipped or plan.error
        for each in plans.statements
        for plan in each.plans or (Explained("custom", "rows"),)
    ]
    return next((reason for reason in reasons if reason), "PostgreSQL's own catalogue is all that was read")


def concluded(  # noqa: PLR0913 (the parts of a finding)
    rule: Rule,
    plans: Plans,
    problems: Sequence[Problem],
    passed: str,
    details: Mapping[str, Any],
    *,
    limits: ExplainSettings,
    rows: bool = True,
) -> Finding:
    """Failed with these problems, or passed with what was looked at; what wasn't is said, or was accepted."""
    fine = accepted(rule, plans, limits, (each.judged.statement.text for each in problems))
    problems = [each for each in problems if each.judged.statement.text not in fine.texts]
    note = f"{fine.note}{_left_out(plans, rows=rows)}"
    details = {**details, "evidence": evidence(trees=[tree(each) for each in problems])}
    if not problems:
        return rule.passed(f"{passed}{note}", **details)
    of = counted(len(statements_of(plans, rows=rows)), "statement")
    hit = len({each.judged.statement.text for each in problems})
    words = listed([f"{who(each.judged)}: {each.words}" for each in problems])
    change = "; ".join(dict.fromkeys(each.change for each in problems if each.change))
    return rule.failed(f"{hit} of {of}: {words}{note}", change=change, **details)


def statements_of(plans: Plans, *, rows: bool) -> set[str]:
    """The texts of the statements that were judged."""
    return {each.statement.text for each in (analyzed(plans) if rows else judged(plans))}


def _left_out(plans: Plans, *, rows: bool) -> str:
    """How many statements that have a plan could not be judged, as an addition to a summary."""

    def known(statement: Statement) -> bool:
        return any(plan.analyzed if rows else plan.plan for plan in statement.plans)

    missing = sum(not (each.skipped or each.nested or known(each)) for each in plans.statements)
    return f"; {counted(missing, 'statement')} not judged, see explain.statements-captured" if missing else ""


def evidence(**parts: Any) -> dict[str, Any]:
    """What of the measurement a report shows for one rule; all of it is in the run's folder."""
    return {"plans": {name: part for name, part in parts.items() if part}}


def tree(problem: Problem) -> dict[str, Any]:
    """The plan for the reports, with the line of the node that is wrong."""
    root = problem.judged.root
    marked = [number for number, node in enumerate(root.nodes()) if node is problem.node]
    return {
        "title": f"{problem.judged.statement.who}: {short(problem.judged.statement.text, 1000)}",
        "before": [],
        "after": list(figured(root)),
        "marked": marked,
    }


def who(each: Judged) -> str:
    """Who runs it, and the statement: "list (3 calls), SELECT … FROM jobs WHERE region = $1"."""
    return f"{callers(each.statement)}, {short(each.statement.text)}"


def callers(statement: Statement) -> str:
    """The requests that run it, with the number of calls where there are several."""
    names = [
        f"{source.name} ({source.calls} calls)" if source.calls > 1 else source.name
        for source in statement.sources
    ]
    return f"{', '.join(names[:NAMED])}{' …' if len(names) > NAMED else ''}" or "nobody"


def short(text: str, longest: int = LONGEST) -> str:
    """A statement in a line: without the list of columns and of many values, and cut at its end."""
    line = SELECTED.sub(r"\1 … \2", " ".join(text[: longest * 50].split()))
    line = PARENS.sub("(…)", line)
    return line if len(line) <= longest else f"{line[: longest - 2]} …"


def counted(number: int, noun: str) -> str:
    """A number with its noun: "1 statement", "1,200 rows"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def listed(words: Iterable[str]) -> str:
    """The first few of them, and how many more there are."""
    every = list(words)
    more = f"; and {len(every) - NAMED} more" if len(every) > NAMED else ""
    return "; ".join(every[:NAMED]) + more


def rows_of(plans: Plans, relation: str, schema: str = "") -> int | None:
    """How many rows a table has where the plans were made; None where nobody counted them."""
    names = {relation, f"{schema}.{relation}"}
    return next((table.rows for table in plans.tables if table.name in names), None)
