"""The style sheets that go into reports; they lie beside this file."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def style(name: str) -> str:
    """The text of a style sheet: report or timeline."""
    return (files("pytest_prodready.reports") / f"{name}.css").read_text(encoding="utf-8")
