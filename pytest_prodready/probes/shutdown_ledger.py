"""Writes with tokens of their own, and what is found of them afterwards."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_prodready.probes.health import wait_until
from pytest_prodready.probes.traffic import Answer, Traffic, new_token, with_token
from pytest_prodready.settings import Request, WritesSettings

WRITES = 400  # prepared; more than any stream sends
DEADLINE_S = 5.0
SETTLE_S = 2.0  # a read may lag behind an acknowledged write for so long


@dataclass(frozen=True, slots=True)
class Control:
    """Whether the declared write can be read back at all, tried while all was well."""

    created: int | None  # status
    read: int | None
    found: bool
    echoes: int  # how often an answer repeats a token that was never written


@dataclass(frozen=True, slots=True)
class Ledger:
    """Every write by what its client was told, and the acknowledged ones that were not found afterwards."""

    control: Control
    acknowledged: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()  # answered, but not as declared
    unknown: tuple[str, ...] = ()  # no answer: it may be there or not
    lost: tuple[str, ...] = ()  # acknowledged, and not found
    unreadable: tuple[str, ...] = ()  # acknowledged, and the read itself failed
    acknowledged_after_signal: int = 0
    refused_statuses: tuple[int, ...] = ()
    kept_unknown: int = 0  # of the unknown ones, those that were found


class Tokens:
    """The declared write and its read, with a token in each."""

    def __init__(self, writes: WritesSettings) -> None:
        self._writes = writes

    def creates(self) -> list[Request]:
        """Writes that are ready to be sent, each named by its token."""
        return [self._create(new_token()) for _ in range(WRITES)]

    def control(self, traffic: Traffic) -> Control:
        """Write one and read it, and read one that was never written."""
        never = self._read(traffic, new_token())
        token = new_token()
        created = traffic.send(self._create(token), DEADLINE_S)
        echoes = never[1] if never[0].expected else 0
        read, found = self._settled(traffic, token, echoes)
        return Control(created.status, read.status, found, echoes)

    def ledger(
        self, traffic: Traffic, control: Control, answers: Sequence[Answer], signalled_at_s: float
    ) -> Ledger:
        """Read back what was acknowledged."""
        acknowledged = tuple(a.request for a in answers if a.expected)
        refused = [a for a in answers if a.status is not None and not a.expected]
        unknown = tuple(a.request for a in answers if a.status is None)
        lost, unreadable = self._missing(traffic, control, acknowledged)
        return Ledger(
            control=control,
            acknowledged=acknowledged,
            refused=tuple(a.request for a in refused),
            unknown=unknown,
            lost=lost,
            unreadable=unreadable,
            acknowledged_after_signal=sum(
                a.expected and a.at_s + a.seconds > signalled_at_s for a in answers
            ),
            refused_statuses=tuple(sorted({a.status for a in refused if a.status is not None})),
            kept_unknown=sum(self._read(traffic, token)[1] > control.echoes for token in unknown[:20]),
        )

    def _missing(
        self, traffic: Traffic, control: Control, acknowledged: Sequence[str]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Acknowledged writes that aren't there, and those whose read failed, after time to settle."""
        end = time.monotonic() + SETTLE_S
        missing = list(acknowledged)
        last: dict[str, Answer] = {}
        while True:
            for token in missing:
                last[token], count = self._read(traffic, token)
                if last[token].expected and count > control.echoes:
                    del last[token]
            missing = [token for token in missing if token in last]
            if not missing or time.monotonic() > end:
                break
            wait_until(time.monotonic() + 0.2)
        read = {token for token in missing if self._tells_absence(last[token])}
        return tuple(t for t in missing if t in read), tuple(t for t in missing if t not in read)

    def _tells_absence(self, answer: Answer) -> bool:
        """A declared answer without the token, or a 404, says that it isn't there; a 500 says nothing."""
        return answer.expected or answer.status in (404, 410)

    def _create(self, token: str) -> Request:
        return with_token(self._writes.create, token).model_copy(update={"name": token})

    def _read(self, traffic: Traffic, token: str) -> tuple[Answer, int]:
        answer = traffic.send(self._writes.read_back, DEADLINE_S, token)
        return answer, answer.body.count(token)

    def _settled(self, traffic: Traffic, token: str, echoes: int) -> tuple[Answer, bool]:
        end = time.monotonic() + SETTLE_S
        while True:
            answer, count = self._read(traffic, token)
            found = answer.expected and count > echoes
            if found or time.monotonic() > end:
                return answer, found
            wait_until(time.monotonic() + 0.1)
