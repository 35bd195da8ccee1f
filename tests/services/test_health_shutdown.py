"""The shutdown probe on small services of its own: what it sees of good and of bad endings."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pytest_prodready.checks import shutdown as checks
from pytest_prodready.environment.application import Application
from pytest_prodready.environment.ports import LOOPBACK, is_free
from pytest_prodready.environment.recipe import Recipe
from pytest_prodready.environment.runs import Run
from pytest_prodready.environment.service import Endpoint
from pytest_prodready.findings import Verdict
from pytest_prodready.probes.shutdown import Termination, termination
from pytest_prodready.settings import Settings

SERVICE = """
import json, os, signal, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

PORT, MODE, STORE = int(sys.argv[1]), sys.argv[2], sys.argv[3]
kept = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self):
        word = parse_qs(urlsplit(self.path).query).get("word", [""])[0]
        there = kept
        if MODE != "memory" and os.path.exists(STORE):
            there = open(STORE).read().split()
        self.answer(200, {"you asked for": word, "found": [each for each in there if each == word]})

    def do_POST(self):
        word = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["word"]
        kept.append(word)
        if MODE != "memory":
            with open(STORE, "a") as file:
                file.write(word + "\\n")
        self.answer(201, {})


server = ThreadingHTTPServer(("127.0.0.1", PORT), Handler)
server.daemon_threads = True


def leave(*_):
    if MODE == "deaf":
        return
    threading.Timer(0.8, server.shutdown).start()


signal.signal(signal.SIGTERM, leave)
server.serve_forever()
"""
WRITES = {
    "create": {"method": "POST", "path": "/words", "json": {"word": "{token}"}, "expect": 201},
    "read_back": {"path": "/words?word={token}"},
}


@contextmanager
def running(tmp_path: Path, mode: str, **changes: Any) -> Iterator[tuple[Application, Settings]]:
    """The small service, ready."""
    (tmp_path / "service.py").write_text(SERVICE)
    run = Run.open()
    try:
        command = f"{sys.executable} service.py {{port}} {mode} {tmp_path / 'store'}"
        service = {"name": "small", "command": command, **changes.pop("service", {})}
        settings = Settings.model_validate(
            {
                "service": service,
                "requests": [{"path": "/words?word=x"}],
                "writes": WRITES,
                "health": {"grace_s": 2, "drain_s": 0.4},
                **changes,
            }
        )
        application = Application(run, Recipe(settings.service, tmp_path, {"python": sys.executable}))
        application.start()
        try:
            yield application, settings
        finally:
            application.discard()
    finally:
        run.close()


def ended(application: Application, settings: Settings) -> Termination:
    """The probe's measurement."""
    return termination(application, settings, lambda _: None)


def verdicts(seen: Termination, settings: Settings) -> dict[str, Verdict]:
    """What the checks make of it."""
    return {
        "drains": checks.drains(seen, settings.health).verdict,
        "in time": checks.in_time(seen, settings.health).verdict,
        "writes": checks.writes_survive(seen).verdict,
    }


def test_good_ending(tmp_path: Path) -> None:
    """A service that drains, ends in time and keeps its writes passes; the first instance goes on."""
    with running(tmp_path, "file") as (application, settings):
        first = application.pid
        seen = ended(application, settings)
        assert set(verdicts(seen, settings).values()) == {Verdict.PASSED}
        assert seen.second_instance
        assert application.alive
        assert application.pid == first


def test_an_echo_is_no_proof(tmp_path: Path) -> None:
    """Writes kept in memory are lost with the instance, though the read repeats each token."""
    with running(tmp_path, "memory") as (application, settings):
        seen = ended(application, settings)
        assert seen.ledger is not None
        assert seen.ledger.control.echoes == 1
        assert verdicts(seen, settings)["writes"] is Verdict.FAILED
        assert set(seen.ledger.lost) == set(seen.ledger.acknowledged)


def test_deaf_service(tmp_path: Path) -> None:
    """A service that ignores SIGTERM is still there after the grace period, and ended afterwards."""
    with running(tmp_path, "deaf") as (application, settings):
        seen = ended(application, settings)
        assert verdicts(seen, settings)["in time"] is Verdict.FAILED
        assert seen.exit.main_gone_s is None
        assert seen.exit.left == 1


def test_shell_in_front(tmp_path: Path) -> None:
    """A shell that ends without its child leaves the service behind."""
    command = f"sh -c '{sys.executable} service.py {{port}} file {tmp_path / 'store'}; true'"
    with running(tmp_path, "file", service={"command": command}) as (application, settings):
        seen = ended(application, settings)
        finding = checks.in_time(seen, settings.health)
        assert finding.verdict is Verdict.FAILED
        assert "main process was gone" in finding.summary


def test_only_instance(tmp_path: Path) -> None:
    """Where the port is fixed, the only instance is ended, and started again."""
    port = next(port for port in range(20000, 30000) if is_free(port))
    with running(tmp_path, "file", service={"port": port}) as (application, settings):
        first = application.pid
        seen = ended(application, settings)
        assert not seen.second_instance
        assert set(verdicts(seen, settings).values()) == {Verdict.PASSED}
        assert application.alive
        assert application.pid != first
        assert application.endpoint == Endpoint(LOOPBACK, port)


def test_no_writes_no_ledger(tmp_path: Path) -> None:
    """Without [writes] there is no ledger."""
    with running(tmp_path, "file", writes=None) as (application, settings):
        assert ended(application, settings).ledger is None
