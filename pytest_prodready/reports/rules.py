"""The catalogue as text: for `pytest --prodready-rules` and for docs/rules.md."""

from __future__ import annotations

import textwrap

from pytest_prodready.catalogue import RULES, SUITES
from pytest_prodready.findings import Rule

WIDTH = 100


def rules_text() -> str:
    """Every rule for the terminal, by suite."""
    blocks = []
    for suite, about in SUITES.items():
        blocks.append(f"{suite}: {about}\n")
        blocks += [_entry(rule) for rule in RULES.values() if rule.suite == suite]
    return "\n".join([*blocks, f"{len(RULES)} rules in {len(SUITES)} suites"])


def _entry(rule: Rule) -> str:
    claim = textwrap.fill(rule.claim, WIDTH, initial_indent="      ", subsequent_indent="      ")
    needs = ", ".join(sorted(rule.needs))
    limits = f"      limit: {rule.limits}\n" if rule.limits else ""
    return f"  {rule.id}  ({rule.level})\n{claim}\n{limits}      needs: {needs}\n"


def rules_markdown() -> str:
    """docs/rules.md: every rule with its reason, its method and its remedy."""
    parts = [
        "# The rules",
        "",
        "Made from the catalogue by `python -m pytest_prodready.reports.rules > docs/rules.md`.",
        "A failed *must* or *should* fails the run. A *must* that can't be tried for want of configuration",
        "fails it too; a *should* is then only reported. *Info* never fails.",
    ]
    for suite, about in SUITES.items():
        rules = [rule for rule in RULES.values() if rule.suite == suite]
        parts += ["", f"## {suite}", "", f"{about[0].upper()}{about[1:]}. {len(rules)} rules.", ""]
        for rule in rules:
            parts += _section(rule)
    return "\n".join(parts).rstrip() + "\n"


def _section(rule: Rule) -> list[str]:
    return [
        f"### {rule.id}",
        "",
        f"**{rule.claim}**",
        "",
        f"- Level: {rule.level}. Checklist: {rule.checklist}.",
        f"- Why: {rule.why}",
        f"- How it is verified: {rule.how}",
        f"- What to change: {rule.remedy}",
        *([f"- Limit: `{rule.limits}`"] if rule.limits else []),
        f"- Needs: {', '.join(sorted(rule.needs))}.",
        "",
    ]


if __name__ == "__main__":
    print(rules_markdown(), end="")  # noqa: T201 - this is the command's output
