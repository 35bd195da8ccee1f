"""The benchmarks as a user runs them: kept, compared, and failed by what got slower."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.gate import run_gate
from tests.specimens import Specimen, Swap
from tests.targets import SMALL, small_target

MARK = ("-m", "readiness_benchmark")
QUICK = ("--benchmark-max-time=0.3",)
REQUESTS = [
    {"name": "list", "path": "/jobs?limit=5"},
    {"name": "show", "path": "/jobs/1"},
    {"name": "unknown job", "path": "/jobs/999999999", "expect": 404},
]
SHOWING = "        job_id = _id(request)\n\n        async def load()"
SLOWER = Swap(
    "jobboard/app.py", SHOWING, "        import asyncio\n        await asyncio.sleep(0.1)\n" + SHOWING
)
PAGES = SMALL + '[[requests]]\nname = "page"\npath = "/page"\n'


def outcomes(output: str) -> dict[str, str]:
    """How each benchmark ended."""
    found = re.findall(r"^prodready\.toml::benchmark::test_(\S.*?) (PASSED|FAILED|SKIPPED)", output, re.M)
    return {name: outcome.lower() for name, outcome in found}


def test_what_got_slower_fails_by_itself(tmp_path: Path) -> None:
    """Kept on a good service, held against on one whose one request waits: that benchmark alone fails."""
    settings = {"requests": REQUESTS, "writes": None}
    Specimen(name="x", breaks="", says="", settings=settings).build(tmp_path)
    good = run_gate(tmp_path, *MARK, *QUICK, "-W", "error", "--benchmark-save=good")
    assert good.code == 0, good.output
    names = ("request[list]", "request[show]", "request[unknown job]", "hundred_checkouts")
    assert outcomes(good.output) == dict.fromkeys(names, "passed")
    (kept,) = (tmp_path / ".benchmarks").glob("*/0001_good.json")
    assert "Request(" not in kept.read_text()  # headers and bodies may be secret

    source = tmp_path / SLOWER.file
    source.write_text(source.read_text().replace(SLOWER.old, SLOWER.new))
    compared = ("--benchmark-compare=0001", "--benchmark-compare-fail=min:300%")
    slower = run_gate(tmp_path, *MARK, *QUICK, *compared)
    assert slower.code == 1, slower.output
    expected = {name: "failed" if "[show]" in name or "[unknown" in name else "passed" for name in names}
    assert outcomes(slower.output) == expected, slower.output
    assert re.search(
        r"test_request\[show\] got slower: min 1\d\d\.\d+ ms, \d+\.\d+ ms in .*0001_good", slower.output
    )
    assert "Traceback" not in slower.output


def test_only_who_asks_gets_them(tmp_path: Path) -> None:
    """Neither the gate nor a plain run times anything; a node id runs again as it was printed."""
    small_target(tmp_path, PAGES)
    for arguments in (("-m", "readiness"), ("prodready.toml",), ("-m", "readiness and not slow")):
        listed = run_gate(tmp_path, *arguments, "--collect-only", "-q").output
        assert "::health::" in listed
        assert "::benchmark::" not in listed
    both = run_gate(tmp_path, "-m", "readiness or readiness_benchmark", "--collect-only", "-q").output
    assert "prodready.toml::benchmark::test_request[page]" in both
    assert "::health::" in both
    again = run_gate(tmp_path, "prodready.toml::benchmark::test_request[page]", *QUICK)
    assert again.code == 0, again.output
    assert "1 passed" in again.output


def test_what_cannot_be_timed_says_why(tmp_path: Path) -> None:
    """Without requests or an engine a benchmark is skipped; an answer other than declared is no time."""
    small_target(tmp_path)
    without = run_gate(tmp_path, *MARK, "-rs")
    assert outcomes(without.output) == {"request[none]": "skipped", "hundred_checkouts": "skipped"}
    assert "needs [[requests]] in prodready.toml" in without.output
    assert "needs [service] engine in prodready.toml" in without.output
    small_target(tmp_path, PAGES.replace('name = "small"', 'name = "small"\nengine = "nowhere:engine"', 1))
    nowhere = run_gate(tmp_path, *MARK, *QUICK)
    assert outcomes(nowhere.output)["request[page]"] == "passed", nowhere.output
    assert "there is no module nowhere" in nowhere.output
    assert "Traceback" not in nowhere.output
    small_target(tmp_path, PAGES.replace("/page", "/503"))
    wrong = run_gate(tmp_path, *MARK, *QUICK)
    assert wrong.code == 1, wrong.output
    assert "page got 503, and 2xx or 3xx is declared" in wrong.output
    assert "Traceback" not in wrong.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("-n", "2"), ["would time each other", "leave out -n"]),
        (("-p", "no:benchmark"), ["pytest-benchmark isn't there", "pytest-prodready[load]"]),
        (("--benchmark-compare-fail=min:5%",), ["no earlier benchmarks", "--benchmark-autosave keeps some"]),
        (
            ("--benchmark-compare=0007", "--benchmark-compare-fail=min:5%"),
            ["no earlier benchmarks", "0007", ".benchmarks"],
        ),
    ],
    ids=["xdist", "not installed", "nothing to compare", "no such run"],
)
def test_what_would_come_to_nothing_is_refused(
    arguments: tuple[str, ...], says: list[str], tmp_path: Path
) -> None:
    """Before anything starts: exit 4, one message, no traceback."""
    small_target(tmp_path, PAGES)
    run = run_gate(tmp_path, *MARK, *arguments)
    assert run.code == 4, run.output
    assert all(words in run.output for words in says), run.output
    assert "Traceback" not in run.output


def test_a_comparison_with_others_is_refused(tmp_path: Path) -> None:
    """Where nothing that is timed was timed before, nothing is started; a single new request passes."""
    small_target(tmp_path, PAGES)
    assert run_gate(tmp_path, *MARK, *QUICK, "--benchmark-save=good").code == 0
    compared = ("--benchmark-compare=0001", "--benchmark-compare-fail=min:900%")
    small_target(tmp_path, PAGES + '[[requests]]\nname = "another"\npath = "/another"\n')
    more = run_gate(tmp_path, *MARK, *QUICK, *compared)
    assert more.code == 0, more.output
    small_target(tmp_path, PAGES.replace('"page"', '"other"'))
    other = run_gate(tmp_path, *MARK, *QUICK, *compared, "-k", "test_request")
    assert other.code == 4, other.output
    assert "none of these benchmarks is among the earlier ones" in other.output
    assert "test_request[other]" in other.output
    assert "Traceback" not in other.output
