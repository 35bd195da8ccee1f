"""`python -m tests.picture`: run the gate on a specimen and draw what the terminal shows as docs/run.svg."""

from __future__ import annotations

import io
import re
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from tests.gate import run_gate
from tests.specimens import ROOT, all_specimens

PICTURE = ROOT / "docs" / "run.svg"
SPECIMEN = "pool-waits-for-ever"
WIDTH = 128


def main() -> int:
    """Run, keep the interesting lines, draw."""
    specimen = next(each for each in all_specimens() if each.name == SPECIMEN)
    with tempfile.TemporaryDirectory(prefix="picture-") as folder:
        specimen.build(Path(folder))
        variables = {"COLUMNS": str(WIDTH), "TERM": "xterm-256color"}
        run = run_gate(Path(folder), "-m", "pool", "--color=yes", "-rN", "--tb=no", variables=variables)
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    console.print(Text("$ pytest -m pool", style="bold"))
    for line in shown(run.output):
        console.print(Text.from_ansi(line), no_wrap=True, crop=True)
    PICTURE.write_text(console.export_svg(title="pytest -m readiness: a pool that waits for ever"))
    return 0


def shown(output: str) -> list[str]:
    """The header's two lines of ours, then everything from the first test to the verdict."""
    lines = output.splitlines()
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines]
    kept = [line for line, text in zip(lines, plain, strict=True) if text.startswith("prodready: ")]
    first = next(number for number, text in enumerate(plain) if text.startswith("prodready.toml::"))
    return [*kept, *lines[first:-1]]


if __name__ == "__main__":
    raise SystemExit(main())
