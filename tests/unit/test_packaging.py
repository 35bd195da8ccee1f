"""What is installed is all of the package."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_package_is_listed() -> None:
    """A folder with modules that isn't listed would be missing from the wheel alone."""
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    here = {
        ".".join(folder.relative_to(ROOT).parts)
        for folder in (ROOT / "pytest_prodready", *(ROOT / "pytest_prodready").rglob("*"))
        if folder.is_dir() and (folder / "__init__.py").exists()
    }
    assert set(told) - {"pytest_prodready.suites"} == here
