"""Writing to a demoted Redis until it works again: how the probe tells when that was."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_prodready.environment.cache import Cache
from pytest_prodready.environment.replica import RedisReplica
from pytest_prodready.probes import failover_redis_demoted
from pytest_prodready.probes.failover_redis_demoted import Writing
from pytest_prodready.probes.health import wait_until

REPLICA = cast(RedisReplica, SimpleNamespace(primary=None, cache=None))


class Looks(Writing):
    """Looks that each take a while and find what is told."""

    def __init__(self, *found: str, look_s: float) -> None:
        super().__init__(cast(Any, None), None, None)
        self._found, self._look_s = list(found), look_s

    def _wrong(self, _: Cache) -> str:
        wait_until(time.monotonic() + self._look_s)
        return self._found.pop(0) if self._found else ""


@pytest.fixture(autouse=True)
def _nothing_is_read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failover_redis_demoted, "read_only_errors", lambda _: 0)


def test_a_row_that_began_in_time() -> None:
    """Where looks take long, a row that began in time is finished, and its time is told as uncertain."""
    looks = Looks("views got 503", look_s=0.2)
    looks.until_well(REPLICA, earlier=0, within_s=0.4)
    assert looks.recovered_s is not None
    assert 0.2 <= looks.recovered_s < 0.4
    assert looks.uncertainty_s == pytest.approx(looks.recovered_s, abs=0.01)


def test_never_well() -> None:
    """Nothing is recovered where the last look found something wrong."""
    looks = Looks(*["views got 503"] * 50, look_s=0.02)
    looks.until_well(REPLICA, earlier=0, within_s=0.3)
    assert looks.recovered_s is None
    assert looks.last == "views got 503"
