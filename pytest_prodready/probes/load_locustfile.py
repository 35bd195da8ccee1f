"""The user's own locustfile: found before anything starts, planned, and run in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pytest_prodready.environment import leftovers
from pytest_prodready.environment.announced import module_environment
from pytest_prodready.environment.logs import write_private
from pytest_prodready.environment.ran import Output
from pytest_prodready.environment.recipe import inherited
from pytest_prodready.environment.runs import Run, close_pipes
from pytest_prodready.errors import ConfigError, ServerError
from pytest_prodready.generator.locustfile_plan import LocustfilePlan
from pytest_prodready.generator.stream import Sample
from pytest_prodready.options import Options
from pytest_prodready.probes.load import SELF_TEST
from pytest_prodready.probes.load_generator import (
    ENDED_WITHIN_S,
    READY_WITHIN_S,
    GeneratorProcess,
    last_line,
)
from pytest_prodready.probes.load_plan import all_stages
from pytest_prodready.settings import LoadSettings

MARK = "locustfile"


def check_locustfile(limits: LoadSettings, folder: Path, options: Options) -> None:
    """Raise ConfigError for one that isn't in prodready.toml's folder, or can't be run with these options."""
    if limits.locustfile is None:
        return
    if named := _of_schedules(options):
        raise ConfigError(
            "A locustfile is run by one process, and has no self-test that its times could be held against.",
            value=limits.locustfile,
            source=f"[load] locustfile, with {' '.join(named)}",
            remedy="leave out the option; or send the declared requests: --prodready-set load.locustfile=",
        )
    if (folder / limits.locustfile).is_file():
        return
    raise ConfigError(
        "There is no such locustfile.",
        value=(folder / limits.locustfile).resolve(),
        source="[load] locustfile",
        remedy="name a file, relative to prodready.toml's folder; without one [[requests]] are sent",
    )


def _of_schedules(options: Options) -> tuple[str, ...]:
    """The options for what only a schedule has."""
    files = (("save", options.load_save), ("compare", options.load_compare))
    named = (f"--prodready-load-{name}={path}" for name, path in files if path is not None)
    return (*options.generators.as_arguments, *named)


def locustfile_plan(limits: LoadSettings, service: str, folder: Path) -> LocustfilePlan:
    """All stages but the self-test: on a server that does nothing its tasks would mean nothing."""
    assert limits.locustfile is not None
    assert limits.users_at_1x is not None
    stages = [each for each in all_stages(limits, service, "") if each.name != SELF_TEST]
    return LocustfilePlan(
        stages=tuple(stages),
        asks=(),
        users=limits.users_at_1x,
        deadline_s=limits.deadline_s,
        settle_s=limits.settle_s,
        prefix="",
        file=str((folder / limits.locustfile).resolve()),
        arguments=limits.locust_arguments,
        usual_rps=limits.expected_rps or 1.0,
    )


class LocustfileProcess(GeneratorProcess):
    """Locust with the user's users: as the generator, but for what the user's code may do."""

    def __init__(self, run: Run, plan: LocustfilePlan, folder: Path) -> None:
        self._run, self._folder = run, folder
        self._refused = ""
        self._printed = Output()
        super().__init__(run, plan)

    def news(self) -> Iterator[Sample | dict[str, Any]]:
        """What it has written since the last time."""
        for each in super().news():
            if isinstance(each, dict):
                self._refused = each.get("refused", self._refused)
            yield each

    def began(self) -> tuple[float, list[Sample | dict[str, Any]]]:
        """When its first stage begins; raises ServerError where it can't be run."""
        try:
            return super().began()
        except ServerError:
            raise ServerError(self._why_not()) from None

    @property
    def untimely_end(self) -> str:
        """What to say where it ended before it was done."""
        return f"the process of your locustfile ended before its time{self.status}{self._last_words()}"

    def discard(self) -> None:
        """End it with all that it has started, and keep the last that it has said."""
        leftovers.end_command(self._run.folder, self.pid, self._mark)
        self._process.wait(ENDED_WITHIN_S)
        close_pipes(self._process)
        self._read.close()
        self._out.unlink(missing_ok=True)
        self._printed.__exit__(None, None, None)
        write_private(self._log, self._printed.text())

    def _started(self, run: Run, *options: str) -> subprocess.Popen[bytes]:
        self._mark = f"{MARK}-{self._log.stem}"
        self._printed.__enter__()
        # Not from the folder that it runs in: what is called locust.py there is the user's.
        command = [
            sys.executable,
            "-P",
            "-m",
            "pytest_prodready.generator.locustfile",
            "--out",
            str(self._out),
        ]
        return run.spawn(
            command,
            env=self._variables(),
            cwd=self._folder,
            log=self._printed.writing,
            stdin=subprocess.PIPE,
            bufsize=0,
        )

    def _variables(self) -> dict[str, str]:
        """The user's own, as for a Locust of theirs: nothing of the gate's, and no servers' passwords."""
        variables, ours = inherited(), module_environment()["PYTHONPATH"]
        return {
            **variables,
            "PYTHONPATH": os.pathsep.join(filter(None, (ours, variables.get("PYTHONPATH")))),
            "PYTHONDONTWRITEBYTECODE": "1",
            leftovers.INSTANCE: self._mark,
        }

    def _why_not(self) -> str:
        if self._refused:
            return f"your locustfile can't be run: {self._refused}"
        if self.alive:
            return f"your locustfile was not ready within {READY_WITHIN_S:.0f} s{self._last_words()}"
        return self.untimely_end

    def _last_words(self) -> str:
        return last_line(self._printed.text())


@contextmanager
def locustfile_at_work(run: Run, plan: LocustfilePlan, folder: Path) -> Iterator[LocustfileProcess]:
    """A locustfile at work, as long as the block lasts."""
    process = LocustfileProcess(run, plan, folder)
    try:
        yield process
    finally:
        process.discard()
