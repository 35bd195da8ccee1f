"""The servers of a run as containers."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from pytest_prodready.environment.application import Application
from pytest_prodready.environment.cache import Cache
from pytest_prodready.environment.certificates import POSTGRES_NAME, Authority
from pytest_prodready.environment.containers import images
from pytest_prodready.environment.containers.application import ContainerApplication, Kit
from pytest_prodready.environment.containers.application_image import ServiceImage, service_image
from pytest_prodready.environment.containers.application_inside import inside
from pytest_prodready.environment.containers.application_sockets import Lookout
from pytest_prodready.environment.containers.engine import connect
from pytest_prodready.environment.containers.moving_name import moving_inside, two_ways_back
from pytest_prodready.environment.containers.postgres import PostgresContainer
from pytest_prodready.environment.containers.postgres_empty import EmptyContainer
from pytest_prodready.environment.containers.postgres_restoring import RestoringContainer
from pytest_prodready.environment.containers.postgres_standby import StandbyContainer
from pytest_prodready.environment.containers.redis import RedisContainer, ReplicaContainer
from pytest_prodready.environment.containers.stage import Stage
from pytest_prodready.environment.containers.toxiproxy import ToxiproxyContainer
from pytest_prodready.environment.database import Database
from pytest_prodready.environment.hosts import why_not
from pytest_prodready.environment.moving_name import MovingName, moving
from pytest_prodready.environment.postgres_config import Account, UserConfig
from pytest_prodready.environment.recipe import Recipe
from pytest_prodready.environment.roles import PostgresRole, RedisRole
from pytest_prodready.environment.runs import Run
from pytest_prodready.environment.started import StartedApplication
from pytest_prodready.settings import Settings


class ContainerParts:
    """Makes the servers of one run on a Docker engine; `open` before, `discard` after all of them."""

    def __init__(  # noqa: PLR0913 (all that a run is made of)
        self,
        run: Run,
        authority: Authority,
        settings: Settings,
        folder: Path,
        progress: images.Progress,
        *,
        kept: bool,
    ) -> None:
        self._authority, self._progress = authority, progress
        self._settings, self._folder = settings, folder
        self._service: ServiceImage | None = None
        self._proxy: ToxiproxyContainer | None = None
        self._images = images.chosen(settings)
        self.stage = Stage(run, connect(), outlives_us=kept)

    def open(self) -> None:
        """Make the network, and the service's image where it has one."""
        self._progress(f"making a network on {self.stage.engine}")
        self.stage.create()
        service = self._settings.service
        if service.in_container:
            self._service = service_image(self.stage.engine, service, self._folder, self._progress)

    def postgres(self, account: Account, config: UserConfig) -> PostgresContainer:
        """A PostgreSQL that is still to be started; its image is there."""
        return PostgresContainer(self.stage, self._image("postgres"), self._authority, account, config)

    def redis(self, password: str, *, tls: bool) -> RedisContainer:
        """A Redis that is still to be started; its image is there."""
        return RedisContainer(self.stage, self._image("redis"), password, self._authority if tls else None)

    def standby(self, primary: PostgresRole) -> StandbyContainer:
        """A PostgreSQL that will follow this one, of the same image."""
        assert isinstance(primary, PostgresContainer)
        return StandbyContainer(self.stage, self._authority, primary)

    def empty(self, first: PostgresRole, name: str) -> EmptyContainer:
        """A PostgreSQL of the same image that knows nothing of the service."""
        assert isinstance(first, PostgresContainer)
        return EmptyContainer(self.stage, self._authority, first, name)

    def restoring(self, primary: PostgresRole) -> RestoringContainer:
        """Room for the physical backups of this PostgreSQL, of the same image."""
        assert isinstance(primary, PostgresContainer)
        return RestoringContainer(self.stage, self._authority, primary)

    def replica(self, primary: RedisRole) -> ReplicaContainer:
        """A Redis that will follow this one, of the same image."""
        assert isinstance(primary, RedisContainer)
        return ReplicaContainer(self.stage, primary, self._authority if primary.tls else None)

    def proxy(self) -> ToxiproxyContainer:
        """A fault proxy that is still to be started; its image is there."""
        self._proxy = ToxiproxyContainer(self.stage, self._image("toxiproxy"))
        return self._proxy

    def application(
        self, recipe: Recipe, database: Database | None, cache: Cache | None
    ) -> StartedApplication:
        """The service as a container, where an image is given, else as a process of this machine."""
        if self._service is None:
            return Application(self.stage.run, recipe)
        values, files = inside(database, cache)
        ours = database is not None and database.origin == "gate"
        lookout = Lookout(self.stage, self._images["postgres"]) if ours else None
        kit = Kit(self._service, files, lookout)
        return ContainerApplication(self.stage, replace(recipe, values=values), kit)

    def why_no_moving_name(self) -> str:
        """Why a name of the database can't move for the service; empty when it can."""
        if self._service is None:
            return why_not(POSTGRES_NAME)
        ways = self._two_ways_back()
        if len(ways) == 2:
            return ""
        return (
            f"containers on {self.stage.engine} reach this machine at {len(ways)} addresses, two are needed"
        )

    def moving_name(
        self, database: Database, application: StartedApplication
    ) -> AbstractContextManager[MovingName]:
        """A name of the database that moves for the service alone."""
        if not isinstance(application, ContainerApplication):
            return moving(self.stage.run, database, application.recipe)
        first, second = self._two_ways_back()
        return moving_inside(self.stage.run, database, application, (first, second))

    def versions(self) -> dict[str, str]:
        """What runs the containers."""
        found = {"engine": f"{self.stage.engine}, reached {self.stage.engine.reached}"}
        return found if self._service is None else {**found, "service": str(self._service)}

    def outlive_us(self) -> None:
        """Containers do not end with us; the reaper was left out from the start."""

    def discard(self) -> None:
        """Remove the network and whatever is left."""
        self.stage.discard()

    def _two_ways_back(self) -> tuple[str, ...]:
        return two_ways_back(self.stage, self._proxy) if self._proxy is not None else ()

    def _image(self, server: str) -> images.Image:
        image = self._images[server]
        images.ensure(self.stage.engine, image, self._progress)
        return image
