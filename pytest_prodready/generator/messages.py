"""What a master and its workers say to each other, over Locust's own connection between them.

A worker says HELLO, and gets its slice with PLAN. When its users are there it says READY; its clock is asked
for (CLOCK) some times, and BEGIN names the start by that clock. What it writes travels in BATCHes, which are
counted. Both say ALIVE all the time: who is silent for too long is lost. OVER is the end, with the reason.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

HELLO, READY, BATCH = "prodready hello", "prodready ready", "prodready batch"
PLAN, BEGIN, END_CLIMB, OVER = (
    "prodready plan",
    "prodready begin",
    "prodready end climb",
    "prodready over",
)
CLOCK, ALIVE = "prodready clock", "prodready alive"
FROM_WORKER = (HELLO, READY, CLOCK, BATCH, ALIVE)
FROM_MASTER = (PLAN, CLOCK, BEGIN, END_CLIMB, OVER, ALIVE)

PORT = 5557  # as Locust's own
ALIVE_EVERY_S = 0.25
WORKER_LOST_S = 2.0  # so long nobody is silent who lives
MASTER_LOST_S = 5.0

Said = dict[str, Any]


def ours() -> str:
    """The version of this package: a worker of another one may know other plans, or judge otherwise."""
    try:
        return version("pytest-prodready")
    except PackageNotFoundError:
        return "unknown"
