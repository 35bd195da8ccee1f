"""How Redis is reached: its URL, checked, and time limits that keep its loss cheap."""

import ssl
import time
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from weakref import WeakKeyDictionary

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from jobboard.settings import Settings, SettingsError

# What a URL may add. Time limits and retries are not among it: the library's own cost up to a minute.
ACCEPTED = frozenset({"db", "ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile"})
# What a URL may repeat, but not weaken.
INSISTED_ON = {"ssl_cert_reqs": "required", "ssl_check_hostname": "true"}


def connect(settings: Settings) -> Redis | None:
    """Return a client that gives up quickly and never retries, or None if no URL is set."""
    if settings.redis_url is None:
        return None
    limit = settings.redis_timeout_s
    try:
        verified = _verified_tls(settings.redis_url)
        pool = Pool.from_url(
            settings.redis_url,
            max_connections=settings.redis_max_connections,
            timeout=limit,
            socket_timeout=limit,
            socket_connect_timeout=limit,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            **verified,
        )
    except ValueError:
        # The parser's message repeats parts of the URL, and with them parts of the password.
        raise SettingsError("REDIS_URL can't be parsed; are special characters in it %-encoded?") from None
    return Redis.from_pool(pool)


class Pool(BlockingConnectionPool):
    """A pool that can leave its server.

    A primary that became a replica keeps its connections: only new ones reach its successor. Whoever takes a
    connection next renews it; closed by anybody else (`disconnect`), it may be in use by then.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._generation = 0
        self._made_in: WeakKeyDictionary[AbstractConnection, int] = WeakKeyDictionary()

    def leave(self) -> None:
        """Let no connection be used again that was made until now."""
        self._generation += 1

    async def get_connection(self, *args: Any, **options: Any) -> AbstractConnection:
        """Return a connection that was made since the server was left the last time."""
        connection: AbstractConnection
        connection = await super().get_connection(*args, **options)  # type: ignore[no-untyped-call]
        if self._made_in.setdefault(connection, self._generation) != self._generation:
            try:
                await connection.disconnect(nowait=True)
                await connection.connect()  # type: ignore[no-untyped-call]
            except BaseException:
                await self.release(connection)
                raise
            self._made_in[connection] = self._generation
        return connection


def leave(client: Redis) -> None:
    """Let its next commands go to whoever is the primary now."""
    if isinstance(client.connection_pool, Pool):
        client.connection_pool.leave()


def _verified_tls(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    if parts.scheme not in ("redis", "rediss"):
        raise SettingsError("REDIS_URL must start with redis:// or rediss://")
    for name, value in parse_qsl(parts.query):
        if name in INSISTED_ON and value.lower() != INSISTED_ON[name]:
            raise SettingsError(f"REDIS_URL asks for {name}={value}, which accepts an impostor")
        if name not in ACCEPTED and name not in INSISTED_ON:
            raise SettingsError(f"REDIS_URL has the parameter {name}, which is not supported")
    if parts.scheme == "redis":
        return {}
    return {
        "ssl_cert_reqs": "required",
        "ssl_check_hostname": True,
        "ssl_min_version": ssl.TLSVersion.TLSv1_2,
    }


class Breaker:
    """Keeps a lost server from costing every request its time limit."""

    def __init__(self, pause_s: float) -> None:
        self._pause_s = pause_s
        self._retry_at: float | None = None

    def allows(self) -> bool:
        """Say whether to try; while the server is lost, one caller may, once every pause."""
        if self._retry_at is None:
            return True
        now = time.monotonic()
        if now < self._retry_at:
            return False
        self._retry_at = now + self._pause_s
        return True

    def succeeded(self) -> None:
        """Let everybody try again."""
        self._retry_at = None

    def failed(self) -> None:
        """Let nobody try until the pause is over."""
        self._retry_at = time.monotonic() + self._pause_s
