"""Small targets for tests of the plugin itself: they start in no time."""

from __future__ import annotations

from pathlib import Path

SERVER = '''
"""A service without any dependency: liveness, readiness and one page."""
import http.server
import json
import sys

class Handler(http.server.BaseHTTPRequestHandler):
    """Answers every path with 200, or with the status that the path names."""

    def do_GET(self):
        status = int(self.path[1:]) if self.path[1:].isdigit() else 200
        body = json.dumps({"status": "ok"}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        """Say nothing."""

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
'''

SMALL = """\
[service]
name = "small"
command = "{python} server.py {port}"

[health]
liveness = "/live"
readiness = "/ready"
"""

LIVENESS = "prodready.toml::health::test_liveness_answers"
READINESS = "prodready.toml::health::test_readiness_answers"


def small_target(folder: Path, text: str = SMALL) -> Path:
    """A target whose service needs no server at all; returns its prodready.toml."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "server.py").write_text(SERVER)
    (folder / "pytest.ini").write_text("[pytest]\n")
    path = folder / "prodready.toml"
    path.write_text(text)
    return path
