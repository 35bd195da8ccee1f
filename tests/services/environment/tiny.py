"""A service of a few lines that can misbehave: `python tiny.py PORT [HOW]`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HOW = sys.argv[2] if len(sys.argv) > 2 else "well"

BROKEN: list[bool] = []


class Handler(BaseHTTPRequestHandler):
    """Answers 200, or 503 for ever: from the start, or once /break was asked for."""

    def do_GET(self) -> None:
        """Answer with a status that depends on how it shall behave."""
        if self.path == "/break":
            BROKEN.append(True)
        self.send_response(503 if HOW == "never-ready" or BROKEN else 404 if HOW == "elsewhere" else 200)
        self.end_headers()
        self.wfile.write(os.environ.get("SHOWN", "").encode())

    def log_message(self, *_: object) -> None:
        """Print nothing for a request."""


print("tiny starts", os.environ.get("DATABASE_URL", ""), flush=True)
if HOW == "dies":
    print("the last words", flush=True)
    sys.exit(7)
if HOW == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if HOW == "parent":
    subprocess.Popen(["sleep", "600"], start_new_session=True)
if HOW in ("parent", "supervisor"):
    subprocess.Popen(["sleep", "600"])
if HOW == "daemon" and not os.fork():
    os.setsid()
    if os.fork():
        os._exit(0)
    signal.pause()  # in a group of its own, and nobody's child any more
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
