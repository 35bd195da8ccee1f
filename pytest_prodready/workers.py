"""The workers of one session (pytest-xdist): which of them measures, while the others wait."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pytest_prodready.environment.locks import locked_file
from pytest_prodready.environment.runs import base_folder
from pytest_prodready.errors import ServerError
from pytest_prodready.records import Record
from pytest_prodready.stopwatch import QUEUED, spent

ALONE_WITHIN_S = 3600.0  # a load that is tried twice, or restores of a large backup, take their time
MADE_WITHIN_S = 2 * ALONE_WITHIN_S  # by another worker, which may have to wait for the machine first


class StillMeasuring(Exception):
    """Another worker was still measuring when the wait for it ended."""


def has_workers() -> bool:
    """Whether this process is one of several workers."""
    return "PYTEST_XDIST_TESTRUNUID" in os.environ


def own_folder() -> str:
    """Where one of several workers keeps the logs of its own servers, such as gw0/; empty for one alone."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    return f"{worker}/" if worker else ""


@contextmanager
def in_turn(record: Record, name: str) -> Iterator[None]:
    """Let one worker make the measurement of this name; the others wait until it is there or has failed."""
    with _held(lambda: record.lock_of(name), within_s=MADE_WITHIN_S):
        yield


@contextmanager
def alone() -> Iterator[None]:
    """Let no other worker measure meanwhile, so that none measures another's load."""
    with _held(lambda: base_folder() / "measuring.lock", within_s=ALONE_WITHIN_S):
        yield


@contextmanager
def _held(lock: Callable[[], Path], *, within_s: float) -> Iterator[None]:
    with ExitStack() as held:
        if has_workers():
            with spent(QUEUED):
                try:
                    held.enter_context(locked_file(lock(), within_s=within_s))
                except ServerError as failure:
                    raise StillMeasuring(
                        f"another worker was still measuring after {within_s:g} s: {failure}"
                    ) from None
        yield
