"""What it takes to start an instance of the service: its command, variables and folder."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pytest_prodready.environment.placeholders import FOR_SERVICE, fill
from pytest_prodready.errors import ConfigError
from pytest_prodready.settings import ServiceSettings

# Of our own environment the service sees nothing that would change how it connects, or that is pytest's.
NOT_INHERITED = ("PG", "PYTEST_", "PRODREADY_", "COV_CORE_")


def inherited() -> dict[str, str]:
    """Of our own environment what the user's programs get to see."""
    return {name: value for name, value in os.environ.items() if not name.startswith(NOT_INHERITED)}


@dataclass(frozen=True)
class Recipe:
    """What it takes to start an instance of the service."""

    service: ServiceSettings
    folder: Path  # of prodready.toml
    values: Mapping[str, str]  # of the placeholders, but for {port}
    ready_path: str | None = None
    redact: Callable[[str], str] = str
    launcher: tuple[str, ...] = ()  # what comes before the command of a process
    programs: str = ""  # a folder that comes first on the PATH of a process
    hosts: Mapping[str, str] = field(default_factory=dict)  # a container knows these names

    @property
    def cwd(self) -> Path:
        """The folder that it runs in."""
        return (self.folder / self.service.cwd).resolve()

    @property
    def started_by(self) -> tuple[str, str]:
        """What starts it, and the key that says so."""
        for key in ("command", "image", "build", "url"):
            if (value := getattr(self.service, key)) is not None:
                return str(value), f"[service] {key}"
        return "", "[service]"

    def with_values(self, values: Mapping[str, str]) -> Recipe:
        """The same with other values for some placeholders."""
        return replace(self, values={**self.values, **values})

    def variables(self, port: int) -> dict[str, str]:
        """[service] env, filled in."""
        values = {**self.values, "port": str(port)}
        return {name: fill(value, values) for name, value in self.service.env.items()}

    def environment(self, port: int) -> dict[str, str]:
        """All environment variables that it gets."""
        variables = inherited()
        variables["PATH"] = os.pathsep.join(filter(None, (self.programs, _path(variables))))
        return {**variables, **self.variables(port)}

    def words(self, command: str, port: int, key: str) -> list[str]:
        """A command in words, with a program that exists on this machine."""
        words = self.split(command, port, key)
        path = self.environment(port)["PATH"]
        if self._program(words[0], path) is None:
            raise ConfigError(
                f"The program {words[0]!r} was not found.",
                value=command,
                source=key,
                tried=[f"PATH {path}", f"folder {self.cwd}"],
                remedy="install it, give its path, or start a Python module by: {python} -m module …",
            )
        return [*self.launcher, *words]

    def split(self, command: str, port: int, key: str) -> list[str]:
        """A command split as a shell would, and filled in."""
        values = {**self.values, "port": str(port)}
        try:
            words = [fill(word, values) for word in shlex.split(command)]
        except ValueError as error:
            raise ConfigError(
                f"A command can't be split into words: {error}.", value=command, source=key
            ) from None
        if not words:
            raise ConfigError("The command is empty.", value=command, source=key)
        return words

    def _program(self, name: str, path: str) -> str | None:
        return shutil.which(self.cwd / name) if "/" in name else shutil.which(name, path=path)


def check_command(service: ServiceSettings, folder: Path) -> None:
    """Raise ConfigError for a folder or a program that doesn't exist, before anything is started."""
    if service.url is not None:
        return
    recipe = Recipe(service, folder, dict.fromkeys(FOR_SERVICE, "-") | {"python": sys.executable})
    if not recipe.cwd.is_dir():
        raise ConfigError("The service's folder does not exist.", value=recipe.cwd, source="[service] cwd")
    if service.in_container:
        _check_container(recipe)
        return
    assert service.command is not None
    # Set-up may make the service's program, so then only its own first one has to be there.
    first, key = (
        *[(text, "[service] setup[0]") for text in service.setup[:1]],
        (service.command, "[service] command"),
    )[0]
    recipe.words(first, 0, key)


def _check_container(recipe: Recipe) -> None:
    """The same for a service whose programs are in an image."""
    service = recipe.service
    for number, command in enumerate(service.setup):
        recipe.split(command, 0, f"[service] setup[{number}]")
    if service.command is not None:
        recipe.split(service.command, 0, "[service] command")
    if service.build is not None and not (recipe.folder / service.build / "Dockerfile").is_file():
        raise ConfigError(
            "There is no Dockerfile to build the service's image from.",
            value=(recipe.folder / service.build).resolve() / "Dockerfile",
            source="[service] build",
            remedy="name the folder that has it, relative to prodready.toml's; or an image by image = …",
        )


def _path(inherited: Mapping[str, str]) -> str:
    """PATH with the folder of this Python: before the rest where its environment isn't another active one."""
    path, own = inherited.get("PATH", os.defpath), str(Path(sys.executable).parent)
    if inherited.get("VIRTUAL_ENV", sys.prefix) == sys.prefix and sys.prefix != sys.base_prefix:
        return f"{own}{os.pathsep}{path}"
    return f"{path}{os.pathsep}{own}"
