"""The database: one pool, and no way to hold a connection longer than the work on it."""

import asyncio
import time
import traceback
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeVar, cast

from psycopg import OperationalError
from sqlalchemy import URL, event
from sqlalchemy.engine import Dialect, ExceptionContext
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import QueuePool

from jobboard.dsn import connection_parameters
from jobboard.outages import READ_ONLY_TRANSACTION, Unavailable, as_outage, sqlstate
from jobboard.settings import Settings

T = TypeVar("T")
Work = Callable[[AsyncConnection], Awaitable[T]]

# How long an abandoned query may take to obey its cancellation before its connection is closed.
CANCEL_GRACE_S = 1.0
# After a failed connection attempt the next is made no sooner, so that a returning database isn't stormed.
RECONNECT_PAUSE_S = 0.1


def make_engine(url: str | None = None, settings: Settings | None = None) -> AsyncEngine:
    """Return an engine with the pool of production for the URL, or for DATABASE_URL."""
    settings = settings or (Settings(database_url=url) if url else Settings.from_env())
    parameters = connection_parameters(replace(settings, database_url=url) if url else settings)
    engine = create_async_engine(
        # The password travels in connect_args alone, so nothing that shows an engine can show it.
        URL.create("postgresql+psycopg", username=parameters.get("user"), database=parameters.get("dbname")),
        connect_args=parameters,
        pool_size=settings.pool_size,
        max_overflow=0,
        pool_timeout=settings.pool_timeout_s,
        pool_recycle=settings.pool_recycle_s,
        pool_pre_ping=True,
        hide_parameters=True,
    )
    event.listen(engine.sync_engine, "do_connect", _Connecting().connect)
    event.listen(engine.sync_engine, "handle_error", _leave_a_demoted_primary)
    return engine


class _Connecting:
    """Opens connections, and pauses after a failure instead of trying again for every request."""

    def __init__(self) -> None:
        self._not_before = 0.0

    def connect(self, dialect: Dialect, record: Any, args: list[Any], parameters: dict[str, Any]) -> Any:
        if time.monotonic() < self._not_before:
            raise OperationalError("the last attempt to connect has just failed")
        try:
            return dialect.connect(*args, **parameters)
        except BaseException as error:
            if isinstance(error, OperationalError):
                self._not_before = time.monotonic() + RECONNECT_PAUSE_S
            # The socket of the attempt is held by the frames of the traceback, and on the server a backend by
            # the socket; neither may wait for the error to be collected as garbage.
            traceback.clear_frames(error.__traceback__)
            raise


def _leave_a_demoted_primary(context: ExceptionContext) -> None:
    # A primary that became read-only keeps its connections open: only new ones reach its successor.
    if sqlstate(context.original_exception) == READ_ONLY_TRANSACTION:
        context.is_disconnect = True


class Database:
    """Runs work on pooled connections; its callers never hold a connection themselves."""

    def __init__(self, engine: AsyncEngine, max_waiting: int) -> None:
        self._engine = engine
        # A read needs no transaction: one round trip instead of three, and never idle in transaction.
        self._autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._most = cast(QueuePool, engine.pool).size() + max_waiting
        self._running: set[asyncio.Task[Any]] = set()
        self._unwinding: set[asyncio.Task[None]] = set()
        self.last_answer = float("-inf")

    async def read(self, work: Work[T]) -> T:
        """Run work that only reads; it runs once more if its connection was lost on the way."""
        try:
            return await self._run(self._reading, work)
        except Unavailable as outage:
            if not outage.connection_lost:
                raise
        return await self._run(self._reading, work)

    async def write(self, work: Work[T]) -> T:
        """Run work in a transaction, which is committed when the work returns."""
        return await self._run(self._writing, work)

    def usage(self) -> tuple[int, int]:
        """Return the size of the pool and how many of its connections are in use."""
        pool = cast(QueuePool, self._engine.pool)
        return pool.size(), pool.checkedout()

    async def close(self) -> None:
        """Close every connection, after abandoned work has let go of its own."""
        if self._unwinding:
            await asyncio.wait(self._unwinding, timeout=3 * CANCEL_GRACE_S)
        await self._engine.dispose()

    async def _reading(self, work: Work[T]) -> T:
        async with self._autocommit.connect() as connection:
            return await work(connection)

    async def _writing(self, work: Work[T]) -> T:
        async with self._engine.begin() as connection:
            return await work(connection)

    async def _run(self, run: Callable[[Work[T]], Coroutine[Any, Any, T]], work: Work[T]) -> T:
        # Beyond this queue a request would only wait to be refused, and slow down those before it.
        if len(self._running) >= self._most:
            raise Unavailable("TooManyWaiting")
        task = asyncio.create_task(run(work))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            # Unlike awaiting the task, waiting for it leaves its cancellation to _abandon.
            await asyncio.wait({task})
        except asyncio.CancelledError:
            self._abandon(task)
            raise
        return self._outcome(task)

    def _outcome(self, task: asyncio.Task[T]) -> T:
        error = task.exception()
        if isinstance(error, SQLAlchemyError):
            # Outside an except clause, so that an outage doesn't drag the error and its frames along.
            raise as_outage(error) or error
        result = task.result()
        self.last_answer = time.monotonic()
        return result

    def _abandon(self, task: asyncio.Task[Any]) -> None:
        unwinding = asyncio.create_task(_unwind(task))
        self._unwinding.add(unwinding)
        unwinding.add_done_callback(self._unwinding.discard)


async def _unwind(task: asyncio.Task[Any]) -> None:
    """Cancel the query on the server; close the connection if the server doesn't obey in time.

    The first cancellation makes psycopg send a cancel request and wait for its effect, for up to 10 s when
    the server is stalled. The second one makes it give up and close the connection.
    """
    for _ in range(2):
        task.cancel()
        await asyncio.wait({task}, timeout=CANCEL_GRACE_S)
        if task.done():
            break
    if not task.cancelled() and task.done():
        task.exception()  # Retrieved, so that asyncio doesn't report it as forgotten.
