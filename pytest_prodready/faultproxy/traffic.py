"""What passed through a proxy, counted."""

from __future__ import annotations

import time
from collections import deque

from pytest_prodready.faultproxy.links import Connection

_REMEMBERED_ACCEPTS = 10_000
_REMEMBERED_SECONDS = 300


class Traffic:
    """Clients and bytes of one proxy since it was created."""

    def __init__(self) -> None:
        self.accepted = 0
        self.refused_upstream = 0
        self.live: set[Connection] = set()
        self._accepted_at: deque[float] = deque(maxlen=_REMEMBERED_ACCEPTS)
        self._seconds: deque[list[int]] = deque(maxlen=_REMEMBERED_SECONDS)
        self._bytes = {"upstream": 0, "downstream": 0}  # of connections that are closed

    def accept(self) -> None:
        """Count a client."""
        now = time.time()
        self.accepted += 1
        self._accepted_at.append(now)
        if not self._seconds or self._seconds[-1][0] != int(now):
            self._seconds.append([int(now), 0])
        self._seconds[-1][1] += 1

    def closed(self, connection: Connection) -> None:
        """Add a connection's bytes to those of the closed ones."""
        self.live.discard(connection)
        for direction, link in connection.links.items():
            self._bytes[direction] += link.carried

    def shown(self) -> dict[str, object]:
        """The counts as JSON; times are Unix times in seconds."""
        return {
            "open": len(self.live),
            "accepted": self.accepted,
            "refused_upstream": self.refused_upstream,
            "accepted_at": list(self._accepted_at),
            "accepted_per_second": [list(second) for second in self._seconds],
            "bytes": {
                "upstream": self._carried("upstream"),
                "downstream": self._carried("downstream"),
            },
        }

    def _carried(self, direction: str) -> int:
        links = (
            link for connection in self.live for way, link in connection.links.items() if way == direction
        )
        return self._bytes[direction] + sum(link.carried for link in links)
