"""How a proxy receives clients, beyond what Toxiproxy's API can say; by default as Toxiproxy does."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from pytest_prodready.faultproxy import bodies
from pytest_prodready.faultproxy.listeners import mute_unavailable
from pytest_prodready.faultproxy.refusals import ApiError, bad_body, not_here

_ACCEPTING = ("open", "refused", "unanswered")
_UPSTREAM_DOWN = ("end", "reset", "refuse")


@dataclass(frozen=True, slots=True)
class Admission:
    """What becomes of clients that come, whatever becomes of those that are there."""

    accepting: str = "open"  # or refused, or unanswered: their connect times out
    open_delay: int = 0  # ms between accepting a client and connecting to the upstream
    upstream_down: str = "end"  # or reset; or refuse: also refuse all clients until it is back

    def shown(self) -> dict[str, object]:
        """As JSON."""
        return asdict(self)

    def changed(self, body: object) -> Admission:
        """With what a PATCH asks for."""
        fields = bodies.as_fields(body, "admission")
        wanted = Admission(
            _one_of(_ACCEPTING, fields, "accepting", self.accepting),
            bodies.integer(fields, "open_delay", self.open_delay),
            _one_of(_UPSTREAM_DOWN, fields, "upstream_down", self.upstream_down),
        )
        if wanted.open_delay < 0:
            raise bad_body(f"open_delay is {wanted.open_delay} ms, must be at least 0")
        problem = mute_unavailable() if wanted.accepting == "unanswered" else None
        if problem:
            raise not_here("accepting unanswered", problem)
        return wanted


def _one_of(allowed: tuple[str, ...], fields: bodies.Fields, name: str, default: str) -> str:
    value = bodies.text(fields, name, default)
    if value not in allowed:
        raise _unknown(name, value, allowed)
    return value


def _unknown(name: str, value: str, allowed: tuple[str, ...]) -> ApiError:
    return bad_body(f"{name} is {value!r}, must be one of {', '.join(allowed)}")
