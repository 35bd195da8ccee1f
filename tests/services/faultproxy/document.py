"""What `docs/faultproxy.md` says of the differences and of the conformance tests, kept true.

`python -m tests.services.faultproxy.document` writes it; a test compares.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from .differences import DIFFERENCES, listed

ROOT = Path(__file__).resolve().parents[3]
DOCUMENT = ROOT / "docs" / "faultproxy.md"
# Of the data plane and the API alone: neither what differs, nor our own client, nor what only we have.
CONFORMANCE = ("test_api_*.py", "test_connections.py", "test_toxics_*.py")
_SERVERS = ("builtin", "toxiproxy")


def cases() -> dict[str, int]:
    """How many conformance cases there are for each server."""
    folder = Path(__file__).parent
    files = [str(path) for pattern in CONFORMANCE for path in folder.glob(pattern)]
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    return {server: len(re.findall(rf"[\[-]{server}[\]-]", told.stdout)) for server in _SERVERS}


def written(text: str) -> str:
    """The document with its generated parts as they should be."""
    each = set(cases().values())
    assert len(each) == 1, "a conformance case is one for each server"
    counted = (
        f"{each.pop()} conformance cases pass on each of the two servers, and {len(DIFFERENCES)} differences"
    )
    parts = {
        "cases": f"{counted}\nare shown on both.",
        "differences": listed(),
    }
    for name, part in parts.items():
        block = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        assert block.search(text), f"the document has no part {name}"
        text = block.sub(lambda match, part=part: f"{match[1]}{part}\n{match[2]}", text)  # type: ignore[misc]
    return text


if __name__ == "__main__":
    DOCUMENT.write_text(written(DOCUMENT.read_text()))
