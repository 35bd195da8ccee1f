"""The connection pools that an engine may be: SQLAlchemy's two engines and psycopg's two pools.

Used in the process of the engine only (engine_host), and imports nothing but the standard library: which
of the libraries is installed is the service's affair.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
Reply = dict[str, Any]

FORK_WITHIN_S = 6
PID_QUERY = "SELECT pg_backend_pid()"


class Unusable(Exception):
    """The engine can't be had; `kind` says at which step."""

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(kind)
        self.kind = kind
        self.detail = detail


class Pooled:
    """One way of pooling: what the operations need of it. All of it is awaited, sync pools in threads."""

    kind = ""
    ages = False  # whether a connection's age can be set; else the pool's own settings tell

    def __init__(self, engine: Any) -> None:
        self.engine = engine

    async def open(self) -> None:
        """Get ready for checkouts."""

    async def checkout(self, deadline_s: float) -> Any:
        """Take a connection as the service would."""
        raise NotImplementedError

    async def release(self, connection: Any) -> None:
        """Give it back."""
        raise NotImplementedError

    async def checkouts(self, count: int, deadline_s: float) -> None:
        """Take a connection and give it back, so many times."""
        for _ in range(count):
            await self.release(await self.checkout(deadline_s))

    async def scalar(self, connection: Any, statement: str) -> Any:
        """The one value that a statement returns."""
        raise NotImplementedError

    async def dispose(self) -> None:
        """Close the pooled connections."""
        raise NotImplementedError

    def figures(self) -> Reply:
        """What the pool declares of itself."""
        raise NotImplementedError

    def checked_out(self) -> int | None:
        """How many connections are in use; None where the pool doesn't count."""
        raise NotImplementedError

    def make_old(self, connection: Any, age_s: float) -> None:
        """Set a connection's age."""
        raise NotImplementedError

    def in_child(self, statement: str) -> Any:
        """Use the pool in a forked child; returns the statement's value."""
        raise NotImplementedError


class _Alchemy(Pooled):
    """What both of SQLAlchemy's engines have."""

    ages = True

    @property
    def pool(self) -> Any:
        """The pool behind the engine."""
        return self.engine.pool

    def figures(self) -> Reply:
        """What the pool declares of itself."""
        name = type(self.pool).__name__
        recycle = self.pool._recycle
        figures: Reply = {
            "pool": name,
            "size": None,
            "unbounded": False,
            "checkout_timeout_s": None,
            "recycle_s": float(recycle) if recycle is not None and recycle > -1 else None,
            "pre_ping": bool(self.pool._pre_ping),
        }
        if hasattr(self.pool, "_max_overflow"):
            overflow = self.pool._max_overflow
            figures["unbounded"] = overflow < 0
            figures["size"] = None if overflow < 0 else self.pool.size() + overflow
            figures["checkout_timeout_s"] = _seconds(self.pool.timeout())
        elif name == "NullPool":
            figures["unbounded"] = True
        elif name == "StaticPool":
            figures["size"] = 1
        return figures

    def checked_out(self) -> int | None:
        """How many connections are in use."""
        counter = getattr(self.pool, "checkedout", None)
        return int(counter()) if counter else None


class Alchemy(_Alchemy):
    """SQLAlchemy's Engine."""

    kind = "SQLAlchemy Engine"

    async def checkout(self, deadline_s: float) -> Any:
        """Take a connection as the service would."""
        return await in_thread(self.engine.connect)

    async def release(self, connection: Any) -> None:
        """Give it back."""
        await in_thread(connection.close)

    async def checkouts(self, count: int, deadline_s: float) -> None:
        """Take a connection and give it back, so many times in one thread."""

        def take() -> None:
            for _ in range(count):
                self.engine.connect().close()

        await in_thread(take)

    async def scalar(self, connection: Any, statement: str) -> Any:
        """The one value that a statement returns."""
        return await in_thread(lambda: connection.exec_driver_sql(statement).scalar())

    async def dispose(self) -> None:
        """Close the pooled connections."""
        await in_thread(self.engine.dispose)

    def make_old(self, connection: Any, age_s: float) -> None:
        """Set a connection's age."""
        connection.connection._connection_record.starttime = time.time() - age_s

    def in_child(self, statement: str) -> Any:
        """Use the pool in a forked child; returns the statement's value."""
        with self.engine.connect() as connection:
            return connection.exec_driver_sql(statement).scalar()


class AsyncAlchemy(_Alchemy):
    """SQLAlchemy's AsyncEngine."""

    kind = "SQLAlchemy AsyncEngine"

    async def checkout(self, deadline_s: float) -> Any:
        """Take a connection as the service would."""
        connection = self.engine.connect()
        await connection.start()
        return connection

    async def release(self, connection: Any) -> None:
        """Give it back."""
        await connection.close()

    async def scalar(self, connection: Any, statement: str) -> Any:
        """The one value that a statement returns."""
        return (await connection.exec_driver_sql(statement)).scalar()

    async def dispose(self) -> None:
        """Close the pooled connections."""
        await self.engine.dispose()

    def make_old(self, connection: Any, age_s: float) -> None:
        """Set a connection's age."""
        connection.sync_connection.connection._connection_record.starttime = time.time() - age_s

    def in_child(self, statement: str) -> Any:
        """Use the pool in a forked child; returns the statement's value."""

        async def ask() -> Any:
            async with self.engine.connect() as connection:
                return (await connection.exec_driver_sql(statement)).scalar()

        return run_in_child(ask)


class _Psycopg(Pooled):
    """What both of psycopg's pools have."""

    def figures(self) -> Reply:
        """What the pool declares of itself."""
        unbounded = type(self.engine).__name__.endswith("NullConnectionPool") and not self.engine.max_size
        shrinks_to_none = self.engine.min_size == 0
        limits = [self.engine.max_lifetime, *([self.engine.max_idle] if shrinks_to_none else [])]
        return {
            "pool": type(self.engine).__name__,
            "size": None if unbounded else self.engine.max_size,
            "unbounded": unbounded,
            "checkout_timeout_s": _seconds(self.engine.timeout),
            "recycle_s": _seconds(min(limits)),
            "pre_ping": getattr(self.engine, "_check", None) is not None,
        }

    def checked_out(self) -> int | None:
        """How many connections are in use."""
        seen = self.engine.get_stats()
        return max(0, int(seen.get("pool_size", 0)) - int(seen.get("pool_available", 0)))

    def _patience(self, deadline_s: float) -> float:
        return float(min(self.engine.timeout, deadline_s))


class Psycopg(_Psycopg):
    """psycopg_pool's ConnectionPool."""

    kind = "psycopg_pool ConnectionPool"

    async def open(self) -> None:
        """Get ready for checkouts."""
        if self.engine.closed:
            await in_thread(self.engine.open)

    async def checkout(self, deadline_s: float) -> Any:
        """Take a connection as the service would."""
        return await in_thread(lambda: self.engine.getconn(timeout=self._patience(deadline_s)))

    async def release(self, connection: Any) -> None:
        """Give it back."""
        await in_thread(lambda: self.engine.putconn(connection))

    async def checkouts(self, count: int, deadline_s: float) -> None:
        """Take a connection and give it back, so many times in one thread."""

        def take() -> None:
            for _ in range(count):
                self.engine.putconn(self.engine.getconn(timeout=self._patience(deadline_s)))

        await in_thread(take)

    async def scalar(self, connection: Any, statement: str) -> Any:
        """The one value that a statement returns."""
        return await in_thread(lambda: _only(connection.execute(statement).fetchone()))

    async def dispose(self) -> None:
        """Close the pooled connections."""
        await in_thread(lambda: self.engine.close(timeout=2))

    def in_child(self, statement: str) -> Any:
        """Use the pool in a forked child; returns the statement's value."""
        with self.engine.connection(timeout=FORK_WITHIN_S - 1) as connection:
            return _only(connection.execute(statement).fetchone())


class AsyncPsycopg(_Psycopg):
    """psycopg_pool's AsyncConnectionPool."""

    kind = "psycopg_pool AsyncConnectionPool"

    async def open(self) -> None:
        """Get ready for checkouts."""
        if self.engine.closed:
            await self.engine.open()

    async def checkout(self, deadline_s: float) -> Any:
        """Take a connection as the service would."""
        return await self.engine.getconn(timeout=self._patience(deadline_s))

    async def release(self, connection: Any) -> None:
        """Give it back."""
        await self.engine.putconn(connection)

    async def scalar(self, connection: Any, statement: str) -> Any:
        """The one value that a statement returns."""
        return _only(await (await connection.execute(statement)).fetchone())

    async def dispose(self) -> None:
        """Close the pooled connections."""
        await self.engine.close(timeout=2)

    def in_child(self, statement: str) -> Any:
        """Use the pool in a forked child; returns the statement's value."""

        async def ask() -> Any:
            async with self.engine.connection(timeout=FORK_WITHIN_S - 1) as connection:
                return _only(await (await connection.execute(statement)).fetchone())

        return run_in_child(ask)


async def in_thread(call: Callable[[], T]) -> T:
    """Run a blocking call in a thread of its own, which nobody waits for when it hangs."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, failure: BaseException | None) -> None:
        if done.done():
            return
        if failure is not None:
            done.set_exception(failure)
        else:
            done.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        try:
            result = call()
        except Exception as failure:
            loop.call_soon_threadsafe(settle, None, failure)
        else:
            loop.call_soon_threadsafe(settle, result, None)

    threading.Thread(target=run, daemon=True).start()
    return await done


def run_in_child(ask: Callable[[], Awaitable[Any]]) -> Any:
    """Run async code in a forked child, where the parent's event loop seems to be running still."""
    asyncio.events._set_running_loop(None)
    loop = asyncio.new_event_loop()
    return loop.run_until_complete(ask())


def recognised(made: Any) -> Pooled:
    """The pool of what a factory made, told by class names: one of the libraries may be missing."""
    kinds: dict[str, type[Pooled]] = {
        "sqlalchemy.engine.base.Engine": Alchemy,
        "sqlalchemy.ext.asyncio.engine.AsyncEngine": AsyncAlchemy,
        "psycopg_pool.pool.ConnectionPool": Psycopg,
        "psycopg_pool.pool_async.AsyncConnectionPool": AsyncPsycopg,
    }
    for each in type(made).__mro__:
        if pooled := kinds.get(f"{each.__module__}.{each.__qualname__}"):
            return pooled(made)
    raise Unusable("wrong-type", f"{type(made).__module__}.{type(made).__qualname__}")


def _only(row: Any) -> Any:
    """The only value of a row, whichever row factory the pool's connections have."""
    if isinstance(row, Mapping):
        return next(iter(row.values()))
    return row[0] if isinstance(row, Sequence) else row


def _seconds(value: Any) -> float | None:
    return None if value is None else float(value)
