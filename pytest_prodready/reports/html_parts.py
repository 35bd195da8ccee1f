"""Pieces of report.html: everything that is told is escaped here, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from pytest_prodready.catalogue import RULES
from pytest_prodready.reports import details, places
from pytest_prodready.reports.collect import Payload, TargetReport, told
from pytest_prodready.reports.pictures import Picture, pictures
from pytest_prodready.reports.spent import WORDS, Seconds, TimeSpent, by_suite, shares
from pytest_prodready.reports.trees import plan_trees, tree_lines

LONGEST_PLAN = 400  # lines


def tag(name: str, content: str, class_: str = "", **attributes: str) -> str:
    """An element around markup; attributes are escaped."""
    given = {"class": class_, **attributes}
    attached = "".join(f' {key}="{escape(value)}"' for key, value in given.items() if value)
    return f"<{name}{attached}>{content}</{name}>"


def words(name: str, text: object, class_: str = "") -> str:
    """An element around plain text."""
    return tag(name, escape(str(text)), class_)


def table(head: Sequence[str], rows: Iterable[Sequence[object]], class_: str = "") -> str:
    """A table of plain text; the first column names the row."""
    top = tag("tr", "".join(words("th", each) for each in head))
    body = "".join(
        tag("tr", words("th", row[0]) + "".join(words("td", each) for each in row[1:])) for row in rows
    )
    return tag("div", tag("table", tag("thead", top) + tag("tbody", body)), f"wide {class_}".strip())


def pairs(found: Iterable[tuple[str, str]]) -> str:
    """Labels and markup, one below the other."""
    return tag("dl", "".join(words("dt", label) + tag("dd", markup) for label, markup in found))


def about(facts: Mapping[str, object], report: TargetReport) -> str:
    """What was judged, on what, and when."""
    names = {"postgres": "PostgreSQL", "redis": "Redis", "faultproxy": "fault proxy", "engine": "engine"}
    servers = [
        (words_, str(version["version"]))
        for key, words_ in names.items()
        if isinstance(version := facts[key], Mapping)
    ]
    found = [
        ("target", str(report.path)),
        ("backend", f"{facts['backend']}: {facts['why']}"),
        *servers,
        ("machine", f"Python {facts['python']}, {facts['cpus']} CPUs"),
        ("started", f"{report.started:%Y-%m-%d %H:%M:%S %Z}"),
    ]
    return pairs((label, escape(text)) for label, text in found)


def suite_counts(report: TargetReport) -> str:
    """How many rules of each suite have which verdict."""
    seen = [verdict for verdict in details.MARKS if report.counts()[verdict]]
    rows = [(suite, *(report.counts(suite)[verdict] or "" for verdict in seen)) for suite in report.suites]
    return table(("suite", *seen), rows, "numbers")


class Drawn:
    """The timelines of a page: each is drawn once, where it is first asked for; later ones lead there."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def of(self, each: Payload) -> str:
        """The timelines of a finding."""
        return "".join(self._figure(picture) for picture in pictures(each["evidence"]))

    def _figure(self, picture: Picture) -> str:
        name = picture.name
        if name in self._names:
            return tag("p", tag("a", escape(f"timeline of {picture.shows}"), href=f"#timeline-{name}"))
        self._names.add(name)
        return tag("figure", picture.draw(), "timeline", id=f"timeline-{name}")


def finding(each: Payload, drawn: Drawn) -> str:
    """One that isn't passed, in the terminal's words, with its timelines."""
    title, right = details.heading(each)
    head = tag("header", words("h3", title) + words("p", right, "level"))
    body = pairs((label, _text(label, text)) for label, text in details.lines(each, _evidence(each)))
    shown = body + plans(each) + drawn.of(each)
    return tag("article", head + shown, told(each), id=str(each["rule"]))


def plans(each: Payload) -> str:
    """The plans of a finding, before and after."""
    found = (tree_lines(tree, LONGEST_PLAN) for tree in plan_trees(each["evidence"]))
    return "".join(tag("pre", words("code", "\n".join(lines)), "plan") for lines in found)


def missing(report: TargetReport) -> str:
    """What isn't configured, with the lines to add, and what else is unverified; empty where all is."""
    return _unproven(report) + _unconfigured(report)


def _unproven(report: TargetReport) -> str:
    found = details.unproven(report)
    return tag("article", words("h3", f"? {details.UNPROVEN}") + _list(found), "unverified") if found else ""


def _unconfigured(report: TargetReport) -> str:
    found = details.wanted(report)
    if not found.needs:
        return ""
    needs = _list(found.needs)
    config = tag("pre", words("code", "\n".join(found.lines)))
    body = words("h3", "? Not configured, so not tried") + needs + words("p", details.ADD) + config
    return tag("article", body, "unverified")


def _list(lines: Iterable[str]) -> str:
    return tag("ul", "".join(words("li", each) for each in lines))


def accepted(report: TargetReport) -> str:
    """Waivers and bypasses: which rules, by whom and why; empty without any."""
    rows = [
        (each["rule"], each["waived_by"], each["summary"])
        for each in report.findings
        if each["verdict"] == "waived"
    ]
    return words("h2", "Waived and bypassed") + table(("rule", "accepted", "seen"), rows) if rows else ""


def suite(name: str, report: TargetReport, drawn: Drawn) -> str:
    """Every rule of one suite with its line of evidence; more on demand."""
    mine = [each for each in report.findings if each["rule"].partition(".")[0] == name]
    counts = report.counts(name)
    told_ = ", ".join(f"{counts[verdict]} {verdict}" for verdict in details.MARKS if counts[verdict])
    head = tag("summary", words("strong", name) + " " + words("span", told_, "level"))
    return tag("details", head + "".join(_rule(each, drawn) for each in mine), "suite")


def _rule(each: Payload, drawn: Drawn) -> str:
    verdict = told(each)
    rule = RULES.get(each["rule"])
    found = [
        ("claim", escape(each["claim"])),
        ("limit", escape("    ".join(part for part in (each["limit"], each["limit_keys"]) if part))),
        ("why", escape(each["why"])),
        ("how", escape(rule.how if rule else "")),
        *((label, _text(label, path)) for label, path in _evidence(each)),
        ("again", _text("again", each["reproduce"])),
        ("took", escape(f"{each['duration_s']:.1f} s")),
    ]
    head = (
        words("span", details.MARKS[verdict], f"mark {verdict}")
        + words("span", verdict, "aside")
        + words("code", each["rule"].partition(".")[2])
        + words("span", each["summary"], "seen")
    )
    body = pairs((label, markup) for label, markup in found if markup) + plans(each) + drawn.of(each)
    return tag("details", tag("summary", head) + body, "rule")


def _evidence(each: Payload) -> list[tuple[str, str]]:
    """The files of a finding as seen from the report, which lies in the run's folder."""
    found = [("evidence", places.measurement(name)) for name in each["evidence"]]
    return [*found, *(("timeline", places.picture(drawn.name)) for drawn in pictures(each["evidence"]))]


def _text(label: str, text: str) -> str:
    if label in ("evidence", "timeline"):
        return tag("a", escape(text), href=text)
    return words("code", text) if label == "again" else escape(text)


def time(spent: TimeSpent, report: TargetReport) -> str:
    """Where the time went, of the whole run and by suite."""
    kinds = [kind for kind in WORDS if spent.by_kind.get(kind, 0.0) >= 0.05]
    rows = [_time_row(suite, parts, kinds) for suite, parts in by_suite(report.findings).items()]
    whole = _time_row("the whole run", spent.by_kind, kinds)
    heads = ("seconds of", "all", *(WORDS[kind] for kind in kinds))
    note = (
        "A suite's seconds are those of its rules until their verdicts; the first rule of each worker starts"
        " the servers. The whole run has collection and the last clearing up besides."
    )
    seen = _shares(spent.by_kind) + words("p", f"{spent.whole}.")
    return seen + table(heads, [*rows, whole], "numbers") + words("p", note, "note")


def _time_row(name: str, parts: Seconds, kinds: Sequence[str]) -> tuple[str, ...]:
    return (name, f"{sum(parts.values()):.1f}", *(f"{parts[kind]:.1f}" for kind in kinds))


def _shares(by_kind: Seconds) -> str:
    """All of the time as one bar, cut by its kinds, with a key."""
    cuts, key = [], []
    for kind, share in shares(by_kind).items():
        cuts.append(tag("span", "", f"spent {kind}", style=f"flex-grow:{share}"))
        key.append(tag("li", tag("span", "", f"spent {kind}") + escape(f"{share} % {WORDS[kind]}")))
    bar = tag("div", "".join(cuts), "time", **{"aria-hidden": "true"})
    return bar + tag("ul", "".join(key), "key")
