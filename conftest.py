"""The repository's own pytest set-up."""

from __future__ import annotations

pytest_plugins = ["pytester"]
