"""What this server tells or does beyond Toxiproxy, under a path of its own."""

from __future__ import annotations

from pytest_prodready.faultproxy.proxies import Proxy

NAMES = ("connections",)


def connections(proxy: Proxy) -> dict[str, object]:
    """How many clients are and were connected, and when the last ones came (Unix time in seconds)."""
    return {
        "open": len(proxy.connections),
        "accepted": proxy.accepted,
        "refused_upstream": proxy.refused_upstream,
        "accepted_at": list(proxy.accepted_at),
    }
