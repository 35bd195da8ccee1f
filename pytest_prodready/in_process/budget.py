"""Judge the plans of what a test ran by the limits of its marker, with the checks of the explain suite."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

import pytest
from pydantic import ValidationError

from pytest_prodready.checks.explain_budget import buffers_within_budget
from pytest_prodready.checks.explain_estimates import estimates_hold
from pytest_prodready.checks.explain_nodes import no_spill
from pytest_prodready.checks.explain_rows import no_large_seq_scan, no_repeated_scan, rows_examined
from pytest_prodready.errors import ConfigError
from pytest_prodready.findings import Finding, Verdict
from pytest_prodready.in_process.explaining import Explaining, Seen
from pytest_prodready.in_process.marks import EXPLAIN_BUDGET, written
from pytest_prodready.in_process.places import Place
from pytest_prodready.in_process.repeated import shortened
from pytest_prodready.probes.plan_baseline import Baseline
from pytest_prodready.probes.plan_text import figured
from pytest_prodready.probes.plan_tree import Node
from pytest_prodready.probes.plans import Explained, Plans, Source, Statement, TableSize
from pytest_prodready.settings import ExplainSettings

Check = Callable[[Plans, ExplainSettings], Finding]
LIMITS: Mapping[str, Check] = {
    "buffers": lambda seen, limits: buffers_within_budget(seen, limits, Baseline(found=False)),
    "examined_per_row": rows_examined,
    "seq_scan": no_large_seq_scan,
    "loops": no_repeated_scan,
    "estimate_error": estimates_hold,
    "spill": no_spill,
}
OFF = ("seq_scan", "spill")  # what may only be forbidden
BELONGS = {
    "examined_rows": ("examined_per_row", "estimate_error", "seq_scan"),
    "large_table_rows": ("seq_scan",),
}
WITHOUT_RUNNING = ("seq_scan", "loops", "spill")  # can be told of a statement that was only planned


@dataclass(frozen=True, slots=True)
class Budget:
    """What a test's statements may cost."""

    names: tuple[str, ...]  # of the limits, as the marker has them
    settings: ExplainSettings
    marker: str

    @property
    def count_to(self) -> int:
        """How many rows of a table have to be counted, so that it is known to be large."""
        return self.settings.large_table_rows if "seq_scan" in self.names else 0


def budget(item: pytest.Item) -> Budget | None:
    """What the test's marker says; None without one, ConfigError where it can't be read."""
    mark = item.get_closest_marker(EXPLAIN_BUDGET)
    if mark is None:
        return None
    problem, remedy = _wrong(mark)
    if not problem:
        given = {name: value for name, value in mark.kwargs.items() if name not in OFF}
        try:
            settings = ExplainSettings.model_validate(given, strict=True)
            return Budget(tuple(name for name in LIMITS if name in mark.kwargs), settings, written(mark))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            problem = f"{EXPLAIN_BUDGET}'s {first['loc'][0]}: {first['msg'][:1].lower()}{first['msg'][1:]}"
    raise ConfigError(problem, value=written(mark), source=item.nodeid, remedy=remedy or None)


def _wrong(mark: pytest.Mark) -> tuple[str, str]:
    """What is wrong with the marker's arguments, and what to do; empty where nothing is."""
    known = (*LIMITS, *BELONGS)
    listed = f"known are {', '.join(known)}"
    if mark.args:
        return f"{EXPLAIN_BUDGET} takes its limits by name", listed
    for name, value in mark.kwargs.items():
        if name not in known:
            nearest = get_close_matches(name, known, n=1)
            hint = f"did you mean {nearest[0]}? {listed}" if nearest else listed
            return f"{EXPLAIN_BUDGET} knows no {name}", hint
        if name in OFF and value is not False:
            return f"{EXPLAIN_BUDGET}'s {name} can only be forbidden", f"write {name}=False, or leave it out"
        if name in BELONGS and not set(BELONGS[name]) & mark.kwargs.keys():
            whose = " or ".join(BELONGS[name])
            return f"{EXPLAIN_BUDGET}'s {name} says nothing by itself", f"add {whose}, or remove it"
    if not mark.kwargs:
        return f"{EXPLAIN_BUDGET} limits nothing", f"name at least one limit: {', '.join(LIMITS)}"
    return "", ""


def judged(given: Budget, explaining: Explaining, folder: Path) -> tuple[str, str]:
    """Why the test fails, empty where it doesn't; and what could not be judged, which doesn't fail it."""
    statements = [_statement(seen, folder) for seen in explaining.statements.values()]
    left_out = [line for each in statements for line in _left_out(each)]
    if problem := _nothing(statements, explaining, left_out):
        return f"{given.marker}: nothing was checked\n  {problem}", ""
    tables = tuple(TableSize(_plain(name), rows, 0) for name, rows in explaining.tables.items())
    failures = [*_unchecked(given, statements, tables)]
    failures += [line for each in statements for line in _over(given, each, tables)]
    failures += [line for seen in explaining.statements.values() for line in _unexplained(seen, folder)]
    if not failures:
        return "", "\n".join(left_out)
    return "\n".join([f"{given.marker} isn't held", *failures, *left_out]), ""


def _statement(seen: Seen, folder: Path) -> Statement:
    sources = []
    for noted, calls in seen.calls.most_common():
        where = "a line that can't be told" if isinstance(noted, int) else Place.of(noted).seen_from(folder)
        sources.append(Source(where, calls))
    return Statement(
        text=seen.text,
        example=seen.text,
        sources=tuple(sources),
        plans=tuple(seen.plans),
        skipped=seen.why,
        milliseconds=seen.slowest_s * 1000,
    )


def _place(statement: Statement) -> str:
    """The line that runs it most often."""
    return statement.sources[0].name


def _plain(name: str) -> str:
    """A table's name as plans tell it: public.jobs."""
    return ".".join(part.replace('""', '"') for part in re.findall(r'"((?:[^"]|"")*)"', name))


def _nothing(statements: list[Statement], explaining: Explaining, left_out: list[str]) -> str:
    """Why no plan at all is there to be judged."""
    if any(plan.plan for each in statements for plan in each.plans):
        return ""
    if not statements and explaining.others:
        others = ", ".join(f"{count} on {name}" for name, count in explaining.others.items())
        return f"budgets need PostgreSQL, and this test's statements ran elsewhere: {others}"
    if not statements:
        return (
            "no SQLAlchemy engine of this process ran a statement during the test (its fixtures don't count)"
        )
    return "\n  ".join(["none of its statements has a plan", *left_out])


def _unchecked(given: Budget, statements: list[Statement], tables: tuple[TableSize, ...]) -> Iterator[str]:
    """The limits that could be held against nothing."""
    for name in given.names:
        if not any(_tells(plan, name) for each in statements for plan in each.plans):
            yield f"  {name}: nothing was checked, for none of its statements could be run"
        elif name == "seq_scan" and (small := _too_small(tables, given.settings)):
            yield f"  seq_scan: nothing was checked, {small}"


def _over(given: Budget, statement: Statement, tables: tuple[TableSize, ...]) -> Iterator[str]:
    """What is wrong with a statement: each limit that isn't held, and the plans that show it."""
    shown: list[Explained] = []
    for name in given.names:
        if (found := _broken(name, given.settings, statement, tables)) is None:
            continue
        finding, plan = found
        shown += [] if plan in shown else [plan]
        yield f"  {name}: {finding.summary.removeprefix('1 of 1 statement: ')}"
        yield f"      limit   {finding.limit}"
        yield f"      change  {finding.remedy}"
    for plan in shown:
        yield f"      {shortened(statement.text)}"
        yield from (f"        {line}" for line in figured(Node.parse(plan.plan)))


def _broken(
    name: str, settings: ExplainSettings, statement: Statement, tables: tuple[TableSize, ...]
) -> tuple[Finding, Explained] | None:
    """The first of a statement's plans that doesn't hold a limit; None where all do."""
    for plan in statement.plans:
        if _tells(plan, name):
            one = Plans(statements=(replace(statement, plans=(plan,)),), tables=tables)
            finding = LIMITS[name](one, settings)
            if finding.verdict is not Verdict.PASSED:
                return finding, plan
    return None


def _tells(plan: Explained, name: str) -> bool:
    return plan.analyzed or (bool(plan.plan) and name in WITHOUT_RUNNING)


def _too_small(tables: tuple[TableSize, ...], settings: ExplainSettings) -> str:
    """Why no sequential scan could have been one of a large table."""
    largest = max(tables, key=lambda table: table.rows, default=None)
    if largest is None:
        return "the test reads no table"
    if largest.rows >= settings.large_table_rows:
        return ""
    return (
        f"the largest table that the test reads, {largest.name}, has {largest.rows:,} rows, and on small ones"
        f" any plan is right: fill it, or lower large_table_rows (it is {settings.large_table_rows:,})"
    )


def _unexplained(seen: Seen, folder: Path) -> Iterator[str]:
    """A statement that only reads and still could not be run is never passed over in silence."""
    for plan in seen.plans:
        if plan.error and not seen.writes:
            place = _place(_statement(seen, folder))
            yield f"  not judged: {place}: {shortened(seen.text)}\n      {plan.error}"


def _left_out(statement: Statement) -> Iterator[str]:
    why = statement.skipped or next((plan.error for plan in statement.plans if plan.error), "")
    if why and not any(_reads_nothing(plan) for plan in statement.plans):
        done = "only planned" if any(plan.plan for plan in statement.plans) else "not judged"
        yield f"  {done}: {_place(statement)}: {shortened(statement.text)}\n      {why}"


def _reads_nothing(plan: Explained) -> bool:
    """Whether it is the plan of something like an INSERT of given values, which has nothing to judge."""
    node = plan.plan.get("Plan")
    return node is not None and all(
        child["Node Type"] in ("Result", "Values Scan") for child in node.get("Plans", ())
    )
