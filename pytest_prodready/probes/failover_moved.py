"""A drill in which the database moves to another address, and its name with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.moving_name import MovingName
from pytest_prodready.faults import Connections, Proxied
from pytest_prodready.probes.drill import Drill
from pytest_prodready.probes.drill_run import Fault, Marker, run_drill
from pytest_prodready.probes.drill_scene import Scene
from pytest_prodready.probes.failover import MARGIN_S
from pytest_prodready.probes.traffic import Traffic
from pytest_prodready.settings import Settings

QUIET_S = 2.0  # without an attempt at the old address: one process of several may still have it


@dataclass(frozen=True, slots=True)
class MovedAddress:
    """A drill in which the database's name moved, or why it can't be moved here.

    Attempts to connect are told in seconds after the move.
    """

    drill: Drill | None
    unsupported: str = ""
    held: int = 0  # connections at the old address when it died
    old_after_s: tuple[float, ...] = ()
    new_after_s: tuple[float, ...] = ()


def moved_address(
    environment: Environment, traffic: Traffic, settings: Settings, progress: Callable[[str], None]
) -> MovedAddress:
    """Start the service with a name for its database, and move the name while the old address is dead."""
    if reason := environment.why_no_moving_name():
        return MovedAddress(None, reason)
    limits = settings.failover
    progress("moved address: starting the service with a name for its database")
    with environment.moving_name() as name:
        addresses = _Addresses(name)
        fault = Fault(
            name="moved address",
            words="the database's name moved to another address, the old one dead",
            hold=addresses.moved,
            seconds=0.0,
            recover_s=limits.moved_within_s + MARGIN_S,
            deadline_s=limits.deadline_s,
            heals_inside=True,
            proxied=name.addresses.new,
            settled=addresses.old_is_quiet,
        )
        drill = run_drill(Scene(environment, traffic, settings, progress), fault)
    return MovedAddress(drill, "", addresses.held, addresses.old_after_s, addresses.new_after_s)


class _Addresses:
    """Who connected where since the name moved."""

    def __init__(self, name: MovingName) -> None:
        self.name = name
        self.held = 0
        self.old_after_s: tuple[float, ...] = ()
        self.new_after_s: tuple[float, ...] = ()
        self._dead_at = self._moved_at = 0.0  # Unix time

    @contextmanager
    def moved(self, mark: Marker) -> Iterator[None]:
        """The move, healed as soon as the name leads to where the database is: the rest is the service's."""

        def told(what: str) -> None:
            mark(what)
            if what == "dead":
                self._dead_at = time.time()
            if what == "moved":
                self._moved_at = time.time()
                mark("healed")

        self.held = _seen(self.name.addresses.old).open
        with self.name.moved(told):
            yield
            self.old_after_s = self._after(self._moved_at, self.name.addresses.old)
            # Whoever is quick is there before it is told that the name has moved.
            self.new_after_s = self._after(self._dead_at, self.name.addresses.new)

    def old_is_quiet(self) -> bool:
        """Whether nobody has tried the old address for a while."""
        latest = max([self._moved_at, *_seen(self.name.addresses.old).accepted_at])
        return time.time() - latest >= QUIET_S

    def _after(self, moment: float, proxied: Proxied) -> tuple[float, ...]:
        came = (at for at in _seen(proxied).accepted_at if at >= moment)
        return tuple(round(max(0.0, at - self._moved_at), 3) for at in came)


def _seen(proxied: Proxied) -> Connections:
    seen = proxied.connections()
    assert seen is not None  # it is the built-in proxy
    return seen
