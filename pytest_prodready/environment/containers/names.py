"""The names under which a container's clients may know it, for its certificate."""

from __future__ import annotations

import ipaddress
from contextlib import suppress

from pytest_prodready.environment.containers.stage import Stage
from pytest_prodready.environment.ports import LOOPBACK

PROXY = "faultproxy"  # the fault proxy's name: clients reach every server through it


def certificate_names(stage: Stage, name: str) -> tuple[str, ...]:
    """Loopback, the engine's host, and the names on the run's network; through the proxy as well."""
    names = ["localhost", LOOPBACK, stage.engine.host, stage.alias(name), stage.alias(PROXY)]
    if stage.engine.direct and not stage.engine.joins:
        names += _all_addresses(stage)
    return tuple(dict.fromkeys(names))


def _all_addresses(stage: Stage) -> list[str]:
    """The first addresses of the run's network, one of which each container will be given."""
    gateway = stage.gateway()
    if gateway is None:
        return []
    with suppress(ValueError):
        first = int(ipaddress.ip_address(gateway))
        return [str(ipaddress.ip_address(first + offset)) for offset in range(1, 17)]
    return []
