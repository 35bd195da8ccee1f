"""How well the generator itself is: the processor's time that it took, and that it had to wait for."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

SCHEDSTAT = Path("/proc/self/schedstat")
PRESSURE = Path("/proc/pressure/cpu")
STAT = Path("/proc/stat")
STEAL = 8  # the field of /proc/stat's first line


class Health:
    """Counts since the last look."""

    def __init__(self) -> None:
        self.lags: list[float] = []  # of a short sleep, in seconds
        self._last = _counters()

    def look(self) -> dict[str, float | None]:
        """Shares of the time since the last look; None where the system doesn't tell."""
        now, last = _counters(), self._last
        self._last = now
        seconds = max(1e-6, now["at"] - last["at"])

        def share(name: str) -> float | None:
            if name not in now or name not in last:
                return None
            return round((now[name] - last[name]) / seconds, 4)

        lags, self.lags = sorted(self.lags), []
        return {
            "cpu": share("cpu"),
            "delay": share("delay"),
            "steal": share("steal"),
            "pressure": share("pressure"),
            "lag_ms": round(1000 * lags[int(0.99 * len(lags))], 2) if lags else None,
        }


def _counters() -> dict[str, float]:
    """Seconds by kind."""
    found = {"at": time.perf_counter(), "cpu": time.process_time()}
    with suppress(OSError, ValueError, IndexError):
        found["delay"] = int(SCHEDSTAT.read_text().split()[1]) / 1e9
    with suppress(OSError, ValueError, IndexError):
        found["steal"] = int(STAT.read_text().split(maxsplit=STEAL + 1)[STEAL]) / 100
    with suppress(OSError, ValueError, IndexError):
        found["pressure"] = int(PRESSURE.read_text().splitlines()[0].rpartition("total=")[2]) / 1e6
    return found
