"""A standby that the service reads from, there only as long as it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from pytest_prodready.environment.roles import ApplicationRole, ProxyRole
from pytest_prodready.environment.service import Endpoint, Seen
from pytest_prodready.environment.standby import Standby
from pytest_prodready.faults import Proxied

PROXY = "postgres_replica"


@dataclass(frozen=True)
class ReadReplica:
    """A standby, the proxy in front of it, and an instance of the service that is told of it."""

    standby: Standby
    proxied: Proxied
    application: ApplicationRole


@contextmanager
def reading(application: ApplicationRole, standby: Standby, proxy: ProxyRole) -> Iterator[ReadReplica]:
    """An instance of the service whose {postgres.replica_url} leads to this standby."""
    with ExitStack() as undone:
        proxied = proxy.in_front_of(PROXY, standby.upstream)
        undone.callback(proxy.remove, proxied)
        seen = Seen(Endpoint(proxied.host, proxied.port), proxy.inside(PROXY))
        instance = undone.enter_context(application.reading_from(seen))
        yield ReadReplica(standby, proxied, instance)
