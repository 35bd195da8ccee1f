"""What a suite is written with: `proves` ties a test to its rule, `conclude` hands in the finding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import pytest

from pytest_prodready.catalogue import RULES
from pytest_prodready.findings import Finding, Rule
from pytest_prodready.names import RULE_MARK

Test = TypeVar("Test", bound=Callable[..., None])


class Conclude(Protocol):
    """Hands in the finding of a rule; the test then passes, fails or is skipped by its verdict."""

    def __call__(self, finding: Finding) -> None:
        """Record the finding and end the test by its verdict."""


def proves(rule_id: str) -> Callable[[Test], Test]:
    """Mark a test as the proof of this rule; KeyError when the catalogue has no such rule."""
    rule = RULES[rule_id]
    marks: list[Any] = [
        getattr(pytest.mark, RULE_MARK)(rule.id),
        getattr(pytest.mark, rule.suite),
        pytest.mark.readiness,
    ]

    def mark(test: Test) -> Test:
        # Each function is marked by itself: a module's pytestmark would leak through star imports.
        for each in marks:
            test = each(test)
        return test

    return mark


def rule_of(item: pytest.Item) -> Rule | None:
    """The rule that a test proves; None for any other test."""
    mark = item.get_closest_marker(RULE_MARK)
    return None if mark is None else RULES[mark.args[0]]
