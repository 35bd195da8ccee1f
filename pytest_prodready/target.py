"""One prodready.toml in one pytest session: its settings, its environment, what was measured so far."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_prodready.engine import made_engine
from pytest_prodready.environment.binaries import find_postgres, find_redis
from pytest_prodready.environment.capabilities import configured, postgres_origin, redis_origin
from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.select import Choice, image_names
from pytest_prodready.errors import ProdreadyError
from pytest_prodready.findings import Capability
from pytest_prodready.options import Options
from pytest_prodready.printable import shown, without_credentials
from pytest_prodready.probes.traffic import Traffic
from pytest_prodready.records import Record, as_data, returned_type
from pytest_prodready.settings import Settings
from pytest_prodready.stopwatch import CLEARING, MEASURING, STARTING, spent
from pytest_prodready.workers import StillMeasuring, alone, has_workers, in_turn, own_folder

Progress = Callable[[str], None]
UNSTARTED = "the environment could not be started, for a reason that the gate doesn't know"
START_ERROR = "start.error.txt"


class Unmeasured(Exception):
    """A probe could not measure, and why."""


class EnvironmentBroken(Exception):
    """The environment could not be started; the whole target can't be judged."""

    def __init__(self, error: ProdreadyError) -> None:
        self.error = error
        super().__init__(error.message)


@dataclass
class Target:
    """What belongs to one target: started lazily, stopped once."""

    path: Path
    settings: Settings
    options: Options
    choice: Choice
    record: Record
    progress: Progress
    broken: ProdreadyError | None = None
    failed: bool = False
    begun: bool = False
    kept: tuple[str, ...] = ()  # how to reach what --prodready-keep left running
    _environment: Environment | None = None
    _traffic: Traffic | None = None
    _measurements: dict[str, Any] = field(default_factory=dict)
    _unmeasured: dict[str, str] = field(default_factory=dict)
    _judged: Record | None = None

    @property
    def name(self) -> str:
        """The service's name."""
        return self.settings.service.name

    def preview(self) -> list[str]:
        """The versions of the servers that would be started, as far as they can be found."""
        if self.choice.backend == "containers":
            return image_names(self.settings)
        found: list[str] = []
        try:
            if postgres_origin(self.settings) == "gate":
                found.append(str(find_postgres(self.settings.postgres)))
            if redis_origin(self.settings) == "gate":
                found.append(str(find_redis(self.settings.redis)))
        except ProdreadyError:
            pass  # said with everything that was tried when the environment is started
        return found

    def versions(self) -> Mapping[str, str]:
        """The versions of what runs, or ran when it was recorded; empty before anything is started."""
        if self.options.judge is not None:
            recorded: Mapping[str, str] = self._recorded().read_run()["versions"]
            return recorded
        return {} if self._environment is None else self._environment.versions

    def planned_capabilities(self) -> frozenset[Capability]:
        """What the configuration promises, before anything is started."""
        if self.options.judge is not None:
            return frozenset(Capability(name) for name in self._recorded().read_run()["capabilities"])
        return configured(self.settings, self.options.allow_destructive, self.path.parent)

    def environment(self) -> Environment:
        """The running environment, started on first use; raises EnvironmentBroken when it can't be."""
        if self.broken is not None:
            raise EnvironmentBroken(self.broken)
        if self._environment is None:
            try:
                self._environment = self._started()
            except ProdreadyError as error:
                self.broken = error
                raise EnvironmentBroken(error) from None
            except Exception as failure:
                self.broken = ProdreadyError(UNSTARTED, value=self.traced(START_ERROR, failure))
                raise EnvironmentBroken(self.broken) from None
        return self._environment

    @spent(STARTING)
    def _started(self) -> Environment:
        if self.options.judge is not None:
            raise ProdreadyError(
                "nothing is started while recorded measurements are judged", source="--prodready-judge"
            )
        environment = Environment.start(
            self.settings,
            folder=self.path.parent,
            backend=self.choice.backend,
            allow_destructive=self.options.allow_destructive,
            may_be_kept=self.options.keep,
            progress=self.progress,
        )
        self.record.write_run(
            {
                "target": self.name,
                "backend": self.choice.backend,
                "versions": dict(environment.versions),
                "capabilities": sorted(environment.capabilities),
            }
        )
        return environment

    def traffic(self) -> Traffic:
        """The sender of requests to the service."""
        if self._traffic is None:
            application = self.environment().application
            if application is None:
                raise Unmeasured("there is no service to send requests to")
            self._traffic = Traffic(application.base_url, self.settings.requests)
        return self._traffic

    def engine(self) -> AbstractContextManager[Any]:
        """The service's own engine, made in this process, for the time of a with block."""
        return made_engine(self.environment(), self.settings)

    def measure(
        self,
        name: str,
        probe: Callable[..., Any],
        arguments: Callable[[], Mapping[str, Any]],
        exclusive: bool,
        shared: bool = True,
    ) -> Any:
        """The probe's measurement: made once, recorded, or read back where it is there already.

        One that isn't shared is made by each worker: it also brings the service to work.
        """
        if name in self._unmeasured:
            raise Unmeasured(self._unmeasured[name])
        if name not in self._measurements:
            try:
                with in_turn(self.record, name) if shared else nullcontext():
                    self._measurements[name] = self._found(name, probe, arguments, exclusive, shared)
            except (Unmeasured, StillMeasuring) as reason:
                self._unmeasured[name] = str(reason)
                raise Unmeasured(str(reason)) from reason
        return self._measurements[name]

    def _found(
        self,
        name: str,
        probe: Callable[..., Any],
        arguments: Callable[[], Mapping[str, Any]],
        exclusive: bool,
        shared: bool,
    ) -> Any:
        """What was recorded, by the run that is judged or by another worker of this one; else made now."""
        if shared and has_workers() and (made := self._of_another_worker(name, probe)) is not None:
            return made
        try:
            if self.options.judge is not None:
                recorded = self._read_back(name, probe)
                self.record.write_measurement(name, recorded)
                return recorded
            return self._measured(name, probe, arguments, exclusive)
        except Unmeasured as reason:
            self.record.write_failure(name, self.redacted(str(reason)))
            raise

    def _of_another_worker(self, name: str, probe: Callable[..., Any]) -> Any:
        """What another worker of this run has measured; None where none has."""
        if reason := self.record.read_failure(name):
            raise Unmeasured(reason)
        with suppress(FileNotFoundError):
            try:
                return self.record.read_measurement(name, returned_type(probe))
            except ValueError as failure:
                raise Unmeasured(f"what another worker has measured can't be read: {failure}") from None
        return None

    def _measured(
        self,
        name: str,
        probe: Callable[..., Any],
        arguments: Callable[[], Mapping[str, Any]],
        exclusive: bool,
    ) -> Any:
        values = arguments()
        environment = self.environment()
        with alone() if exclusive else nullcontext(), spent(MEASURING):
            try:
                if environment.application is not None:
                    environment.application.ensure_ready()
                measurement = probe(**values)
            except Exception as failure:
                raise Unmeasured(self._explained(name, failure)) from failure
        self.record.write_measurement(name, measurement, self.redacted)
        return measurement

    def _explained(self, name: str, failure: Exception) -> str:
        told = self.traced(f"measurements/{name}.error.txt", failure)
        return f"the measurement failed: {told}"

    def traced(self, name: str, failure: Exception) -> str:
        """One line for the user; the traceback goes to the run's folder, without secrets."""
        text = self.redacted("".join(traceback.format_exception(failure)))
        path = self.record.write_text(name, text)
        reason = self.redacted(str(failure).splitlines()[0] if str(failure) else type(failure).__name__)
        where = ""
        if not isinstance(failure, ProdreadyError):
            reason = f"{type(failure).__name__}: {reason}"
        elif failure.source is not None:
            where = f"from {self.redacted(failure.source)}; "
        return f"{reason} ({where}all of it: {shown(path)})"

    def _read_back(self, name: str, probe: Callable[..., Any]) -> Any:
        try:
            return self._recorded().read_measurement(name, returned_type(probe))
        except FileNotFoundError:
            reason = self._recorded().read_failure(name)
            raise Unmeasured(reason or f"{name} is not recorded in {self.options.judge}") from None
        except ValueError as failure:
            raise Unmeasured(f"{name} was recorded by another version: {failure}") from None

    def _recorded(self) -> Record:
        if self._judged is None:
            assert self.options.judge is not None
            self._judged = Record(self.options.judge)
        return self._judged

    def evidence(self, names: list[str]) -> dict[str, Any]:
        """The measurements of these names as JSON-safe data."""
        return {name: as_data(self._measurements[name]) for name in names if name in self._measurements}

    def redacted(self, text: str) -> str:
        """The text without this environment's passwords; before its start, without what looks like one."""
        return without_credentials(text) if self._environment is None else self._environment.redact(text)

    @spent(CLEARING)
    def stop(self) -> None:
        """Keep the logs, then stop all that was started; harmless when nothing was."""
        if self._traffic is not None:
            self._traffic.close()
            self._traffic = None
        environment, self._environment = self._environment, None
        if environment is None:
            return
        self._keep_logs(environment)
        if self.options.keep and self.failed:
            self.kept = _told(environment)
            return
        environment.stop()

    def _keep_logs(self, environment: Environment) -> None:
        for name, text in environment.logs().items():
            self.record.write_text(f"logs/{own_folder()}{name}.log", environment.redact(text))


def _told(environment: Environment) -> tuple[str, ...]:
    """Leave the environment running; its addresses, with passwords only in a file for this user's eyes."""
    path = environment.run.folder / "addresses.txt"
    path.touch(mode=0o600)
    reached = environment.keep()
    path.write_text("\n".join(reached) + "\n")
    return (*(environment.redact(line) for line in reached), f"with passwords: {path}")
