"""The page docs/proof.md: what the gate says of the healthy example, and of each defect.

    make proof

The acceptance tests write down what they saw of each specimen where PRODREADY_PROOF names a folder;
`python -m tests.proof FOLDER` makes the page of it. `python -m tests.proof --whole NAME…` runs all rules of a
specimen's suite on it, and fails when a rule fails that the defect doesn't concern; for all it takes hours.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pytest_prodready.catalogue import RULES
from tests.gate import GateRun, run_gate
from tests.specimens import ROOT, Specimen, all_specimens

VARIABLE = "PRODREADY_PROOF"
PAGE = ROOT / "docs" / "proof.md"
HEAD = """\
# Proof

Written by `make proof`: the gate on the healthy example, and on the same example with one defect at a time.
A defect must fail its own rule, by name and with the right words; rules of another concern must still pass.

The healthy example: {healthy}.

| Specimen | Breaks | What the gate says | Still passed |
|---|---|---|---|
"""


def write_down(specimen: Specimen, run: GateRun) -> None:
    """Keep what the gate said of a specimen, where somebody asked for it."""
    if folder := os.environ.get(VARIABLE):
        Path(folder).mkdir(parents=True, exist_ok=True)
        seen = {"said": run.finding(specimen.breaks)["summary"], "verdicts": run.verdicts}
        (Path(folder) / f"{specimen.name}.json").write_text(json.dumps(seen))


def page(folder: Path, healthy: str) -> str:
    """The page; raises FileNotFoundError for a specimen that was not run."""
    rows = [
        _row(specimen, json.loads((folder / f"{specimen.name}.json").read_text()))
        for specimen in all_specimens()
    ]
    return HEAD.format(healthy=healthy) + "\n".join(rows) + "\n"


def rows_of(text: str) -> list[tuple[str, str]]:
    """Specimen and rule of each row of the page."""
    cells = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return [(row[0].removeprefix("| "), row[1]) for row in cells[1:]]


def contradictions(specimen: Specimen) -> list[str]:
    """What speaks against a specimen when all rules of its suite are run on it."""
    suite, own = RULES[specimen.breaks].suite, specimen.breaks
    with tempfile.TemporaryDirectory(prefix="proof-") as folder:
        specimen.build(Path(folder))
        run = run_gate(Path(folder), "-q", *specimen.options, f"prodready.toml::{suite}")
        failed = {rule for rule, verdict in run.verdicts.items() if verdict == "failed"}
        found = [] if own in failed else [f"{own} is {run.verdicts.get(own)}"]
        others = sorted(failed - {own} - specimen.also)
        return found + [f"{rule} failed too: {run.finding(rule)['summary']}" for rule in others]


def main(arguments: Sequence[str]) -> int:
    """Make the page, or run whole suites and print what contradicts."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof", description=__doc__)
    parser.add_argument(
        "--whole", action="store_true", help="run whole suites on the named specimens, or all"
    )
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument(
        "--healthy", type=Path, help="report.json of a run on the example, instead of a new run"
    )
    parser.add_argument("names", nargs="+", help="the folder; with --whole, parts of specimens' names")
    options = parser.parse_args(arguments)
    if options.whole:
        return _whole(options.names, options.jobs)
    PAGE.write_text(page(Path(options.names[0]), _healthy(options.healthy)))
    return 0


def _whole(names: Sequence[str], jobs: int) -> int:
    chosen = [each for each in all_specimens() if any(part in each.name for part in names)]
    wrong = 0
    with ThreadPoolExecutor(jobs) as threads:
        for specimen, problems in zip(chosen, threads.map(contradictions, chosen), strict=True):
            wrong += bool(problems)
            print("\n     ".join([f"{'NO ' if problems else 'ok '} {specimen.name}", *problems]), flush=True)
    return int(wrong > 0)


def _row(specimen: Specimen, seen: dict[str, Any]) -> str:
    said = seen["said"].replace("|", "\\|").replace("\n", " ")
    return f"| {specimen.name} | {specimen.breaks} | {said} | {', '.join(specimen.still_passes)} |"


def _healthy(report: Path | None) -> str:
    found = json.loads(report.read_text()) if report else run_gate(ROOT, "prodready.toml").report
    verdicts = [each["verdict"] for each in found["findings"]]
    passed = verdicts.count("passed")
    unverified = verdicts.count("unverified")
    rest = f", {unverified} not verified there" if unverified else ""
    return f"{passed} of {len(verdicts)} rules passed{rest}"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
