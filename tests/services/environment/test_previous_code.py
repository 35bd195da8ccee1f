"""The service as it was before the newest step, beside what takes the step."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from pytest_prodready.environment.ran import Command
from pytest_prodready.errors import ConfigError
from pytest_prodready.settings import Settings

from .conftest import TINY, Start, settings_of

WHERE = "import os; print(os.getcwd())"


def settings(cwd: str) -> Settings:
    """The tiny service, whose previous code is in a folder of its own."""
    return settings_of(
        service={"env": {"DATABASE_URL": "{postgres.url}", "SHOWN": "{postgres.database}"}},
        migration={
            "upgrade": "true",
            "previous": f"sh -c 'pwd > started; exec {{python}} {TINY} {{port}}'",
            "previous_cwd": cwd,
        },
    )


def test_it_runs_in_its_own_folder(start: Start, tmp_path: Path) -> None:
    """It answers on the other database out of its own folder; a step still runs in the service's."""
    (tmp_path / "before").mkdir()
    environment = start(settings("before"))
    command = Command("migration-upgrade", f'{{python}} -c "{WHERE}"', "[migration] upgrade")
    with environment.blank("previous") as beside, environment.previous(beside) as previous:
        assert httpx.get(previous.base_url).text == beside.database.name
        ran = environment.try_command(beside.application, command, 20, lambda _: None)
    assert (tmp_path / "before" / "started").read_text().strip() == str(tmp_path / "before")
    assert ran.printed == str(tmp_path)
    assert not previous.processes()


def test_its_folder_has_to_be_there(start: Start) -> None:
    """A folder that doesn't exist is told, and nothing is started."""
    environment = start(settings("nowhere"))
    with (
        environment.blank("previous") as beside,
        pytest.raises(ConfigError, match=r"previous code does not exist: .*nowhere"),
        environment.previous(beside),
    ):
        pass
