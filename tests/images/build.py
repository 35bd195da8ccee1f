"""Making the images that are missing, and naming all of them."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path

from tests.images import debian
from tests.images.commands import ImagesError, docker, why_no_engine
from tests.images.debian import SUITES, Suite
from tests.images.golang import alone
from tests.images.recipes import LABEL, Recipe, Recipes, recipes, service

Say = Callable[[str], None]
SUITE_VARIABLE = "PRODREADY_TEST_SUITE"


@dataclass(frozen=True)
class Images:
    """Name and tag of each image."""

    postgres: str
    redis: str
    toxiproxy: str
    ryuk: str
    python: str
    service: str


def silent(_line: str) -> None:
    """Say nothing."""


def make_images(say: Say = silent) -> Images:
    """All images, made first where they are missing; safe to call from several processes at once."""
    kept = _kept()
    suite = _in_use(kept)
    if suite and not _missing(_all(recipes(suite)), kept):
        return _named(recipes(suite))
    with alone("images"):
        return _named(_made(say))


def service_image(folder: Path, say: Say = silent) -> str:
    """The image of a changed copy of the example, by its own Dockerfile."""
    with alone("images"):
        recipe = service(folder, _made(say).python)
        _make(_missing([recipe], _kept()), say)
    return recipe.reference


def stale() -> list[str]:
    """Images of earlier recipes."""
    current = {recipe.reference for suite in SUITES for recipe in _all(recipes(suite))}
    return sorted(_kept() - current)


def _made(say: Say) -> Recipes:
    kept = _kept()
    suite = _in_use(kept) or debian.newest(_wanted())
    missing = _missing(_all(recipes(suite)), kept)
    if missing:
        say(f"Debian {suite.name}: PostgreSQL {suite.postgres}, Redis {suite.redis}, Python {suite.python}")
        _make(missing, say)
    return recipes(suite)


def _in_use(kept: set[str]) -> Suite | None:
    """The release that earlier images were made from: no archive needs to be asked."""
    for suite in _wanted():
        if any(f":{suite.name}-" in reference for reference in kept):
            return suite
    return None


def _wanted() -> list[Suite]:
    """The release that was asked for, else all of them."""
    name = os.environ.get(SUITE_VARIABLE)
    found = [suite for suite in SUITES if name in (None, "", suite.name)]
    if not found:
        known = ", ".join(suite.name for suite in SUITES)
        raise ImagesError(f"{SUITE_VARIABLE} is {name!r}; it must be one of {known}")
    return found


def _named(made: Recipes) -> Images:
    return Images(**{each.name: getattr(made, each.name).reference for each in fields(Images)})


def _all(made: Recipes) -> list[Recipe]:
    """Every recipe with its parents, parents first."""
    found: dict[str, Recipe] = {}
    for each in fields(made):
        line = []
        recipe: Recipe | None = getattr(made, each.name)
        while recipe:
            line.append(recipe)
            recipe = recipe.parent
        found.update({one.reference: one for one in reversed(line)})
    return list(found.values())


def _kept() -> set[str]:
    """Those of our images that the engine has."""
    if reason := why_no_engine():
        raise ImagesError(
            f"{reason}; start one with: .ci/engine COMMAND, or install one: apt-get install docker.io"
        )
    listed = docker("image", "ls", "--filter", f"label={LABEL}", "--format", "{{.Repository}}:{{.Tag}}")
    return set(listed.split())


def _missing(wanted: Iterable[Recipe], kept: set[str]) -> list[Recipe]:
    return [recipe for recipe in wanted if recipe.reference not in kept]


def _make(missing: list[Recipe], say: Say) -> None:
    """Make them, parents first in the list; each begins as soon as its own parent is there."""
    making: dict[str, Future[None]] = {}
    with ThreadPoolExecutor(len(missing) or 1) as pool:
        for recipe in missing:
            parent = making.get(recipe.parent.reference) if recipe.parent else None
            making[recipe.reference] = pool.submit(_make_one, recipe, parent, say)
    for made in making.values():
        made.result()


def _make_one(recipe: Recipe, parent: Future[None] | None, say: Say) -> None:
    if parent:
        parent.result()
    began = time.monotonic()
    say(f"{recipe.reference} …")
    with tempfile.TemporaryDirectory(prefix="prodready-image-") as folder:
        recipe.make(Path(folder))
    say(f"{recipe.reference} made in {time.monotonic() - began:.1f} s")
