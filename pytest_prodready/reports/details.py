"""What is told of a finding that isn't passed, in the words that every report uses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_prodready.catalogue import RULES
from pytest_prodready.findings import Capability
from pytest_prodready.reports.collect import Payload, TargetReport, told
from pytest_prodready.verdicts import lines_to_add

MARKS = {"passed": "✓", "failed": "✗", "advice": "i", "inconclusive": "?", "unverified": "?", "waived": "~"}
OF_A_DATABASE = {
    Capability.ADMIN,
    Capability.FAULT_PROXY,
    Capability.DESTRUCTIVE,
    Capability.SERVER_HBA,
    Capability.SERVER_SETTINGS,
}
OF_A_REDIS = {
    Capability.FAULT_PROXY,
    Capability.REDIS_OPTIONAL,
    Capability.REDIS_DISPENSABLE,
    Capability.REDIS_TLS,
    Capability.DESTRUCTIVE,
}
NAMED = 3  # rules, of those with the same advice
UNPROVEN = "Unverified for want of something else"
REPEATED = 100  # characters of a summary that are told again for each rule
ADD = "Add to prodready.toml, with the values of your service:"


def open_findings(report: TargetReport) -> list[Payload]:
    """What failed, advises or can't tell: each is told at length."""
    first: dict[str, str] = {}
    found = [each for each in report.findings if each["verdict"] in ("failed", "inconclusive")]
    return [_once(each, first.setdefault(each["summary"], each["rule"])) for each in found]


def _once(each: Payload, first: str) -> Payload:
    """The finding; where an earlier one has told the same at length, it leads there."""
    told_before = first != each["rule"] and len(each["summary"]) > REPEATED
    return {**each, "summary": f"the same as {first}, above"} if told_before else each


def heading(each: Payload) -> tuple[str, str]:
    """The rule with its mark, and how much it weighs for which item of the checklist."""
    return f"{MARKS[told(each)]} {each['rule']}", f"{each['level']} · {each['checklist']}"


def lines(each: Payload, evidence: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Everything that is told of it: label and text; `evidence` says where it is to be found."""
    label = "unsure" if each["verdict"] == "inconclusive" else "seen"
    found = [
        (label, each["summary"]),
        ("limit", "    ".join(part for part in (each["limit"], each["limit_keys"]) if part)),
        ("why", each["why"]),
        ("change", each["change"]),
        *evidence,
        ("again", each["reproduce"]),
    ]
    return [(name, text) for name, text in found if text]


def verdict_line(report: TargetReport, errors: Sequence[str]) -> str:
    """The verdict in words: ready or not, and how many rules have which verdict."""
    counts = report.counts()
    total = sum(counts.values())
    parts = [f"{counts[verdict]} {verdict}" for verdict in MARKS if counts[verdict]]
    word = "READY" if report.ready and not errors else "NOT READY"
    return f"{word}: {total} rule{'s' * (total != 1)}: {', '.join(parts)}."


@dataclass(frozen=True, slots=True)
class Wanted:
    """What isn't configured: which capability how many rules need, and the lines that provide all of them."""

    needs: tuple[str, ...]  # the most wanted first
    lines: tuple[str, ...]


def wanted(report: TargetReport) -> Wanted:
    """What keeps rules from being tried; empty where nothing does."""
    rules: Mapping[Capability, list[Payload]] = defaultdict(list)
    for each in report.findings:
        if each["verdict"] == "unverified":
            for capability in really_missing(each["missing"]):
                rules[capability].append(each)
    needs = [
        f"{f'{len(found)} rules need' if len(found) > 1 else '1 rule needs'} {capability}"
        f" ({sum(each['level'] == 'must' for each in found)} must)"
        for capability, found in sorted(rules.items(), key=lambda pair: -len(pair[1]))
    ]
    return Wanted(tuple(needs), tuple(lines_to_add(rules)))


def unproven(report: TargetReport) -> tuple[str, ...]:
    """What to do for rules that lack nothing of prodready.toml: a line for all with the same."""
    names: Mapping[str, list[str]] = defaultdict(list)
    for each in report.findings:
        if each["verdict"] == "unverified" and not each["missing"]:
            names[_advice(each)].append(each["rule"])
    return tuple(f"{_together(rules)}: {advice}" for advice, rules in names.items())


def _advice(each: Payload) -> str:
    """This case's own; the rule's is for one that failed, and what was seen tells more than that."""
    rule = RULES.get(each["rule"])
    own = each["change"] and (rule is None or each["change"] != rule.remedy)
    return str(each["change"] if own else each["summary"])


def _together(rules: Sequence[str]) -> str:
    """The rules' names, or how many there are of which suites."""
    if len(rules) <= NAMED:
        return ", ".join(rules)
    suites = dict.fromkeys(rule.partition(".")[0] for rule in rules)
    return f"{len(rules)} rules of {', '.join(suites)}"


def really_missing(names: Sequence[str]) -> tuple[Capability, ...]:
    """What to add: without what only follows from something else that is missing too."""
    missing = {Capability(name) for name in names}
    if Capability.DATABASE in missing:
        missing -= OF_A_DATABASE
    if Capability.REDIS in missing:
        missing -= OF_A_REDIS
    return tuple(sorted(missing))
