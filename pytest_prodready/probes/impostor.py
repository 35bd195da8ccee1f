"""An impostor: a server in the place of the service's own, that notes how far each client goes with it.

It holds no secret of its own and keeps none of the client's: whether a password came is all it remembers.
Each connection has a thread, so that the first byte can be looked at before TLS takes over the socket.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from pytest_prodready.environment.service import Endpoint
from pytest_prodready.probes.impostor_attempts import HUNG_UP, PATIENCE_S, SILENT, Attempt, Stage, tell

LOOK_AGAIN_S = 0.02  # stages of open connections change without notice
KEPT = 200  # attempts that are noted for one disguise; a client may come back thousands of times


@dataclass(frozen=True, slots=True)
class Disguise:
    """What the impostor shows: a certificate and protocol versions, or no TLS at all."""

    name: str
    context: ssl.SSLContext | None


class Visit:
    """A client's connection while it lasts."""

    def __init__(self, connection: socket.socket, disguise: Disguise, after_s: float) -> None:
        self._socket = connection
        self._disguise = disguise
        self._after_s = after_s
        self._stage = Stage.CONNECTED
        self._asked = False
        self._tls = ""
        self._finished = False
        self.reason = ""

    @property
    def encrypted(self) -> bool:
        """Whether TLS is on."""
        return bool(self._tls)

    def reached(self, stage: Stage) -> None:
        """Note that the client came this far."""
        self._stage = max(self._stage, stage, key=lambda each: each.rank)
        self._asked = self._asked or stage is Stage.ASKED_FOR_TLS

    def cancelled(self) -> None:
        """Note that it only came to cancel a statement, TLS or not: nobody is told anything by that."""
        self._stage = Stage.CANCELLED

    def spoke(self, *, password: bool = False) -> None:
        """Note that the client spoke its protocol, and whether it gave its password."""
        stages = (Stage.SPOKE_IN_CLEAR, Stage.PASSWORD_IN_CLEAR)
        if self.encrypted:
            stages = (Stage.SPOKE_OVER_TLS, Stage.PASSWORD_OVER_TLS)
        self.reached(stages[password])

    def speaks_tls(self) -> bool:
        """Whether the next byte begins a TLS handshake; it stays unread."""
        first = self._socket.recv(1, socket.MSG_PEEK)
        if not first:
            raise EOFError
        return first == b"\x16"

    def start_tls(self) -> bool:
        """Shake hands in the disguise; False when it has no TLS to offer or the client broke off."""
        if self._disguise.context is None:
            return False
        self._socket = self._disguise.context.wrap_socket(
            self._socket, server_side=True, do_handshake_on_connect=False
        )
        try:
            self._socket.do_handshake()
        except (OSError, ValueError) as failure:
            self.reached(Stage.HANDSHAKE_FAILED)
            self.reason = _reason(failure)
            return False
        self._tls = self._socket.version() or "TLS"
        self.reached(Stage.HANDSHAKE_DONE)
        return True

    @property
    def offers_tls(self) -> bool:
        """Whether the disguise has TLS at all."""
        return self._disguise.context is not None

    def read(self, count: int) -> bytes:
        """Exactly so many bytes; EOFError when the client hung up before."""
        data = b""
        while len(data) < count:
            chunk = self._socket.recv(count - len(data))
            if not chunk:
                raise EOFError
            data += chunk
        return data

    def send(self, data: bytes) -> None:
        """Send all of this."""
        self._socket.sendall(data)

    def hang_up(self) -> None:
        """End the conversation from another thread; whoever reads meets the end of the data."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """Close the connection; what was noted stays."""
        self.hang_up()
        self._socket.close()
        self._finished = True

    def attempt(self) -> Attempt:
        """What is known about it so far."""
        return Attempt(self._stage, self._after_s, self._asked, self._tls, self.reason, self._finished)


class Guestbook:
    """The connections that came while the impostor wore one disguise."""

    def __init__(self, disguise: Disguise) -> None:
        self.disguise = disguise
        self._began = time.monotonic()
        self._visits: list[Visit] = []
        self._changed = threading.Condition()

    def enter(self, connection: socket.socket) -> Visit:
        """Write a new visit into the book."""
        visit = Visit(connection, self.disguise, time.monotonic() - self._began)
        with self._changed:
            if len(self._visits) < KEPT:
                self._visits.append(visit)
        return visit

    def note(self) -> None:
        """Tell whoever waits that something has changed."""
        with self._changed:
            self._changed.notify_all()

    def attempts(self) -> tuple[Attempt, ...]:
        """All visits so far, also those that aren't over."""
        with self._changed:
            return tuple(visit.attempt() for visit in self._visits)

    def wait(self, enough: Callable[[tuple[Attempt, ...]], bool], within_s: float) -> bool:
        """Wait until the attempts so far are enough; False when they weren't in time."""
        deadline = time.monotonic() + within_s
        with self._changed:
            while not enough(tuple(visit.attempt() for visit in self._visits)):
                if (left := deadline - time.monotonic()) <= 0:
                    return False
                self._changed.wait(min(left, LOOK_AGAIN_S))
        return True

    def settled(self, within_s: float, quiet_s: float) -> bool:
        """Wait until it is known how clients treat the disguise; False when it wasn't in time.

        It is known at once when a password came. Otherwise a second attempt may follow the first one
        (sslmode=prefer tries again in clear), so clients are watched for a while after the first.
        """
        deadline = time.monotonic() + within_s
        if not self.wait(_known, within_s):
            return False
        quiet_at = time.monotonic() + quiet_s

        def over(attempts: tuple[Attempt, ...]) -> bool:
            later = time.monotonic() >= quiet_at and all(attempt.finished for attempt in attempts)
            return later or _hopeless(attempts)

        self.wait(over, max(quiet_s, deadline - time.monotonic()))
        return True


def _known(attempts: tuple[Attempt, ...]) -> bool:
    return tell(attempts) or _hopeless(attempts)


def _hopeless(attempts: tuple[Attempt, ...]) -> bool:
    return any(attempt.stage.rank >= Stage.PASSWORD_OVER_TLS.rank for attempt in attempts)


class Impostor:
    """Listens where the fault proxy reaches it and receives every client with the same conversation."""

    def __init__(self, receive: Callable[[Visit], None], disguise: Disguise, host: str = "127.0.0.1") -> None:
        self._receive = receive
        self._book = Guestbook(disguise)
        self._open: set[Visit] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server((host, 0), backlog=128)
        self._thread = threading.Thread(target=self._accept, name="prodready-impostor", daemon=True)
        self._thread.start()

    @property
    def endpoint(self) -> Endpoint:
        """Where it listens."""
        host, port = self._listener.getsockname()[:2]
        return Endpoint(host, port)

    def wear(self, disguise: Disguise) -> Guestbook:
        """Put on another disguise; connections from now on are written into the book that is returned."""
        self._book = Guestbook(disguise)
        return self._book

    def close(self) -> None:
        """Stop listening and close every connection."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(PATIENCE_S)
        with self._lock:
            visits = list(self._open)
        for visit in visits:
            visit.hang_up()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(PATIENCE_S)
            book = self._book
            visit = book.enter(connection)
            with self._lock:
                self._open.add(visit)
            threading.Thread(target=self._converse, args=(visit, book), daemon=True).start()

    def _converse(self, visit: Visit, book: Guestbook) -> None:
        try:
            self._receive(visit)
        except (EOFError, OSError, ValueError) as end:
            visit.reason = visit.reason or _reason(end)
        finally:
            visit.end()
            with self._lock:
                self._open.discard(visit)
            book.note()


@contextmanager
def impostor(
    receive: Callable[[Visit], None], disguise: Disguise, host: str = "127.0.0.1"
) -> Iterator[Impostor]:
    """An impostor for the length of a block."""
    server = Impostor(receive, disguise, host)
    try:
        yield server
    finally:
        server.close()


def _reason(failure: BaseException) -> str:
    """Why a conversation ended, without any of its content."""
    if isinstance(failure, ssl.SSLEOFError | EOFError | ConnectionError):
        return HUNG_UP
    if isinstance(failure, ssl.SSLError) and failure.reason:
        words = failure.reason.lower().replace("_", " ")
        return (
            words.replace("tlsv1 alert", "alert")
            .replace("sslv3 alert", "alert")
            .replace("tlsv13 alert", "alert")
        )
    if isinstance(failure, TimeoutError):
        return SILENT
    return type(failure).__name__
