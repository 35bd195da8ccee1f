"""report.md: verdict, table and what isn't passed, for a comment on a pull request or a job's summary."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pytest_prodready.reports import details, places
from pytest_prodready.reports.collect import Payload, TargetReport
from pytest_prodready.reports.trees import plan_trees, tree_lines

ACTIVE = re.compile(r"([\\`*_{}\[\]<>#|~&])")
CODE = ("evidence", "timeline", "again")


def markdown(report: TargetReport, errors: Sequence[str]) -> str:
    """The whole file."""
    seen = [verdict for verdict in details.MARKS if report.counts()[verdict]]
    blocks = [
        f"# {plain(report.name)}: {plain(details.verdict_line(report, errors))}",
        *(_code(text) for text in errors),
        "\n".join(
            [
                f"| suite | {' | '.join(seen)} |",
                f"|---|{'---:|' * len(seen)}",
                *(_row(report, suite, seen) for suite in report.suites),
            ]
        ),
        *(_finding(each) for each in details.open_findings(report)),
        *_missing(report),
        plain(report.time.line),
    ]
    return "\n\n".join(blocks) + "\n"


def plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    return ACTIVE.sub(r"\\\1", " ".join(text.split()))


def _row(report: TargetReport, suite: str, seen: Sequence[str]) -> str:
    return f"| {suite} | {' | '.join(str(report.counts(suite)[verdict] or '') for verdict in seen)} |"


def _finding(each: Payload) -> str:
    title, right = details.heading(each)
    evidence = [("evidence", places.measurement(name)) for name in each["evidence"]]
    told = [
        f"- {label}: {_inline(text) if label in CODE else plain(text)}"
        for label, text in details.lines(each, evidence)
    ]
    plans = [_code("\n".join(tree_lines(tree))) for tree in plan_trees(each["evidence"])]
    return "\n".join([f"## {plain(title)}", "", plain(right), "", *told, *(f"\n{plan}" for plan in plans)])


def _missing(report: TargetReport) -> list[str]:
    found, others = details.wanted(report), details.unproven(report)
    told = [f"## {details.UNPROVEN}", _list(others)] if others else []
    if not found.needs:
        return told
    needs = _list(found.needs)
    return [
        *told,
        "## Not configured, so not tried",
        needs,
        details.ADD,
        _code("\n".join(found.lines), "toml"),
    ]


def _list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {plain(each)}" for each in lines)


def _inline(text: str) -> str:
    fence = "``" if "`" in text else "`"
    return f"{fence}{text}{fence}"


def _code(text: str, language: str = "") -> str:
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"
