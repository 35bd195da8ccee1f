"""A name for the service's Postgres that can be given another address, as a managed database does it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from pytest_prodready.environment.certificates import POSTGRES_NAME
from pytest_prodready.environment.database import Database
from pytest_prodready.environment.hosts import ELSEWHERE, Hosts
from pytest_prodready.environment.proxy_process import ProxyProcess
from pytest_prodready.environment.runs import Run
from pytest_prodready.environment.service import Endpoint
from pytest_prodready.environment.values import of_servers
from pytest_prodready.faults import Proxied

Mark = Callable[[str], None]
STALE_S = 1.0  # the name still has its old address when that is dead already, as any record has


@dataclass(frozen=True)
class MovingName:
    """The name, and the two addresses that it can have: the same port, behind both the same Postgres."""

    hosts: Hosts
    old: Proxied
    new: Proxied
    nowhere: Endpoint  # refuses whoever connects
    database: Database  # by this name

    @property
    def values(self) -> Mapping[str, str]:
        """What the placeholders of the service are with it."""
        return of_servers(self.database, None)

    @property
    def launcher(self) -> tuple[str, ...]:
        """What starts a service that looks the name up here."""
        return self.hosts.launcher

    @contextmanager
    def moved(self, mark: Mark, *, stale_s: float = STALE_S) -> Iterator[None]:
        """Let the old address die, and then the name be found at the new one; marks dead, moved.

        Whoever comes to the old address is counted there, and reset. Afterwards both addresses answer, and
        the name stays at the new one.
        """
        with self.old.reset_while_upstream_is_down(), self.old.upstream_switched(str(self.nowhere)):
            mark("dead")
            threading.Event().wait(stale_s)
            self.hosts.point_to(self.new.host)
            mark("moved")
            yield


@contextmanager
def moving(run: Run, database: Database) -> Iterator[MovingName]:
    """The name and what listens at its addresses, as long as the block lasts."""
    with ExitStack() as undone:
        # A proxy of our own at both, on every backend: what listens elsewhere is led to by it.
        proxy = ProxyProcess(run, name="moving-name", built_in=True)
        undone.callback(proxy.discard)
        proxy.create()
        old = proxy.in_front_of("old-address", database.reached_at)
        new = proxy.control.create("new-address", str(database.reached_at), f"{ELSEWHERE}:{old.port}")
        nowhere = run.ports.reserve()
        undone.callback(run.ports.release, nowhere)
        hosts = Hosts(run.folder / "hosts", POSTGRES_NAME)
        undone.callback(hosts.file.unlink, missing_ok=True)
        named = replace(database, endpoint=Endpoint(hosts.name, old.port), proxied=None, inside=None)
        yield MovingName(hosts, old, new, Endpoint(old.host, nowhere), named)
