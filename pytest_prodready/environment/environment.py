"""Everything that one target needs, started together and stopped together."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path

from pytest_prodready.environment import placeholders
from pytest_prodready.environment.cache import Cache
from pytest_prodready.environment.capabilities import configured
from pytest_prodready.environment.certificates import Authority
from pytest_prodready.environment.copies import Beside, blank, copied
from pytest_prodready.environment.database import Database
from pytest_prodready.environment.given_application import GivenApplication
from pytest_prodready.environment.local_parts import LocalParts
from pytest_prodready.environment.logs import last_lines, tail
from pytest_prodready.environment.moving_name import MovingName
from pytest_prodready.environment.physical import Physical, backing_up
from pytest_prodready.environment.postgres_config import name_beside
from pytest_prodready.environment.ran import Command, Ran
from pytest_prodready.environment.read_replica import ReadReplica, reading
from pytest_prodready.environment.recipe import Recipe, check_command
from pytest_prodready.environment.replica import RedisReplica, replicating
from pytest_prodready.environment.roles import ApplicationRole, PostgresRole, WayBack
from pytest_prodready.environment.runs import Run, sweep
from pytest_prodready.environment.secrets import Redactor
from pytest_prodready.environment.servers import Parts, Servers
from pytest_prodready.environment.set_up import run_command, set_up
from pytest_prodready.environment.sql_migrations import sql_migrations
from pytest_prodready.environment.standby import Mode, Standby, streaming
from pytest_prodready.environment.started import StartedApplication
from pytest_prodready.environment.values import for_this_process
from pytest_prodready.errors import ApplicationError, ConfigError, ServerError
from pytest_prodready.faults import FaultProxy
from pytest_prodready.findings import Capability
from pytest_prodready.settings import Settings

Progress = Callable[[str], None]
STOP_GRACE_S = 5.0
KEPT_LOG_LINES = 5000

__all__ = ["Environment", "configured"]


class Environment:
    """The running servers, proxies and service of one target."""

    def __init__(self, settings: Settings, folder: Path, backend: str, *, may_be_kept: bool = False) -> None:
        self.backend = backend
        self.authority: Authority
        self.run: Run
        self.database: Database | None = None
        self.cache: Cache | None = None
        self.faults: FaultProxy | None = None
        self.application: ApplicationRole | None = None
        self.capabilities: frozenset[Capability] = frozenset()
        self.versions: Mapping[str, str] = {}
        self.redact = Redactor()
        self._settings, self._folder = settings, folder
        self._may_be_kept = may_be_kept
        self._recipe: Recipe
        self._servers: Servers | None = None
        self._cleanup = ExitStack()

    @classmethod
    def start(  # noqa: PLR0913 (all but two by name)
        cls,
        settings: Settings,
        *,
        folder: Path,
        backend: str = "processes",
        allow_destructive: bool = False,
        may_be_kept: bool = False,
        progress: Progress = lambda _: None,
    ) -> Environment:
        """Start what the settings ask for; on any failure all of it is stopped again."""
        placeholders.check(settings)
        check_command(settings.service, folder.resolve())
        if (files := settings.migration.files) is not None:
            sql_migrations(folder / settings.service.cwd / files)
        environment = cls(settings, folder.resolve(), backend, may_be_kept=may_be_kept)
        try:
            environment._start(progress)
        except BaseException:
            environment.stop()
            raise
        environment.capabilities = configured(settings, allow_destructive, folder)
        return environment

    @property
    def folder(self) -> Path:
        """The folder of prodready.toml, to which paths in it are relative."""
        return self._folder

    @property
    def service_folder(self) -> Path:
        """The folder that the service runs in."""
        return self._recipe.cwd

    def service_env(self) -> dict[str, str]:
        """[service] env with its placeholders filled, for code that runs in this process."""
        return self._recipe.variables(self.application.port if self.application else 0)

    def logs(self) -> dict[str, str]:
        """The logs of the service and the servers by name, without passwords."""
        files = sorted(self.run.folder.glob("*.log"))
        found = {file.stem: tail(file, KEPT_LOG_LINES) for file in files}
        elsewhere = self._servers.logs() if self._servers is not None else {}
        if self.application is not None:
            elsewhere[self.application.name] = self.application.log(KEPT_LOG_LINES)
        for name in elsewhere.keys() - found.keys():
            found[name] = last_lines(elsewhere[name], KEPT_LOG_LINES)
        return {name: self.redact(text) for name, text in sorted(found.items())}

    def stop(self) -> None:
        """Stop everything and remove its files; harmless when done before."""
        self._cleanup.close()

    def way_back(self) -> WayBack:
        """How the fault proxy reaches a server in this process; raises ServerError where it can't."""
        if self._servers is None or self._servers.proxy is None:
            raise ServerError("There is no fault proxy.")
        return self._servers.proxy.way_back()

    @contextmanager
    def standby(self, mode: Mode = "asynchronous") -> Iterator[Standby]:
        """A streaming standby of the service's Postgres, as long as the block lasts."""
        servers, database = self._servers, self.database
        if servers is None or servers.postgres is None or servers.proxy is None or database is None:
            raise ServerError("There is no Postgres of ours that a standby could follow.")
        server = servers.parts.standby(servers.postgres)
        self._cleanup.callback(server.discard)
        with streaming(database, server, mode, servers.proxy) as standby:
            yield standby

    @contextmanager
    def read_replica(self, mode: Mode = "asynchronous") -> Iterator[ReadReplica]:
        """A standby and an instance of the service that reads from it, as long as the block lasts."""
        if self.application is None or self._servers is None or self._servers.proxy is None:
            raise ServerError("There is no service of ours that could read from a standby.")
        with (
            self.standby(mode) as standby,
            reading(self.application, standby, self._servers.proxy) as found,
        ):
            yield found

    @contextmanager
    def copy(self) -> Iterator[Beside]:
        """A copy of the service's database, and an instance for it, still to be started; ours rests."""
        database = self._database()
        with self._resting() as application, self.copy_of(Beside(database, application), "copy") as copy:
            yield copy

    @contextmanager
    def empty_server(self, name: str) -> Iterator[PostgresRole]:
        """A PostgreSQL of ours that knows nothing of the service, as long as the block lasts.

        Beside one of ours it is like that, and the programs beside either sign in at both.
        """
        servers = self._servers
        if servers is None or self.database is None:
            raise ServerError("There is no Postgres that another could be like.")
        server = servers.parts.empty(servers.like(self.database), name)
        self.redact.add(server.admin_password)
        self._cleanup.callback(server.discard)
        server.create()
        try:
            yield server
        finally:
            server.discard()

    def on(self, server: PostgresRole) -> Database:
        """The service's database as it will be on another server of ours, past every proxy."""
        return replace(self._database().on(server), ca_file=self.authority.ca_file)

    @contextmanager
    def on_another(self, server: PostgresRole) -> Iterator[Beside]:
        """The service's database on another server of ours, and an instance for it; ours rests meanwhile."""
        database = self.on(server)
        with self._resting() as application, closing(database), application.on_server(database) as other:
            yield Beside(database, other)

    @contextmanager
    def blank(self, name: str) -> Iterator[Beside]:
        """An empty database beside the service's, and an instance for it, still to be started."""
        database = self._database()
        with self._instance_on(blank(database, name_beside(database.name, name))) as beside:
            yield beside

    @contextmanager
    def copy_of(self, beside: Beside, name: str) -> Iterator[Beside]:
        """A copy of such a database, and an instance for it; the original must be at rest."""
        copy = copied(beside.database, name_beside(self._database().name, name))
        with self._instance_on(copy) as found:
            yield found

    @contextmanager
    def previous(self, beside: Beside) -> Iterator[ApplicationRole]:
        """The service as [migration] previous starts it, on this database; ended on leaving."""
        migration, application = self._settings.migration, beside.application
        assert isinstance(application, StartedApplication)
        assert migration.previous is not None
        with application.by_command(migration.previous, migration.previous_cwd) as previous:
            if not previous.recipe.cwd.is_dir():
                raise ConfigError(
                    f"The folder of the previous code does not exist: {previous.recipe.cwd}.",
                    source="[migration] previous_cwd",
                )
            previous.start()
            yield previous

    def try_command(
        self, application: ApplicationRole, command: Command, within_s: float, progress: Progress
    ) -> Ran:
        """Run a command with the variables of this instance, and see how it ends: well, badly, or never."""
        assert isinstance(application, StartedApplication)
        progress(f"running {self.redact(command.text)}")
        ran = application.run_once(command, within_s)
        return replace(ran, printed=self.redact(ran.printed))

    @contextmanager
    def physical(self) -> Iterator[Physical]:
        """Room for physical backups of the service's Postgres, as long as the block lasts; ours rests."""
        servers, database = self._servers, self.database
        if servers is None or servers.postgres is None or database is None:
            raise ServerError("There is no Postgres of ours that could be backed up.")
        room = servers.parts.restoring(servers.postgres)
        self._cleanup.callback(room.discard)
        with self._resting(), backing_up(database, room) as physical:
            yield physical

    def run_command(self, application: ApplicationRole, command: Command, progress: Progress) -> None:
        """Run a command with the variables of this instance of the service; it must succeed."""
        assert isinstance(application, StartedApplication)
        run_command(application, command, self.redact, progress)

    @contextmanager
    def replica(self) -> Iterator[RedisReplica]:
        """A replica of the service's Redis, as long as the block lasts."""
        servers, cache = self._servers, self.cache
        if servers is None or servers.redis is None or servers.proxy is None or cache is None:
            raise ServerError("There is no Redis of ours that a replica could follow.")
        server = servers.parts.replica(servers.redis)
        self._cleanup.callback(server.discard)
        with replicating(cache, server, servers.proxy) as replica:
            yield replica

    def why_no_moving_name(self) -> str:
        """Why a name of the database can't move for the service here; empty when it can."""
        return (
            self._servers.parts.why_no_moving_name() if self._servers is not None else "there is no database"
        )

    @contextmanager
    def moving_name(self) -> Iterator[MovingName]:
        """The service started anew with a name for its Postgres that can move; as before afterwards."""
        application, database, servers = self.application, self.database, self._servers
        if not isinstance(application, StartedApplication) or database is None or servers is None:
            raise ServerError("There is no service of ours with a Postgres of ours, whose name could move.")
        with servers.parts.moving_name(database, application) as name, application.renewed(name.recipe):
            yield name

    def keep(self) -> tuple[str, ...]:
        """Leave everything running until the next run's sweep; returns how to reach it."""
        if self.database is not None:
            self.database.close()
        if self._servers is not None:
            self._servers.parts.outlive_us()
        self.run.abandon()
        self._cleanup.pop_all()
        return self.reached_at()

    def reached_at(self) -> tuple[str, ...]:
        """The addresses of what runs; they hold passwords of servers that exist only for this run."""
        found = [f"logs and data: {self.run.folder}"]
        if self.application is not None:
            found.append(f"service: {self.application.base_url}")
        if self.database is not None:
            found.append(f"postgres: {self.database.url()}")
        if self.cache is not None:
            found.append(f"redis: {self.cache.url()}")
        return tuple(found)

    def __repr__(self) -> str:
        return f"<Environment {self.backend} of {self._settings.service.name}>"

    def _database(self) -> Database:
        if self.database is None:
            raise ServerError("The service has no Postgres.")
        return self.database

    def _ours(self) -> StartedApplication:
        if not isinstance(self.application, StartedApplication):
            raise ServerError("There is no service of ours, which could be stopped and started.")
        return self.application

    @contextmanager
    def _resting(self) -> Iterator[StartedApplication]:
        """Our instance of the service, stopped as long as the block lasts."""
        application = self._ours()
        application.stop(STOP_GRACE_S)
        try:
            yield application
        finally:
            application.ensure_ready()

    @contextmanager
    def _instance_on(self, made: AbstractContextManager[Database]) -> Iterator[Beside]:
        """A database that is made beside the service's, and an instance for it, still to be started."""
        application = self._ours()
        with made as database, application.on_database(database.name) as other:
            yield Beside(database, other)

    def _start(self, progress: Progress) -> None:
        for swept in sweep():
            progress(f"cleaned up after run {swept.run}, which died: {swept.what}")
        self.run = Run.open()
        self._cleanup.callback(self.run.close)
        self.authority = Authority(self.run.folder)
        self._start_servers(progress)
        self._start_service(progress)

    def _start_servers(self, progress: Progress) -> None:
        servers = Servers(self._parts(progress), self.authority)
        self._servers = servers
        self._cleanup.callback(servers.discard)
        servers.plan(self._settings, self._folder, self.redact)
        self.versions = {**servers.versions(), "python": platform.python_version()}
        for name in servers.starting():
            progress(f"starting {name}")
        jobs = servers.jobs()
        with ThreadPoolExecutor(max_workers=max(1, len(jobs))) as threads:
            started = [threads.submit(job) for job in jobs]
        for result in started:
            result.result()
        self.database, self.cache = servers.database(), servers.cache()
        if self.database is not None:
            self._cleanup.callback(self.database.close)
        self.faults = servers.faults()
        self.versions = {**servers.versions(), "python": platform.python_version()}

    def _parts(self, progress: Progress) -> Parts:
        if self.backend != "containers":
            return LocalParts(self.run, self.authority, self._settings, self._folder)
        from pytest_prodready.environment.containers.parts import (  # noqa: PLC0415 (an extra)
            ContainerParts,
        )

        return ContainerParts(
            self.run, self.authority, self._settings, self._folder, progress, kept=self._may_be_kept
        )

    def _start_service(self, progress: Progress) -> None:
        service, values = self._settings.service, for_this_process(self.database, self.cache)
        self._recipe = Recipe(service, self._folder, values, self._settings.health.readiness, self.redact)
        if service.url is not None:
            self.application = GivenApplication(self._recipe)
            progress(f"asking {self.application.base_url}")
            self.application.start()
            return
        assert self._servers is not None
        application = self._servers.parts.application(self._recipe, self.database, self.cache)
        self.application = application
        self._cleanup.callback(application.discard)
        self._cleanup.callback(application.stop, STOP_GRACE_S)
        try:
            set_up(application, self._recipe, progress)
            progress(f"starting {service.name}")
            application.start()
        except ApplicationError as error:
            raise self._with_refusals(error) from None

    def _with_refusals(self, error: ApplicationError) -> ApplicationError:
        """The same error with what our PostgreSQL refused the service, which often is the reason."""
        said = self.database.log_tail(200) if self.database else ""
        refusals = [line for line in said.splitlines() if "FATAL:" in line][-3:]
        if not refusals:
            return error
        return ApplicationError(
            error.problem,
            value=error.value,
            source=error.source,
            tried=[*error.tried, "PostgreSQL refused it:\n" + self.redact("\n".join(refusals))],
            remedy=error.remedy,
        )
