"""Making the images of the tests: what decides a tag, that each is made once, and what is said otherwise."""

from __future__ import annotations

import threading
from dataclasses import fields, replace
from pathlib import Path

import pytest

from tests.images import build, debian
from tests.images.build import SUITE_VARIABLE, Images, make_images
from tests.images.commands import ImagesError, require
from tests.images.debian import SUITES
from tests.images.recipes import Recipe, recipes

WORKERS = 4


class Engine:
    """An engine that only remembers what it was given, after as long as it takes others to want the same."""

    def __init__(self) -> None:
        self.kept: list[str] = []
        self.asked = threading.Barrier(WORKERS, timeout=10)

    def make(self, recipe: Recipe, _folder: Path) -> None:
        """Keep one more image, after its parent."""
        assert recipe.parent is None or recipe.parent.reference in self.kept
        self.kept.append(recipe.reference)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Engine:
    """In the place of Docker, with the newest release at hand."""
    made = Engine()

    def make(recipe: Recipe, folder: Path) -> None:
        made.make(recipe, folder)

    monkeypatch.setattr(Recipe, "make", make)
    monkeypatch.setattr(build, "_kept", lambda: set(made.kept))
    monkeypatch.setattr(debian, "newest", lambda wanted: wanted[0])
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delenv(SUITE_VARIABLE, raising=False)
    return made


def test_tag_follows_from_what_the_image_is_made_from(tmp_path: Path) -> None:
    """Another file, argument or parent is another image; the same ones are the same."""
    source = tmp_path / "Dockerfile"
    source.write_text("FROM scratch")
    recipe = Recipe("tiny", "1", sources=(source,))
    assert replace(recipe).reference == recipe.reference
    assert replace(recipe, arguments={"A": "1"}).reference != recipe.reference
    child = replace(recipe, parent=recipe)
    assert child.reference != recipe.reference
    source.write_text("FROM other")
    assert replace(recipe).reference != recipe.reference
    assert replace(recipe, parent=replace(recipe)).reference != child.reference


def test_workers_make_each_image_once(engine: Engine) -> None:
    """Those who want images at the same time wait for the one that makes them."""
    named: list[Images] = []

    def work() -> None:
        engine.asked.wait()
        named.append(make_images())

    workers = [threading.Thread(target=work) for _ in range(WORKERS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=30)
    assert len(named) == WORKERS
    assert len(set(named)) == 1
    assert len(engine.kept) == len(set(engine.kept))
    assert {getattr(named[0], each.name) for each in fields(Images)} <= set(engine.kept)


def test_makes_only_what_is_missing(engine: Engine) -> None:
    """An image that is gone is made again from what is there, without asking an archive."""
    names = make_images()
    before = set(engine.kept)
    engine.kept.remove(names.postgres)
    assert make_images() == names
    assert set(engine.kept) == before
    assert engine.kept[-1] == names.postgres


def test_stays_with_the_release_in_use(engine: Engine) -> None:
    """Where images of an older release are, the others come from it too; a newer one has precedence."""
    newer, older = recipes(SUITES[0]), recipes(SUITES[-1])
    assert older.postgres.parent
    assert newer.postgres.parent
    engine.kept = [older.postgres.parent.reference]
    assert make_images().redis == older.redis.reference
    engine.kept.append(newer.postgres.parent.reference)
    assert make_images().redis == newer.redis.reference


def test_unknown_release_is_named(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt release says which there are."""
    monkeypatch.setenv(SUITE_VARIABLE, "trixy")
    with pytest.raises(ImagesError, match=f"{SUITE_VARIABLE} is 'trixy'; it must be one of trixie, bookworm"):
        make_images()


@pytest.mark.parametrize("tool", ["docker", "mmdebstrap", "go"])
def test_missing_tool_says_what_to_install(
    tool: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A tool that isn't there is named, with what brings it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ImagesError, match=rf"^{tool} is needed .*; install "):
        require(tool)
