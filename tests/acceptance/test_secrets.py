"""No password in any output of a run: terminal, report, measurements, logs, JUnit; raw or encoded."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psutil
import pytest

from pytest_prodready.environment.secrets import Redactor
from tests.gate import NO_ENGINE, node_ids
from tests.specimens import Specimen, Swap

WITHIN_S = 120
TELLTALE = Specimen(
    name="tells-its-secrets",
    breaks="health.tells-no-secrets",
    says="",
    swaps=(
        Swap(
            "jobboard/__main__.py",
            "    logs.configure()\n",
            "    logs.configure()\n"
            "    import base64, os, sys\n"
            '    url = os.environ["DATABASE_URL"]\n'
            "    coded = base64.b64encode(url.encode()), url.encode().hex()\n"
            "    print(url, *coded, file=sys.stderr, flush=True)\n",
        ),
        Swap(
            "jobboard/app.py",
            '        return Json({"status": status, "checks": checks}',
            '        import os\n        checks["dsn"] = {"status": "ok", "url": os.environ["DATABASE_URL"]}\n'
            '        return Json({"status": status, "checks": checks}',
        ),
    ),
)
CASES = {"healthy": Specimen(name="healthy", breaks="", says=""), "telltale": TELLTALE}
RULES = (
    "ssl.client-checks-authority",
    "ssl.engine-verifies-server",
    "ssl.redis-encrypted",
    "pool.checkout-times-out",
    "health.deep-answers",
    "health.tells-no-secrets",
)


def passwords_in(process: psutil.Process) -> Iterator[str]:
    """The passwords in the environment of a process."""
    for name, value in process.environ().items():
        if name in ("DATABASE_URL", "REDIS_URL"):
            found = urlsplit(value).password
            if found:
                yield unquote(found)


def spy(gate: subprocess.Popen[bytes]) -> set[str]:
    """The passwords that the gate gave to its service, read from outside while it runs."""
    seen: set[str] = set()
    deadline = time.monotonic() + WITHIN_S
    while gate.poll() is None and len(seen) < 2:
        assert time.monotonic() < deadline, "the service never came up"
        for process in psutil.process_iter():
            try:
                if "jobboard" in process.cmdline():
                    seen |= set(passwords_in(process))
            except psutil.Error:
                continue
        time.sleep(0.02)
    return seen


@pytest.mark.parametrize("case", CASES)
def test_no_output_holds_a_password(case: str, tmp_path: Path) -> None:
    """Neither a healthy service nor one that prints its DSN gets a password into what a run leaves."""
    CASES[case].build(tmp_path)
    ids = node_ids()
    output = tmp_path / "output.txt"
    with output.open("wb") as stream:
        gate = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "pytest",
                "-vv",
                "-rA",
                "--junitxml=junit.xml",
                *(ids[rule] for rule in RULES),
            ],
            cwd=tmp_path,
            env={
                **{key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")},
                **NO_ENGINE,
            },
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
        passwords = spy(gate)
        gate.wait(WITHIN_S)
    assert len(passwords) >= 2, output.read_text()
    finds = Redactor(passwords).finds
    kept = [output, tmp_path / "junit.xml", *(tmp_path / ".prodready").rglob("*")]
    texts = {path: path.read_text(errors="replace") for path in kept if path.is_file()}
    assert len(texts) > len(RULES)
    assert {"report.html", "report.md", "report.json"} <= {path.name for path in texts}
    assert [str(path) for path, text in texts.items() if finds(text)] == []
    assert ("[redacted]" in "".join(texts.values())) == (case == "telltale")
