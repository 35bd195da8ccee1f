"""Every rule is complete: data, suite test, specimen, documentation."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from pytest_prodready.catalogue import RULES, SUITES
from pytest_prodready.findings import Rule
from pytest_prodready.reports.rules import rules_markdown, rules_text
from tests.gate import node_ids

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.id)
def test_rule_says_everything(rule: Rule) -> None:
    """Claim, reason, method and remedy are sentences, and it names what it needs."""
    assert all(text.strip() for text in (rule.claim, rule.why, rule.how, rule.remedy, rule.checklist))
    assert all(text.endswith(".") for text in (rule.claim, rule.why, rule.how))
    assert rule.needs
    assert rule.suite in SUITES


def test_every_rule_has_a_test() -> None:
    """Each rule is proven by one test of its suite, in the catalogue's order."""
    assert list(node_ids()) == list(RULES)


def test_suite_tests_say_what_they_claim() -> None:
    """Each test of a suite has a docstring of one sentence."""
    for suite in SUITES:
        module = importlib.import_module(f"pytest_prodready.suites.test_{suite}")
        for name, test in vars(module).items():
            if name.startswith("test_"):
                assert test.__doc__, f"{suite}: {name}"


def test_listing_names_every_rule() -> None:
    """`pytest --prodready-rules` shows all of them."""
    text = rules_text()
    assert all(rule_id in text for rule_id in RULES)


def test_documentation_is_current() -> None:
    """docs/rules.md is what the catalogue says now; `make docs` writes it."""
    assert (ROOT / "docs" / "rules.md").read_text() == rules_markdown()
