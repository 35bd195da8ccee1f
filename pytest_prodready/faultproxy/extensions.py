"""The names of what this server does beyond Toxiproxy, and what keeps some from working here."""

from __future__ import annotations

from collections.abc import Callable

from pytest_prodready.faultproxy import listeners, packet_filter


def _anywhere() -> str | None:
    return None


# Each with what tells why it doesn't work here.
_EXTENSIONS: dict[str, Callable[[], str | None]] = {
    "connections": _anywhere,
    "connection_age": _anywhere,
    "packet_loss": packet_filter.unavailable,
    "total_bandwidth": _anywhere,
    "new_refused": _anywhere,
    "new_unanswered": listeners.mute_unavailable,
    "open_delay": _anywhere,
    "upstream_down": _anywhere,
    "proxy_with_toxics": _anywhere,
    "keep_live": _anywhere,
}


def shown() -> dict[str, object]:
    """Those that work, and the others with the reason why they don't."""
    reasons = {name: unavailable() for name, unavailable in _EXTENSIONS.items()}
    return {
        "available": [name for name, reason in reasons.items() if reason is None],
        "unavailable": {name: reason for name, reason in reasons.items() if reason is not None},
    }
