"""A service of a few lines that needs its database: `python drilled.py PORT HOST DBPORT FOLDER HOW`.

It serves when the server behind HOST:DBPORT answers the first message of PostgreSQL's protocol, says 503 when
it doesn't, and writes down each answer with its times by the clock that all processes of a machine share.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PORT, HOST, DATABASE, FOLDER, HOW = sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4]), sys.argv[5]
HOLD_S = 1.3  # the first request that finds no database is held for so long
SSL_REQUEST = struct.pack("!II", 8, 80877103)

journal = (FOLDER / "journal").open("a", buffering=1)
failed: list[float] = []
lock = threading.Lock()


def database_answers() -> bool:
    """Whether a server is there that speaks the protocol."""
    try:
        with socket.create_connection((HOST, int(DATABASE)), timeout=2) as connection:
            connection.sendall(SSL_REQUEST)
            return connection.recv(1) in (b"S", b"N")
    except OSError:
        return False


def status() -> int:
    """What to answer now; the first failure brings out the worst."""
    held_until = FOLDER / "held_until"
    if HOW == "never" and failed:
        return 503
    if not database_answers():
        with lock:
            failed.append(time.monotonic())
            first = len(failed) == 1
        if first:
            misbehave()
        return 503
    return 503 if held_until.exists() and time.monotonic() < float(held_until.read_text()) else 200


def misbehave() -> None:
    """What this service does when it first finds its database gone."""
    if HOW == "holds":
        threading.Event().wait(HOLD_S)
    if HOW == "crashes":
        print("the database is gone, so am I", flush=True)
        os._exit(7)
    if HOW == "forks" and os.fork():
        os._exit(0)
    if HOW == "forks":
        server.serve_forever()
    if HOW == "floods":
        threading.Thread(target=flood, daemon=True).start()


def flood() -> None:
    """Fill the log with 200 MB."""
    for _ in range(2000):
        print("the database is gone " * 5000)


class Handler(BaseHTTPRequestHandler):
    """Answers, and writes the answer down."""

    def do_GET(self) -> None:
        """Serve or refuse."""
        began, code = time.monotonic(), 200
        if self.path != "/live":
            code = status()
        if HOW == "hangs" and failed:
            threading.Event().wait(600)
        self.send_response(code)
        self.end_headers()
        self.wfile.flush()
        journal.write(f"{self.path} {code} {began} {time.monotonic()}\n")

    def log_message(self, *_: object) -> None:
        """Print nothing for a request."""


class Server(ThreadingHTTPServer):
    """Ends without waiting for those it holds."""

    daemon_threads = True
    request_queue_size = 128


server = Server(("127.0.0.1", int(PORT)), Handler)
server.serve_forever()
