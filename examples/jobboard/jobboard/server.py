"""The server: it leaves without losing a request."""

import asyncio
import socket
import time
from types import FrameType

import uvicorn

from jobboard.app import create_app
from jobboard.settings import Settings

# Connections accepted in the last moment get this long to send their request.
LAST_REQUESTS_S = 0.25
# Longer than load balancers keep idle connections, so that they close them and not this end.
KEEP_ALIVE_S = 75


class DrainingServer(uvicorn.Server):
    """A uvicorn server that goes on accepting for a while after it was told to stop.

    Readiness says no at once, and whoever sends requests here needs that while to notice.
    """

    def __init__(self, settings: Settings, host: str, port: int) -> None:
        application, self._service = create_app(settings)
        self._drain_s = settings.drain_s
        self._stop_at: float | None = None
        super().__init__(
            uvicorn.Config(
                application,
                host=host,
                port=port,
                log_config=None,
                access_log=False,
                server_header=False,
                ws="none",
                lifespan="on",
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=round(settings.shutdown_s),
            )
        )

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain; the signal isn't raised again afterwards, so that the exit code is 0."""
        self._service.draining = True
        if self._stop_at is None:
            self._stop_at = time.monotonic() + self._drain_s

    async def on_tick(self, counter: int) -> bool:
        """Stop when the drain window is over."""
        if self._stop_at is not None and time.monotonic() >= self._stop_at:
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, let requests finish, then close every connection."""
        for server in self.servers:
            server.close()
        await asyncio.sleep(LAST_REQUESTS_S)
        await super().shutdown(sockets)
