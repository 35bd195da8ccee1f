"""Look at something again and again, from a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psycopg

from pytest_prodready.errors import ProdreadyError


@contextmanager
def every(seconds: float, look: Callable[[], None]) -> Iterator[None]:
    """Look every so often until the block ends; a look that fails is left out."""
    stop = threading.Event()

    def watch() -> None:
        due = time.monotonic()
        while not stop.wait(max(0.0, due - time.monotonic())):
            with suppress(ProdreadyError, psycopg.Error):
                look()
            due = max(due + seconds, time.monotonic())

    thread = threading.Thread(target=watch, name="prodready-watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
