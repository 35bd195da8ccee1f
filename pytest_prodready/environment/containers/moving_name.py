"""A name that moves for a service in a container, in its own file, between two addresses of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from pytest_prodready.environment.certificates import POSTGRES_NAME
from pytest_prodready.environment.containers.application import ContainerApplication
from pytest_prodready.environment.containers.application_inside import inside
from pytest_prodready.environment.containers.stage import Stage
from pytest_prodready.environment.containers.toxiproxy import ToxiproxyContainer
from pytest_prodready.environment.database import Database
from pytest_prodready.environment.moving_name import MovingName, two_addresses
from pytest_prodready.environment.ports import is_ours
from pytest_prodready.environment.roles import WayBack
from pytest_prodready.environment.runs import Run
from pytest_prodready.errors import ServerError

# In place, because the engine has mounted the file where the service sees it.
POINT = (
    "hosts=/proc/1/root/etc/hosts;"
    r' sed "s/^[^[:space:]]*\([[:space:]]$NAME\)/$ADDRESS\1/" $hosts > /tmp/hosts && cat /tmp/hosts > $hosts'
    ' && grep "^$ADDRESS[[:space:]]$NAME" $hosts'
)


@contextmanager
def moving_inside(
    run: Run, database: Database, application: ContainerApplication, addresses: tuple[str, str]
) -> Iterator[MovingName]:
    """A name that moves for the service's container, which alone knows it."""
    first, second = addresses
    with two_addresses(run, database, first, second) as found:
        values, _ = inside(replace(database, inside=found.named), None)
        recipe = replace(application.recipe.with_values(values), hosts={POSTGRES_NAME: first})

        def point_to(address: str) -> None:
            said = application.beside(POINT, {"NAME": POSTGRES_NAME, "ADDRESS": address})
            if POSTGRES_NAME not in said:
                raise ServerError("The name could not be moved in the service's container.", value=said)

        yield MovingName(found, recipe, point_to)


def two_ways_back(stage: Stage, proxy: ToxiproxyContainer) -> tuple[str, ...]:
    """This machine's addresses on the run's network and on the engine's own, if containers reach us there."""
    candidates = [stage.gateway(), stage.gateway("bridge")]
    known = [each for each in dict.fromkeys(candidates) if each is not None and is_ours(each)]
    return tuple(each for each in known if proxy.reaches(WayBack(each, each)))
