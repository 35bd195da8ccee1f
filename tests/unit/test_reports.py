"""report.html and report.md, from literals."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from _pytest._io import TerminalWriter

from pytest_prodready.catalogue import RULES
from pytest_prodready.records import as_data
from pytest_prodready.reports import details, files
from pytest_prodready.reports.collect import TargetReport
from pytest_prodready.reports.html_report import html
from pytest_prodready.reports.markdown_report import markdown, plain
from pytest_prodready.reports.spent import TimeSpent
from pytest_prodready.reports.terminal import summary
from tests.unit.checks.drills import drill

NASTY = '<script>alert("1")</script>\' onload=&quot;'
VOID = {"meta"}
FACTS = {"backend": "processes", "why": "chosen", "versions": {"postgres": "PostgreSQL 18.1"}}


def payload(
    rule: str = "failover.outage-is-survived", verdict: str = "passed", **changes: Any
) -> dict[str, Any]:
    """A finding as it travels."""
    return {
        "rule": rule,
        "claim": "It survives.",
        "verdict": verdict,
        "level": "must",
        "checklist": "14. Failover and recovery",
        "summary": "131 x 503",
        "limit": "503 within 1 s",
        "limits": {},
        "limit_keys": "[failover] refuse_within_s",
        "why": "It must stay short.",
        "change": "" if verdict == "passed" else "Answer 503.",
        "evidence": {},
        "missing": [],
        "waived_by": "",
        "fails": verdict in ("failed", "inconclusive"),
        "duration_s": 8.0,
        "time": {"waiting_s": 7.0},
        "reproduce": 'pytest "prodready.toml::failover::test_outage_is_survived"',
        "nodeid": "prodready.toml::failover::test_outage_is_survived",
        "target": "/shop/prodready.toml",
        "name": "shop",
        "environment": FACTS,
        **changes,
    }


def report(*findings: dict[str, Any]) -> TargetReport:
    """A report of these findings."""
    spent = TimeSpent.of(10.0, [{"work_s": 10.0, "waiting_s": 7.0}])
    began = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    return TargetReport(Path("/shop/prodready.toml"), findings or (payload(),), began, 10.0, spent)


class Page(HTMLParser):
    """What a page holds: elements, text, and what it would load or run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.attributes: list[tuple[str, str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element without content."""
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Hold each end to its beginning."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.text += data


def printed(found: TargetReport) -> str:
    """What the terminal tells, each line by itself and unwrapped."""
    told = io.StringIO()
    writer = TerminalWriter(told)
    writer.fullwidth = 200

    class Terminal:
        """As much of pytest's as is written to."""

        _tw = writer
        section = staticmethod(lambda title, **_: writer.sep("=", title))
        write = staticmethod(writer.write)
        write_line = staticmethod(writer.line)

    summary(Terminal(), [found], "run", ())
    return told.getvalue()


def test_what_is_not_passed_comes_first() -> None:
    """A failure is told before the list of all rules, in the terminal's words."""
    page = Page(html(report(payload(), payload("pool.bounded", "failed", summary="it grew")), ()))
    assert not page.open
    assert page.text.index("Not passed") < page.text.index("it grew") < page.text.index("All rules")
    for words in (
        "NOT READY: 2 rules: 1 passed, 1 failed.",
        "seen",
        "limit",
        "why",
        "change",
        "again",
        "Answer 503.",
    ):
        assert words in page.text
    assert "PostgreSQL 18.1" in page.text


def test_a_ready_page_has_nothing_that_is_not_passed() -> None:
    """Where all passed, the verdict says so and no such heading stands there."""
    page = Page(html(report(), ()))
    assert "ready for production" in page.text
    assert "Not passed" not in page.text


def test_errors_are_told() -> None:
    """What keeps a run from judging stands on the page, and makes it not ready."""
    page = Page(html(report(), ["the <environment> could not be started"]))
    assert "the <environment> could not be started" in page.text
    assert "NOT READY" in page.text


@pytest.mark.parametrize("verdict", ["passed", "failed", "inconclusive", "waived"])
def test_everything_is_escaped(verdict: str) -> None:
    """Text from anywhere stays text: no element and no attribute comes of it."""
    names = (
        "summary",
        "claim",
        "why",
        "change",
        "limit",
        "limit_keys",
        "waived_by",
        "reproduce",
        "checklist",
    )
    evidence = {f"m{NASTY}": as_data(replace(drill(), name=NASTY, fault=NASTY))}
    facts = {**FACTS, "why": NASTY, "versions": {"postgres": NASTY}}
    nasty = payload(
        verdict=verdict, **dict.fromkeys(names, NASTY), name=NASTY, evidence=evidence, environment=facts
    )
    page = Page(html(report(nasty), [NASTY]))
    assert "script" not in page.tags
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert page.text.count(NASTY) > 5


def test_nothing_is_loaded_from_elsewhere() -> None:
    """The page is one file: no script, no link to fetch, no address of another host."""
    finding = payload(verdict="failed", evidence={"drill_outage": as_data(drill())})
    text = html(report(finding), ())
    page = Page(text)
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    hrefs = {value for _, name, value in page.attributes if name in ("href", "src")}
    assert hrefs == {
        "measurements/drill_outage.json",
        "measurements/drill_outage.svg",
        "#timeline-drill_outage",
    }
    assert "url(" not in text
    assert "@import" not in text


def test_a_drill_is_drawn_once() -> None:
    """Two rules by one drill share its picture, with a link from the second."""
    evidence = {"drill_promotion": as_data(drill())}
    two = [
        payload(rule, evidence=evidence)
        for rule in ("failover.promotion-is-followed", "failover.promotion-loses-nothing")
    ]
    page = Page(html(report(*two), ()))
    assert page.tags.count("svg") == 1
    assert "timeline of drill" in page.text


def test_other_reasons_are_told_with_what_to_do() -> None:
    """What is unverified for want of something else says what to do, once for all that share it."""
    install = {"verdict": "unverified", "change": "Install it."}
    rule = RULES["load.no-slower-than-before"]
    found = (
        *(payload(f"load.{name}", **install) for name in ("stays-up", "recovers", "goodput-holds", "x")),
        payload("migration.x", "unverified", change="Install squawk."),
        payload(rule.id, "unverified", summary="nothing to compare with: save one", change=rule.remedy),
        payload("pool.bounded", "unverified", missing=["pool"], change="Bound the pool."),
    )
    for text in (Page(html(report(*found), ())).text, markdown(report(*found), ()), printed(report(*found))):
        for line in (
            "4 rules of load: Install it.",
            "migration.x: Install squawk.",
            "load.no-slower-than-before: nothing to compare with: save one",
        ):
            assert text.count(line) == 1, text
        assert "Bound the pool." not in text.partition("All rules")[0]
        assert details.UNPROVEN not in markdown(report(payload()), ())


def test_missing_configuration_is_told_with_its_lines() -> None:
    """What isn't configured stands there with the lines to add."""
    found = payload("pool.bounded", "unverified", missing=["pool"])
    for text in (Page(html(report(found), ())).text, markdown(report(found), ())):
        assert "[pool]" in text
        assert "1 rule needs pool (1 must)" in text


def test_waivers_have_their_table() -> None:
    """Who accepted what, and why, stands on the page."""
    page = Page(html(report(payload(verdict="waived", waived_by="until the rewrite (Ada)")), ()))
    assert "Waived and bypassed" in page.text
    assert "until the rewrite (Ada)" in page.text


def test_where_the_time_went() -> None:
    """The page has the shares, and the seconds of each suite."""
    page = Page(html(report(), ()))
    assert "70 % waiting that scenarios need" in page.text
    assert "30 % the gate itself" in page.text


def test_markdown_escapes() -> None:
    """Text from anywhere makes neither markup nor a row of a table."""
    text = markdown(report(payload(verdict="failed", summary=f"a | b\n# {NASTY} `x`")), ())
    assert "<script" not in text.replace(r"\<script", "")
    assert "\n# \\<" not in text
    assert plain("a*b_c|d") == r"a\*b\_c\|d"
    assert text.startswith("# shop: NOT READY: 1 rule: 1 failed.")


def test_all_files_of_a_report(tmp_path: Path) -> None:
    """Three reports lie in the run's folder, and a picture beside the measurement of each drill."""
    finding = payload(evidence={"drill_outage": as_data(drill()), "other": {"count": 1}})
    files.write(replace(report(finding), path=tmp_path / "prodready.toml"), "r1", ())
    folder = tmp_path / ".prodready" / "runs" / "r1"
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert found == {"report.json", "report.html", "report.md", "measurements/drill_outage.svg"}
