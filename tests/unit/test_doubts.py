"""What makes a run no verdict, from literals; and what of a strange error may be told."""

from __future__ import annotations

import pytest

from pytest_prodready.printable import without_credentials
from pytest_prodready.reports.doubts import doubts
from tests.unit.test_reports import payload, report

PATH = report().path
ID = payload()["nodeid"]


@pytest.mark.parametrize("verdict", ["passed", "waived"])
def test_a_whole_run(verdict: str) -> None:
    """Where all that was chosen has a finding there is nothing to doubt."""
    found = report(payload(verdict=verdict))
    assert doubts([found], {PATH: [ID]}, [], interrupted=False) == []


def test_rules_that_are_missed() -> None:
    """Each rule that was chosen must have a finding."""
    told = doubts([report()], {PATH: [ID, "a", "b"]}, [], interrupted=False)
    assert [text.partition(":")[0] for text in told] == [
        "2 of 3 rules of /shop/prodready.toml were not tried"
    ]
    assert doubts([], {PATH: [ID, "a"]}, [], interrupted=False) == [
        "none of the 2 rules of /shop/prodready.toml was tried"
    ]


def test_nothing_checked() -> None:
    """Rules that were all left open are no pass, although each of them was forgiven; advice is an answer."""
    open_ = [
        payload(verdict=verdict, fails=False) for verdict in ("inconclusive", "unverified", "unverified")
    ]
    assert doubts([report(*open_)], {}, [], interrupted=False) == [
        "nothing was checked: 1 inconclusive and 2 unverified"
    ]
    some_waived = [*open_, payload(verdict="waived", fails=False)]
    assert len(doubts([report(*some_waived)], {}, [], interrupted=False)) == 1
    advice = payload(verdict="failed", level="info", fails=False)
    assert doubts([report(*open_, advice)], {}, [], interrupted=False) == []


def test_other_failures_are_named() -> None:
    """Three of them, and how many more."""
    told = doubts([report()], {}, list("abcde"), interrupted=True)
    assert told == ["the run was interrupted", "a", "b", "c", "and 2 more that failed"]


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://app:hunter2@db/shop",
        "fe_sendauth: password=hunter2",
        "{'password': 'hunter2'}",
        "PWD=hunter2;",
    ],
)
def test_errors_without_credentials(text: str) -> None:
    """What stands where passwords stand is left out."""
    assert "hunter2" not in without_credentials(text)
