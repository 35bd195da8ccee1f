"""Who is alone is alone, and nobody waits for ever."""

from __future__ import annotations

import fcntl
import threading
import time
from pathlib import Path

from tests.turns import GATE, turn

WITHIN_S = 10.0


def test_several_run_beside_each_other(tmp_path: Path) -> None:
    """Tests that don't ask for more share the machine."""
    with turn(tmp_path, alone=False), turn(tmp_path, alone=False):
        pass


def test_alone_waits_and_is_waited_for(tmp_path: Path) -> None:
    """Who wants to be alone comes after those who run, and before those who come later."""
    order: list[str] = []
    came = threading.Event()

    def alone() -> None:
        came.set()
        with turn(tmp_path, alone=True):
            order.append("alone")

    def later() -> None:
        with turn(tmp_path, alone=False):
            order.append("later")

    with turn(tmp_path, alone=False):
        first = threading.Thread(target=alone)
        first.start()
        assert came.wait(WITHIN_S)
        _until_gate_is_held(tmp_path)
        second = threading.Thread(target=later)
        second.start()
        order.append("before")
    for thread in (first, second):
        thread.join(WITHIN_S)
    assert order == ["before", "alone", "later"]


def _until_gate_is_held(folder: Path) -> None:
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        with (folder / GATE).open("a") as gate:
            try:
                fcntl.flock(gate, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
    raise AssertionError("nobody came to the gate")
