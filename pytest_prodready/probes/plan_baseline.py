"""Plans that a person has accepted: what the baseline file says, and how it is written."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_prodready.probes.plan_text import outline
from pytest_prodready.probes.plan_tree import Node, returned_rows
from pytest_prodready.probes.plans import Explained, Plans, Statement
from pytest_prodready.records import of_schema

SCHEMA = "prodready-plans/1"
LONGEST = 2000  # of a statement in the file
COMMENT = re.compile(r"/\*.*?\*/|--[^\n]*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class AcceptedPlan:
    """The plan of one statement in one mode."""

    mode: str
    data: str
    lines: tuple[str, ...]
    buffers: int | None = None
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class AcceptedStatement:
    """One statement with its plans."""

    text: str
    requests: tuple[str, ...] = ()
    plans: tuple[AcceptedPlan, ...] = ()

    def plan(self, explained: Explained) -> AcceptedPlan | None:
        """The accepted plan of the same mode on the same kind of data."""
        same = (each for each in self.plans if (each.mode, each.data) == (explained.mode, explained.data))
        return next(same, None)


@dataclass(frozen=True, slots=True)
class Baseline:
    """All accepted plans, and what they were made on."""

    server: str = ""  # PostgreSQL's major version
    settings: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, int] = field(default_factory=dict)  # their rows
    statements: tuple[AcceptedStatement, ...] = ()
    found: bool = True
    path: str = "prodready.plans.json"
    written: tuple[str, ...] = ()  # what has changed in the file, where this run has written it

    def statement(self, text: str) -> AcceptedStatement | None:
        """The statement with this text, whatever its comments and spaces."""
        wanted = key(text)
        return next((each for each in self.statements if each.text == wanted), None)


def key(text: str) -> str:
    """A statement as the file names it: in one line, without comments."""
    line = " ".join(COMMENT.sub(" ", text).split())
    if len(line) <= LONGEST:
        return line
    return f"{line[:LONGEST]} … {hashlib.sha256(line.encode()).hexdigest()[:16]}"


def accepted(plans: Plans, path: str) -> Baseline:
    """The baseline that these plans make."""
    statements = {key(each.text): each for each in plans.statements if any(plan.plan for plan in each.plans)}
    return Baseline(
        server=major(plans.server),
        settings=dict(sorted(plans.settings.items())),
        tables={table.name: table.rows for table in sorted(plans.tables, key=lambda table: table.name)},
        statements=tuple(_statement(text, statements[text]) for text in sorted(statements)),
        path=path,
    )


def major(version: str) -> str:
    """The major version of PostgreSQL: "18"."""
    found = re.search(r"\d+", version)
    return found[0] if found else ""


def _statement(text: str, statement: Statement) -> AcceptedStatement:
    plans = tuple(_plan(explained) for explained in statement.plans if explained.plan)
    requests = tuple(sorted({source.name for source in statement.sources}))
    return AcceptedStatement(text, requests, tuple(sorted(plans, key=lambda plan: (plan.mode, plan.data))))


def _plan(explained: Explained) -> AcceptedPlan:
    root = Node.parse(explained.plan)
    ran = explained.analyzed
    return AcceptedPlan(
        mode=explained.mode,
        data=explained.data,
        lines=outline(root),
        buffers=root.buffers if ran else None,
        rows=round(returned_rows(root)) if ran else None,
    )


def as_text(baseline: Baseline) -> str:
    """The file: one line for each node of each plan, in an order that stays."""
    data = {
        "schema": SCHEMA,
        "postgres": baseline.server,
        "settings": dict(baseline.settings),
        "tables": dict(baseline.tables),
        "statements": [
            {
                "statement": each.text,
                "requests": list(each.requests),
                "plans": [
                    {
                        "mode": plan.mode,
                        "data": plan.data,
                        "buffers": plan.buffers,
                        "rows": plan.rows,
                        "plan": list(plan.lines),
                    }
                    for plan in each.plans
                ],
            }
            for each in baseline.statements
        ],
    }
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def parsed(text: str, path: str) -> Baseline:
    """The file read back; raises ValueError for what isn't one."""
    data = of_schema(text, SCHEMA)
    try:
        return Baseline(
            server=str(data["postgres"]),
            settings={str(name): str(value) for name, value in data["settings"].items()},
            tables={str(name): int(rows) for name, rows in data["tables"].items()},
            statements=tuple(_parsed_statement(each) for each in data["statements"]),
            path=path,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _parsed_statement(data: Mapping[str, Any]) -> AcceptedStatement:
    plans = (
        AcceptedPlan(each["mode"], each["data"], tuple(each["plan"]), each["buffers"], each["rows"])
        for each in data["plans"]
    )
    return AcceptedStatement(data["statement"], tuple(data["requests"]), tuple(plans))


def changes(before: Baseline, after: Baseline) -> Iterator[str]:
    """What is another in the second file, a line for each statement."""
    old = {each.text: each for each in before.statements}
    new = {each.text: each for each in after.statements}
    for text, each in new.items():
        if text not in old:
            yield f"added: {text[:100]}"
        elif [plan.lines for plan in old[text].plans] != [plan.lines for plan in each.plans]:
            yield f"changed plan: {text[:100]}"
        elif [plan.buffers for plan in old[text].plans] != [plan.buffers for plan in each.plans]:
            yield f"buffers {_buffers(old[text])} → {_buffers(each)}: {text[:100]}"
    yield from (f"gone: {text[:100]}" for text in old if text not in new)


def _buffers(statement: AcceptedStatement) -> str:
    return "/".join("?" if plan.buffers is None else f"{plan.buffers:,}" for plan in statement.plans)
