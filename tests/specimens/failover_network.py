"""Defects that show when the database's network fails."""

from __future__ import annotations

from tests.specimens import Specimen, Swap

NO_DEADLINE = Swap(
    "jobboard/settings.py", "request_deadline_s: float = 5.0", "request_deadline_s: float = 60.0"
)
SERVED = "            async with asyncio.timeout(self._deadline_s):\n"

SPECIMENS = (
    Specimen(
        name="failover-no-deadline",
        breaks="failover.stall-is-bounded",
        says="had no answer within",
        also=frozenset({"failover.slow-database-is-isolated"}),
        swaps=(NO_DEADLINE,),
        still_passes=("health.liveness-answers",),
    ),
    Specimen(
        name="failover-no-keepalive",
        breaks="failover.dead-peer-is-noticed",
        says="had no answer within",
        also=frozenset({"failover.stall-is-bounded", "failover.slow-database-is-isolated"}),
        swaps=(
            NO_DEADLINE,
            Swap("jobboard/dsn.py", '    "keepalives": "1",\n', '    "keepalives": "0",\n'),
            Swap("jobboard/dsn.py", '    "tcp_user_timeout": "5000",\n', ""),
        ),
        still_passes=("health.liveness-answers",),
    ),
    Specimen(
        name="failover-workers-captured",
        breaks="failover.slow-database-is-isolated",
        says="requests that need no database took",
        swaps=(
            Swap(
                "jobboard/guard.py",
                'log = logging.getLogger("jobboard.access")\n',
                'log = logging.getLogger("jobboard.access")\nWORKERS = asyncio.Semaphore(8)\n',
            ),
            Swap("jobboard/guard.py", SERVED, SERVED.replace(":\n", ", WORKERS:\n")),
        ),
        still_passes=("health.liveness-answers",),
    ),
)
