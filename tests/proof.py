"""`python -m tests.proof`: run whole suites on every specimen and write docs/proof.md.

The acceptance tests try each defect on its own rule and a few others. This runs all rules of its suite
(or, with --all, of every suite), and fails when a rule fails that the defect doesn't concern.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pytest_prodready.catalogue import RULES
from tests.gate import GateRun, run_gate
from tests.specimens import ROOT, Specimen, all_specimens

PAGE = ROOT / "docs" / "proof.md"
HEAD = """\
# Proof

Written by `make proof`: the gate on the healthy example, and on the same example with one defect at a time.
A defect must fail its own rule; other rules of its suite may fail only where the same defect concerns them.

The healthy example: {healthy}.

| Specimen | Breaks | What the gate says | Rightly fails as well | Still passed |
|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Trial:
    """One specimen after its run."""

    specimen: Specimen
    run: GateRun
    seconds: float

    @property
    def failed(self) -> set[str]:
        """The rules that failed."""
        return {rule for rule, verdict in self.run.verdicts.items() if verdict == "failed"}

    @property
    def problems(self) -> list[str]:
        """What contradicts the specimen: its rule that doesn't fail, or one that does and isn't concerned."""
        own, others = self.specimen.breaks, self.failed - {self.specimen.breaks} - self.specimen.also
        found = [] if own in self.failed else [f"{own} is {self.run.verdicts.get(own)}"]
        found += [f"{rule} failed too: {self.run.finding(rule)['summary']}" for rule in sorted(others)]
        return found

    @property
    def row(self) -> str:
        """Its line of the table."""
        said = self.run.finding(self.specimen.breaks)["summary"].replace("|", "\\|")
        also = ", ".join(sorted(self.failed - {self.specimen.breaks}))
        passed = sum(verdict == "passed" for verdict in self.run.verdicts.values())
        return f"| {self.specimen.name} | {self.specimen.breaks} | {said} | {also} | {passed} |"


def trial(specimen: Specimen, *, everything: bool) -> Trial:
    """Run the gate on one specimen."""
    with tempfile.TemporaryDirectory(prefix="proof-") as folder:
        specimen.build(Path(folder))
        suite = RULES[specimen.breaks].suite
        began = time.monotonic()
        run = run_gate(Path(folder), "-q", "prodready.toml" if everything else f"prodready.toml::{suite}")
        assert run.report, "read now: the folder goes, the report stays"
        return Trial(specimen, run, time.monotonic() - began)


def main(arguments: Sequence[str]) -> int:
    """Run all trials, print what contradicts, write the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof", description=__doc__)
    parser.add_argument("--all", action="store_true", help="every suite on every specimen")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("names", nargs="*", help="only specimens whose names contain one of these")
    options = parser.parse_args(arguments)
    chosen = [
        specimen
        for specimen in all_specimens()
        if not options.names or any(part in specimen.name for part in options.names)
    ]
    with ThreadPoolExecutor(options.jobs) as threads:
        trials = []
        for done in threads.map(lambda specimen: trial(specimen, everything=options.all), chosen):
            trials.append(done)
            print(
                f"{'NO ' if done.problems else 'ok '} {done.specimen.name} ({done.seconds:.0f} s)", flush=True
            )
            for problem in done.problems:
                print(f"     {problem}", flush=True)
    if not options.names:
        PAGE.write_text(HEAD.format(healthy=_healthy()) + "\n".join(each.row for each in trials) + "\n")
    return int(any(each.problems for each in trials))


def _healthy() -> str:
    run = run_gate(ROOT, "prodready.toml")
    passed = sum(verdict == "passed" for verdict in run.verdicts.values())
    return f"{passed} of {len(run.verdicts)} rules passed"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
