"""A name for the service's Postgres that can be given another address, as a managed database does it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from pytest_prodready.environment.certificates import POSTGRES_NAME
from pytest_prodready.environment.database import Database
from pytest_prodready.environment.hosts import ELSEWHERE, Hosts
from pytest_prodready.environment.ports import LOOPBACK
from pytest_prodready.environment.proxy_process import ProxyProcess
from pytest_prodready.environment.recipe import Recipe
from pytest_prodready.environment.runs import Run
from pytest_prodready.environment.service import Endpoint
from pytest_prodready.environment.values import of_servers
from pytest_prodready.faults import Proxied

Mark = Callable[[str], None]
STALE_S = 1.0  # the name still has its old address when that is dead already, as any record has


@dataclass(frozen=True)
class Addresses:
    """The two addresses that the name can have: the same port, and behind both the same Postgres."""

    old: Proxied
    new: Proxied
    nowhere: Endpoint  # refuses whoever connects

    @property
    def named(self) -> Endpoint:
        """Where a client finds it by its name."""
        return Endpoint(POSTGRES_NAME, self.old.port)


@dataclass(frozen=True)
class MovingName:
    """The name, by which a service finds its Postgres when it is started by this recipe."""

    addresses: Addresses
    recipe: Recipe
    point_to: Callable[[str], None]  # gives the name this address

    @contextmanager
    def moved(self, mark: Mark, *, stale_s: float = STALE_S) -> Iterator[None]:
        """Let the old address die, and then the name be found at the new one; marks dead, moved.

        Whoever comes to the old address is counted there, and reset. Afterwards both addresses answer, and
        the name stays at the new one.
        """
        old, nowhere = self.addresses.old, str(self.addresses.nowhere)
        with old.reset_while_upstream_is_down(), old.upstream_switched(nowhere):
            mark("dead")
            threading.Event().wait(stale_s)
            self.point_to(self.addresses.new.host)
            mark("moved")
            yield


@contextmanager
def moving(run: Run, database: Database, recipe: Recipe) -> Iterator[MovingName]:
    """A name that moves for a process of this machine, which alone sees it; gone when the block ends."""
    with two_addresses(run, database, LOOPBACK, ELSEWHERE) as addresses, ExitStack() as undone:
        hosts = Hosts(run.folder / "hosts", POSTGRES_NAME)
        undone.callback(hosts.file.unlink, missing_ok=True)
        named = replace(database, endpoint=addresses.named, proxied=None, inside=None)
        recipe = replace(recipe.with_values(of_servers(named, None)), launcher=hosts.launcher)
        yield MovingName(addresses, recipe, hosts.point_to)


@contextmanager
def two_addresses(run: Run, database: Database, first: str, second: str) -> Iterator[Addresses]:
    """A proxy of our own at both, on every backend: it counts who comes, and leads to where all others go."""
    with ExitStack() as undone:
        proxy = ProxyProcess(run, name="moving-name", built_in=True)
        undone.callback(proxy.discard)
        proxy.create()
        port, nowhere = run.ports.reserve(), run.ports.reserve()
        undone.callback(run.ports.release, port)
        undone.callback(run.ports.release, nowhere)
        old, new = (
            proxy.control.create(name, str(database.reached_at), f"{address}:{port}")
            for name, address in (("old-address", first), ("new-address", second))
        )
        yield Addresses(old, new, Endpoint(LOOPBACK, nowhere))
