"""The process of a service's own engine: does to it what each line on stdin asks for.

One JSON object a line in both directions; the answers leave by a descriptor of their own, because the
service's code may print. It ends with its parent.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import os
import queue
import signal
import sys
import threading
import time
import warnings
from collections.abc import Awaitable
from typing import Any

from pytest_prodready.probes.engine_pools import (
    FORK_WITHIN_S,
    PID_QUERY,
    Pooled,
    Reply,
    Unusable,
    in_thread,
    recognised,
)

OWN_QUERY = (
    "SELECT backend_start > '{forked_at}'::timestamptz FROM pg_stat_activity WHERE pid = pg_backend_pid()"
)
Lines = queue.SimpleQueue[bytes]


class Operations:
    """What a line on stdin may ask for, by its name."""

    def __init__(self, pooled: Pooled) -> None:
        self.pooled = pooled
        self.held: list[Any] = []
        self.late: set[asyncio.Task[Any]] = set()

    async def connect(self, deadline_s: float) -> Reply:
        """Take one connection, ask for its backend's pid, give it back."""
        return await timed(self._use(deadline_s), deadline_s, "backend_pid")

    async def figures(self, deadline_s: float) -> Reply:
        """What the pool declares of itself."""
        return {"kind": self.pooled.kind, **self.pooled.figures()}

    async def hold(self, count: int, deadline_s: float) -> Reply:
        """Take so many connections and keep them."""

        async def take() -> None:
            while len(self.held) < count:
                self.held.append(await self.pooled.checkout(deadline_s))

        reply = await timed(take(), deadline_s)
        return {**reply, "held": len(self.held)}

    async def one_more(self, deadline_s: float) -> Reply:
        """Ask for one more connection, and give it back if it comes, also when it comes too late."""
        began = time.monotonic()
        task = asyncio.ensure_future(self.pooled.checkout(deadline_s))
        await asyncio.wait({task}, timeout=deadline_s)
        seconds = time.monotonic() - began
        if not task.done():
            self.late.add(task)
            task.add_done_callback(self._give_back_late)
            return {"ok": False, "error_kind": None, "timed_out": True, "seconds": seconds}
        if failure := task.exception():
            return {"ok": False, "error_kind": kind_of(failure), "timed_out": False, "seconds": seconds}
        await self.pooled.release(task.result())
        return {"ok": True, "error_kind": None, "timed_out": False, "seconds": seconds}

    async def checkouts(self, count: int, deadline_s: float) -> Reply:
        """Take a connection and give it back, so many times."""
        return await timed(self.pooled.checkouts(count, deadline_s), deadline_s)

    async def release(self, deadline_s: float) -> Reply:
        """Give back all that is held, and count what is still out."""

        async def give_back() -> None:
            while self.held:
                await self.pooled.release(self.held.pop())
            if self.late:
                await asyncio.wait(self.late, timeout=deadline_s / 2)

        reply = await timed(give_back(), deadline_s)
        return {**reply, "checked_out": self.pooled.checked_out()}

    async def setting(self, name: str, deadline_s: float) -> Reply:
        """The session's value of a server setting, as text."""
        query = f"SELECT setting FROM pg_settings WHERE name = '{name}'"  # noqa: S608 (a name of ours)
        return await timed(self._use(deadline_s, query), deadline_s, "value")

    async def sleep(self, sleep_s: float, deadline_s: float) -> Reply:
        """Run a statement that takes so long."""
        return await timed(self._use(deadline_s, f"SELECT pg_sleep({float(sleep_s)})"), deadline_s)

    async def age(self, age_s: float, deadline_s: float) -> Reply:
        """Make the only pooled connection this old, then see whether the next checkout still gets it."""

        async def grow_old() -> Reply:
            await self.pooled.dispose()
            connection = await self.pooled.checkout(deadline_s)
            first = await self.pooled.scalar(connection, PID_QUERY)
            self.pooled.make_old(connection, age_s)
            await self.pooled.release(connection)
            return {"first_pid": first, "aged": True, "second_pid": await self._use(deadline_s)}

        if not self.pooled.ages:  # it goes by its settings, which `figures` tells
            return {"ok": True, "error_kind": None, "aged": False, "first_pid": None, "second_pid": None}
        reply = await timed(grow_old(), deadline_s, "seen")
        return {
            **reply,
            **(reply.pop("seen", None) or {"aged": False, "first_pid": None, "second_pid": None}),
        }

    async def fork(self, deadline_s: float) -> Reply:
        """Use the pool, fork, use it in the child as it is: whether the child got a connection of its own."""
        before = await timed(self._use(deadline_s, "SELECT clock_timestamp()::text"), deadline_s, "forked_at")
        if not before["ok"]:
            return {"ok": False, "error_kind": before["error_kind"], "own": None, "child_error_kind": None}
        # Whatever backend it gets: one that started before the fork is the parent's.
        child = fork_and_use(self.pooled, OWN_QUERY.format(forked_at=before["forked_at"]))
        return {"ok": True, "error_kind": None, **child}

    async def dispose(self, deadline_s: float) -> Reply:
        """Close what is pooled."""
        return await timed(self.pooled.dispose(), deadline_s)

    async def _use(self, deadline_s: float, statement: str = PID_QUERY) -> Any:
        connection = await self.pooled.checkout(deadline_s)
        try:
            return await self.pooled.scalar(connection, statement)
        finally:
            await self.pooled.release(connection)

    def _give_back_late(self, task: asyncio.Task[Any]) -> None:
        self.late.discard(task)
        if not task.cancelled() and task.exception() is None:
            back = asyncio.ensure_future(self.pooled.release(task.result()))
            self.late.add(back)
            back.add_done_callback(self.late.discard)


async def timed(work: Awaitable[Any], deadline_s: float, name: str = "") -> Reply:
    """Await the work until the deadline and tell how it ended; the result goes under `name`."""
    began = time.monotonic()
    reply: Reply = {"ok": False, "error_kind": None, "timed_out": False}
    try:
        result = await asyncio.wait_for(work, deadline_s)
    except Exception as failure:
        reply["timed_out"] = isinstance(failure, TimeoutError) and time.monotonic() - began >= deadline_s
        reply["error_kind"] = kind_of(failure)
        reply["sqlstate"] = sqlstate_of(failure)
    else:
        reply["ok"] = True
        if name:
            reply[name] = result
    reply["seconds"] = time.monotonic() - began
    return reply


def kind_of(failure: BaseException) -> str:
    """Class names only, the driver's within the library's: messages may hold addresses and secrets."""
    names = [type(failure).__name__]
    inner = getattr(failure, "orig", None) or failure.__cause__
    if inner is not None and type(inner).__name__ not in names:
        names.append(type(inner).__name__)
    return " from ".join(names)


def sqlstate_of(failure: BaseException) -> str | None:
    """The server's code of the failure, where it is one of the server's."""
    inner = getattr(failure, "orig", None) or failure
    state = getattr(inner, "sqlstate", None) or getattr(inner, "pgcode", None)
    return str(state) if state else None


def fork_and_use(pooled: Pooled, statement: str) -> Reply:
    """Fork, and use the pool in the child, which ends by an alarm if that hangs."""
    read_end, write_end = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # threads are running, and the alarm ends a child that needs them
        child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(FORK_WITHIN_S)
        reply: Reply = {"own": None, "child_error_kind": None}
        try:
            reply["own"] = bool(pooled.in_child(statement))
        except BaseException as failure:
            reply["child_error_kind"] = kind_of(failure)
        finally:
            os.write(write_end, json.dumps(reply).encode())
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return json.loads(text) if text else {"own": None, "child_error_kind": "no answer"}


async def opened(factory: Any) -> Pooled:
    """Call the factory, recognise what it returns, and get it ready."""
    pooled = recognised(await _made(factory))
    try:
        await pooled.open()
    except Exception as failure:
        raise Unusable("failed", f"{type(failure).__name__}: {failure}") from None
    return pooled


def _found(target: str) -> Any:
    module_name, _, path = target.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as failure:
        if failure.name and (module_name == failure.name or module_name.startswith(f"{failure.name}.")):
            raise Unusable("no-module", failure.name) from None
        raise Unusable("import-failed", f"{type(failure).__name__}: {failure}") from None
    except BaseException as failure:
        raise Unusable("import-failed", f"{type(failure).__name__}: {failure}") from None
    for name in path.split("."):
        if not hasattr(found, name):
            public = [each for each, value in vars(found).items() if _is_theirs(each, value, module_name)]
            raise Unusable("no-factory", " ".join(sorted(public)))
        found = getattr(found, name)
    return found


def _is_theirs(name: str, value: Any, module_name: str) -> bool:
    return not name.startswith("_") and getattr(value, "__module__", None) == module_name


async def _made(factory: Any) -> Any:
    if not callable(factory):
        return factory  # an engine itself
    try:
        try:
            made = factory()
        except RuntimeError as failure:
            if "running event loop" not in str(failure):
                raise
            made = await in_thread(factory)
        return await made if inspect.isawaitable(made) else made
    except BaseException as failure:
        raise Unusable("failed", f"{type(failure).__name__}: {failure}") from None


async def serve(factory: Any, lines: Lines, replies: int) -> None:
    """Answer lines until stdin ends."""
    operations = Operations(await opened(factory))
    say(replies, {"kind": operations.pooled.kind})
    while True:
        request = json.loads(await in_thread(lines.get))
        try:
            say(replies, await getattr(operations, request.pop("do"))(**request))
        except Exception as failure:
            say(replies, {"ok": False, "error_kind": kind_of(failure), "timed_out": False, "seconds": 0.0})


def say(replies: int, reply: Reply) -> None:
    """Send one line."""
    os.write(replies, json.dumps(reply).encode() + b"\n")


def _read(requests: int, lines: Lines) -> None:
    """Pass lines on; when they end the parent is gone, and so are we, whatever is running."""
    with os.fdopen(requests, "rb") as source:
        for line in source:
            lines.put(line)
    os._exit(0)


def main(target: str) -> None:
    """Take stdin and stdout for ourselves, and look at the engine from the service's folder."""
    requests, replies = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    sys.path.insert(0, os.getcwd())  # noqa: PTH109
    sys.argv = [target]
    lines: Lines = queue.SimpleQueue()
    threading.Thread(target=_read, args=(requests, lines), daemon=True).start()
    try:
        asyncio.run(serve(_found(target), lines, replies))
    except Unusable as failure:
        say(replies, {"unusable": failure.kind, "detail": failure.detail})
    os._exit(0)
