"""What each image is made from; its tag carries a hash of that, so that a changed recipe makes another."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tests.images import debian, wheels
from tests.images.commands import docker
from tests.images.debian import Suite
from tests.images.golang import FLAGS, TOXIPROXY, toxiproxy_binaries

HERE = Path(__file__).resolve().parent
EXAMPLE = wheels.ROOT / "examples" / "jobboard"
# What the example's Dockerfile copies, and itself.
EXAMPLE_FILES = ("Dockerfile", "pyproject.toml", "alembic.ini", "jobboard", "migrations")
LABEL = "pytest-prodready.test-image"
# What testcontainers 4.15 asks for; the image only speaks its protocol.
RYUK = "0.8.1"


@dataclass(frozen=True)
class Recipe:
    """How one image is made, after its parent."""

    name: str
    version: str
    parent: Recipe | None = None
    packages: tuple[str, ...] = ()
    sources: tuple[Path, ...] = ()
    arguments: dict[str, str] = field(default_factory=dict)
    ingredients: tuple[str, ...] = ()
    fetch: Callable[[Path], None] | None = None

    @cached_property
    def reference(self) -> str:
        """Name and tag."""
        digest = hashlib.sha256()
        for part in [*(word.encode() for word in self._words()), *self._contents()]:
            digest.update(part + b"\0")
        return f"prodready-test/{self.name}:{self.version}-{digest.hexdigest()[:12]}"

    def make(self, folder: Path) -> None:
        """Make the image; the folder is empty, to work in."""
        if self.packages:
            debian.import_packages(self.version, self.packages, self.reference, f"{LABEL}={self.name}")
            return
        for source in self.sources:
            if source.is_dir():
                shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, folder)
        if self.fetch:
            self.fetch(folder)
        values = {**self.arguments, **({"BASE": self.parent.reference} if self.parent else {})}
        build = [word for name, value in values.items() for word in ("--build-arg", f"{name}={value}")]
        docker(
            "build", "--force-rm", "--label", f"{LABEL}={self.name}", "--tag", self.reference, *build, folder
        )

    def _words(self) -> list[str]:
        parent = self.parent.reference if self.parent else ""
        options = debian.OPTIONS if self.packages else ()
        return [
            self.name,
            self.version,
            parent,
            *options,
            *self.packages,
            *map(str, self.arguments.items()),
            *self.ingredients,
        ]

    def _contents(self) -> list[bytes]:
        files = [path for source in self.sources for path in [source, *sorted(source.rglob("*"))]]
        kept = [path for path in files if path.is_file() and "__pycache__" not in path.parts]
        return [part for path in kept for part in (path.name.encode(), path.read_bytes())]


@dataclass(frozen=True)
class Recipes:
    """Those that tests name; their parents follow from them."""

    postgres: Recipe
    redis: Recipe
    toxiproxy: Recipe
    ryuk: Recipe
    python: Recipe
    service: Recipe


def recipes(suite: Suite) -> Recipes:
    """Every image, on that release of Debian."""
    python = Recipe(
        "python",
        suite.python,
        _debian(suite, "python", "python3", "python3-venv", "ca-certificates", "libstdc++6"),
        sources=_files("python"),
        ingredients=tuple(wheels.requirements()),
        fetch=lambda folder: wheels.download(folder / "wheels", suite.python),
    )
    return Recipes(
        postgres=Recipe(
            "postgres",
            suite.postgres,
            _debian(suite, "postgres", f"postgresql-{suite.postgres}", "locales"),
            sources=_files("postgres"),
            arguments={"PG_MAJOR": suite.postgres},
        ),
        redis=Recipe(
            "redis",
            suite.redis,
            _debian(suite, "redis", "redis-server"),
            sources=_files("redis"),
            arguments={"REDIS_VERSION": suite.redis},
        ),
        toxiproxy=Recipe(
            "toxiproxy",
            TOXIPROXY,
            sources=_files("toxiproxy"),
            ingredients=(FLAGS,),
            fetch=_copy_toxiproxy,
        ),
        ryuk=Recipe("ryuk", RYUK, python.parent, sources=_files("ryuk")),
        python=python,
        service=service(EXAMPLE, python),
    )


def service(folder: Path, python: Recipe) -> Recipe:
    """The example service, or a changed copy of it."""
    return Recipe("jobboard", "1", python, sources=tuple(folder / name for name in EXAMPLE_FILES))


def _debian(suite: Suite, name: str, *packages: str) -> Recipe:
    return Recipe(f"debian-{name}", suite.name, packages=("passwd", *packages))


def _files(name: str) -> tuple[Path, ...]:
    return tuple(sorted(path for path in (HERE / name).iterdir() if path.is_file()))


def _copy_toxiproxy(folder: Path) -> None:
    for binary in toxiproxy_binaries():
        shutil.copy2(binary, folder)
