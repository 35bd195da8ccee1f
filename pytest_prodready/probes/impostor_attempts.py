"""How far clients went with an impostor, and when that tells how they treat it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

PATIENCE_S = 5.0  # for the next byte of a client
HUNG_UP = "the client hung up"
SILENT = f"silent for {PATIENCE_S:g} s"
TWICE = 2  # hang-ups without a word that tell more than a client that ran out of patience


class Stage(StrEnum):
    """How far a client went; the order is from harmless to worst."""

    CONNECTED = "connected"
    CANCELLED = "sent a cancel request"
    ASKED_FOR_TLS = "asked for TLS"
    HANDSHAKE_FAILED = "broke off the handshake"
    HANDSHAKE_DONE = "hung up after the handshake"
    SPOKE_OVER_TLS = "spoke over TLS"
    SPOKE_IN_CLEAR = "spoke in clear"
    PASSWORD_OVER_TLS = "password over TLS"  # noqa: S105
    PASSWORD_IN_CLEAR = "password in clear"  # noqa: S105

    @property
    def rank(self) -> int:
        """Its place in the order from harmless to worst."""
        return list(Stage).index(self)

    @property
    def met(self) -> bool:
        """Whether the client saw what the server is: it asked for TLS, or didn't care to."""
        return self.rank >= Stage.ASKED_FOR_TLS.rank

    @property
    def trusting(self) -> bool:
        """Whether the client went on as with its own server."""
        return self.rank >= Stage.SPOKE_OVER_TLS.rank


@dataclass(frozen=True, slots=True)
class Attempt:
    """One connection of a client to the impostor."""

    stage: Stage
    after_s: float  # since the impostor put on its disguise
    asked_for_tls: bool = False
    tls: str = ""  # the protocol version that was agreed on
    reason: str = ""  # why the handshake or the conversation ended
    finished: bool = True

    @property
    def refused(self) -> bool:
        """Whether it ended before the client spoke."""
        return self.finished and self.stage.met and not self.stage.trusting

    @property
    def wordless(self) -> bool:
        """Whether the client refused and didn't say why: it may as well have waited for too long."""
        return self.refused and self.reason in (HUNG_UP, SILENT)


def tell(attempts: Iterable[Attempt]) -> bool:
    """Whether the attempts tell how clients treat the impostor.

    One that went on does, or that said why not. Who hangs up without a word may only have run out of patience
    with a slow machine, and would have gone on: it takes another one to believe it.
    """
    ended = [each for each in attempts if each.finished and each.stage.met]
    return any(not each.wordless for each in ended) or len(ended) >= TWICE
