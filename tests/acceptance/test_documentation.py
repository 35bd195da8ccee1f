"""What the documentation shows works as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_prodready.configuration import load
from tests.gate import run_gate
from tests.specimens import ROOT, Specimen

SERVICE = '[service]\nname = "shop"\ncommand = "serve --port {port}"\n'


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of one language on a page."""
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


TOML = [
    pytest.param(text, id=f"{page}-{number}")
    for page in ("README.md", "docs/configuration.md")
    for number, text in enumerate(blocks(page, "toml"))
]


@pytest.mark.parametrize("text", TOML)
def test_toml_is_accepted(text: str, tmp_path: Path) -> None:
    """Every piece of prodready.toml on a page is valid, with a [service] before it where it has none."""
    path = tmp_path / "prodready.toml"
    path.write_text(text if "[service]" in text.splitlines() else SERVICE + text)
    assert load(path)


def test_own_test_runs_on_the_example(tmp_path: Path) -> None:
    """The test of one's own that docs/fixtures.md shows passes on the example."""
    Specimen(name="x", breaks="", says="").build(tmp_path)
    (tmp_path / "test_mine.py").write_text(blocks("docs/fixtures.md", "python")[0])
    run = run_gate(tmp_path, "-m", "readiness", "-k", "test_jobs_survive_a_slow_database", ".")
    assert run.code == 0, run.output
    assert "1 passed" in run.output


def test_engine_fixture_gives_the_service_engine(tmp_path: Path) -> None:
    """prodready_engine is made by the service's own factory, with the service's environment."""
    Specimen(name="x", breaks="", says="").build(tmp_path)
    (tmp_path / "test_mine.py").write_text(
        "import asyncio\n\nfrom sqlalchemy import text\n\n\n"
        "def test_engine(prodready_engine):\n"
        '    """It answers."""\n\n'
        "    async def ask():\n"
        "        async with prodready_engine.connect() as connection:\n"
        '            found = (await connection.execute(text("select count(*) from jobs"))).scalar()\n'
        "        await prodready_engine.dispose()\n"
        "        return found\n\n"
        "    assert asyncio.run(ask()) > 0\n"
    )
    run = run_gate(tmp_path, "-m", "readiness", "-k", "test_engine", "test_mine.py")
    assert run.code == 0, run.output
