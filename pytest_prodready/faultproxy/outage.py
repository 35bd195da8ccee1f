"""Whether a proxy's upstream is down, for proxies that refuse their clients as long as it is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from pytest_prodready.faultproxy import addresses
from pytest_prodready.faultproxy.refusals import ApiError, ListenError

_LOOK_AGAIN_AFTER_S = 0.1
_ANSWERS_WITHIN_S = 1.0


class Outage:
    """Looks at the upstream when told to, and then as long as it is down; never while it is up."""

    def __init__(self, on_change: Callable[[], Awaitable[None]]) -> None:
        self.found = False
        self._on_change = on_change
        self._watch: asyncio.Task[None] | None = None

    async def look(self, upstream: str) -> None:
        """Find out now, and keep looking if it is down."""
        self.found = await _is_down(upstream)
        if self.found:
            self.suspect(upstream)

    def suspect(self, upstream: str) -> None:
        """Look, without waiting for it."""
        if self._watch is None:
            self._watch = asyncio.get_running_loop().create_task(self._until_up(upstream))

    def forget(self) -> None:
        """Look no more."""
        self.found = False
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    async def _until_up(self, upstream: str) -> None:
        while await self._goes_on(upstream):
            await asyncio.sleep(_LOOK_AGAIN_AFTER_S)
        self._watch = None

    async def _goes_on(self, upstream: str) -> bool:
        down = await _is_down(upstream)
        if down != self.found:
            self.found = down
            try:
                await self._on_change()
            except ListenError:  # somebody has taken the port meanwhile, and may give it back
                self.found = down = True
        return down


async def _is_down(upstream: str) -> bool:
    """Whether connections are refused; one that isn't answered at all may be slow, and counts as up."""
    try:
        async with asyncio.timeout(_ANSWERS_WITHIN_S):
            _, writer = await asyncio.open_connection(*addresses.to_dial(upstream))
    except TimeoutError:
        return False
    except (OSError, ValueError, ApiError):
        return True
    writer.close()
    return False
