"""Writes with tokens of their own, sent all through a drill, and what is found of them afterwards."""

from __future__ import annotations

import itertools
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

import psycopg

from pytest_prodready.errors import ProdreadyError
from pytest_prodready.probes.drill import Ledger, Sent
from pytest_prodready.probes.traffic import Answer, Traffic, with_token
from pytest_prodready.settings import WritesSettings

EVERY_S = 0.1
READ_WITHIN_S = 5.0
SETTLE_S = 3.0  # a read may lag behind an acknowledged write for so long
ALL_WITHIN_S = 60.0  # reading everything back, by a service that hardly answers any more
AT_ONCE = 8
RETRY_AFTER_S = 0.5
ATTEMPTS = 8

OUTCOMES = ACKNOWLEDGED, REFUSED, UNKNOWN = "acknowledged", "refused", "unknown"

Rows = Callable[[str], Mapping[str, int]]


@dataclass
class Write:
    """One write of the journal: written down before it is sent."""

    token: str
    answers: list[Answer] = field(default_factory=list)
    sent_at: list[float] = field(default_factory=list)  # monotonic, one for each answer
    acknowledged_at: float = 0.0

    @property
    def outcome(self) -> str:
        """What its client knows: acknowledged, refused, or unknown (a 5xx may hide a commit)."""
        if any(each.expected for each in self.answers):
            return ACKNOWLEDGED
        return UNKNOWN if not self.answers or any(_open(each) for each in self.answers) else REFUSED


class ReadBack:
    """Finds writes again by their tokens."""

    def __init__(self, traffic: Traffic, writes: WritesSettings) -> None:
        self._traffic, self._writes = traffic, writes

    def ledger(self, writes: Iterable[tuple[str, str, float]], prefix: str, rows: Rows | None) -> Ledger:
        """Read everything back: token, outcome and when that was known, of each write."""
        known: dict[str, dict[str, float]] = {outcome: {} for outcome in OUTCOMES}
        for token, outcome, at_s in writes:
            known[outcome][token] = at_s
        acknowledged, refused, unknown = known.values()
        found, read_from, doubt = self._found(list(acknowledged), prefix, rows)
        lost = [] if doubt else [token for token in acknowledged if not found.get(token)]
        return Ledger(
            acknowledged=len(acknowledged),
            refused=len(refused),
            unknown=len(unknown),
            lost=tuple(lost),
            lost_at_s=tuple(round(acknowledged[token], 3) for token in lost),
            twice=tuple(sorted(token for token, count in found.items() if count > 1)),
            refused_but_there=sum(bool(found.get(token)) for token in refused),
            unknown_but_there=sum(bool(found.get(token)) for token in unknown),
            read_from=read_from,
            doubt=doubt,
        )

    def _found(
        self, acknowledged: Sequence[str], prefix: str, rows: Rows | None
    ) -> tuple[Mapping[str, int], tuple[str, ...], str]:
        """How often each token is there: by the database where it holds them as such, else by the service."""
        in_database: Mapping[str, int] = {}
        with suppress(ProdreadyError, psycopg.Error):
            in_database = rows(prefix) if rows is not None else {}
        if in_database:
            return in_database, ("database",), ""
        if acknowledged and self._once(acknowledged[0]).status is None:
            return {}, ("service",), "the service no longer answers, so no write could be read back"
        by_service, unread = self._through_the_service(acknowledged)
        if unread:
            told = f"{unread} of {len(acknowledged)} writes had not been read back after {ALL_WITHIN_S:g} s"
            return by_service, ("service",), told
        doubt = "" if by_service or not acknowledged else "no write could be read back"
        return by_service, ("service",), doubt

    def _once(self, token: str) -> Answer:
        return self._traffic.send(self._writes.read_back, READ_WITHIN_S, token)

    def _through_the_service(self, tokens: Sequence[str]) -> tuple[dict[str, int], int]:
        """Which are there, and how many of them were not asked for in time."""
        began = time.monotonic()
        found: dict[str, int] = {}
        missing = list(tokens)
        while missing:
            answers = self._read(missing, began + ALL_WITHIN_S)
            found |= {token: 1 for token, there in zip(missing, answers, strict=False) if there}
            if unread := len(missing) - len(answers):
                return found, unread
            missing = [token for token in missing if token not in found]
            if time.monotonic() > began + SETTLE_S:
                break
        return found, 0

    def _read(self, tokens: Sequence[str], end: float) -> list[bool]:
        """Whether each is there; of fewer than that where time is over."""
        answers: list[bool] = []
        for start in range(0, len(tokens), AT_ONCE):
            if time.monotonic() > end:
                break
            batch = tokens[start : start + AT_ONCE]
            requests = [with_token(self._writes.read_back, token) for token in batch]
            told = self._traffic.ask_all(requests, READ_WITHIN_S)
            answers += [a.expected and t in a.body for a, t in zip(told, batch, strict=True)]
        return answers


class Journal:
    """Sends a write every so often; with a key in a header, those without an answer are sent again."""

    def __init__(self, traffic: Traffic, writes: WritesSettings, deadline_s: float) -> None:
        self._traffic, self._writes, self._deadline_s = traffic, writes, deadline_s
        self.prefix = f"prodready{secrets.token_hex(4)}x"
        self.keyed = any("{token}" in value for value in writes.create.headers.values())
        self._journal: list[Write] = []
        self._numbers = itertools.count()
        self._began = 0.0

    @contextmanager
    def written(self, began: float) -> Iterator[None]:
        """Write until the block ends; then every write has its answer, or its deadline has passed."""
        self._began = began
        stop = threading.Event()
        workers: list[threading.Thread] = []

        def tick() -> None:
            start = time.monotonic()
            for number in itertools.count():
                if stop.wait(max(0.0, start + number * EVERY_S - time.monotonic())):
                    return
                write = self._next()
                worker = threading.Thread(target=self._send, args=(write, stop), daemon=True)
                workers.append(worker)
                worker.start()

        ticking = threading.Thread(target=tick, name="prodready-journal", daemon=True)
        ticking.start()
        try:
            yield
        finally:
            stop.set()
            ticking.join()
            for worker in workers:
                worker.join()

    def try_one(self) -> str:
        """Write one and read it back, and read one that was never written; returns what is wrong."""
        write = self._next()
        answer = self._once(write)
        if not answer.expected:
            return f"a write got {answer.status or answer.error}"
        end = time.monotonic() + SETTLE_S
        while not self._readable(write.token):
            if time.monotonic() > end:
                return "a write that was acknowledged can't be read back"
        if self._readable(f"{self.prefix}99999"):
            return "the answer to a read repeats a token that was never written"
        return ""

    def attempts(self) -> tuple[Sent, ...]:
        """Every attempt whose end is known, by time."""
        seen = [
            Sent("write", round(at - self._began, 4), round(a.seconds, 4), a.status, a.expected, a.error)
            for write in list(self._journal)
            for at, a in zip(list(write.sent_at), list(write.answers), strict=False)
            if at >= self._began
        ]
        return tuple(sorted(seen, key=lambda each: each.at_s))

    def ledger(self, rows: Rows | None) -> Ledger:
        """Read everything back, from the database and through the service."""
        journal = list(self._journal)
        writes = [(each.token, each.outcome, each.acknowledged_at - self._began) for each in journal]
        found = ReadBack(self._traffic, self._writes).ledger(writes, self.prefix, rows)
        return replace(found, retried=sum(len(write.answers) > 1 for write in journal))

    def _readable(self, token: str) -> bool:
        answer = self._traffic.send(self._writes.read_back, READ_WITHIN_S, token)
        return answer.expected and token in answer.body

    def _next(self) -> Write:
        write = Write(f"{self.prefix}{next(self._numbers):05d}")
        self._journal.append(write)
        return write

    def _send(self, write: Write, stop: threading.Event) -> None:
        for _ in range(ATTEMPTS if self.keyed else 1):
            answer = self._once(write)
            # As a careful client does: what may or may not be there is sent again with the same key.
            if not _open(answer) or stop.wait(RETRY_AFTER_S):
                return

    def _once(self, write: Write) -> Answer:
        sent_at = time.monotonic()
        answer = self._traffic.send(self._writes.create, self._deadline_s, write.token)
        write.sent_at.append(sent_at)
        write.answers.append(answer)
        if answer.expected:
            write.acknowledged_at = time.monotonic()
        return answer


def _open(answer: Answer) -> bool:
    """Whether the write may be there although it wasn't acknowledged."""
    return not answer.expected and (answer.status is None or answer.status >= 500)
