"""Defects that show when the database goes away again and again, or for long."""

from __future__ import annotations

from tests.specimens import Specimen, Swap

DB = "jobboard/db.py"
CONNECT = "            return dialect.connect(*args, **parameters)\n"
PAUSE = "                self._not_before = time.monotonic() + RECONNECT_PAUSE_S\n"

SPECIMENS = (
    Specimen(
        name="failover-retry-storm",
        breaks="failover.flapping-is-survived",
        says="a storm of",
        swaps=(
            Swap(
                DB,
                CONNECT,
                """            for _ in range(100):
                try:
                    return dialect.connect(*args, **parameters)
                except OperationalError:
                    continue
            return dialect.connect(*args, **parameters)
""",
            ),
            Swap(DB, "RECONNECT_PAUSE_S = 0.1", "RECONNECT_PAUSE_S = 0.0"),
        ),
        still_passes=("health.liveness-answers",),
    ),
    Specimen(
        name="failover-leaks-on-flap",
        breaks="failover.flapping-is-survived",
        says="a leak",
        swaps=(
            Swap(
                DB,
                PAUSE,
                PAUSE
                + """                asyncio.get_running_loop().create_task(_connect_later(parameters))
""",
            ),
            Swap(
                DB,
                "def _leave_a_demoted_primary(",
                '''KEPT: list[Any] = []


async def _connect_later(parameters: Any) -> None:
    """Try until it works, whoever else does the same."""
    from psycopg import AsyncConnection
    while True:
        try:
            KEPT.append(await AsyncConnection.connect(**parameters))
            return
        except OperationalError:
            await asyncio.sleep(0.5)


def _leave_a_demoted_primary(''',
            ),
            Swap(DB, "RECONNECT_PAUSE_S = 0.1", "RECONNECT_PAUSE_S = 0.02"),
        ),
        still_passes=("health.liveness-answers",),
    ),
    Specimen(
        name="failover-backoff-without-ceiling",
        breaks="failover.long-outage-is-survived",
        says="after the heal",
        swaps=(
            Swap(
                DB,
                PAUSE,
                """                if time.monotonic() >= self._not_before:
                    self._pause = 2 * getattr(self, "_pause", 0.5)
                    self._not_before = time.monotonic() + self._pause
""",
            ),
        ),
        still_passes=("health.liveness-answers",),
    ),
    Specimen(
        name="failover-gives-up",
        breaks="failover.long-outage-is-survived",
        says="the process ended",
        swaps=(
            Swap(
                DB,
                PAUSE,
                PAUSE
                + """                self._since = getattr(self, "_since", time.monotonic())
                if time.monotonic() - self._since > 15:
                    import os
                    print("the database is lost, giving up", flush=True)
                    os._exit(1)
""",
            ),
        ),
        still_passes=("health.liveness-answers",),
    ),
)
