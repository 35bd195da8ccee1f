"""The same small job board in other languages, as their communities write it: copied, broken and built."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.images.commands import run
from tests.images.golang import alone
from tests.specimens import Swap

HERE = Path(__file__).parent
LANGUAGES = ("gunicorn", "go", "node")
NEEDS = {"go": ("go",), "node": ("node", "npm")}  # programs
MODULES = ("gunicorn", "flask")
TARGET = "prodready.toml"


def missing(language: str) -> str:
    """What isn't installed that this service needs; empty when all is."""
    if language == "gunicorn":
        absent = [name for name in MODULES if importlib.util.find_spec(name) is None]
    else:
        absent = [name for name in NEEDS[language] if shutil.which(name) is None]
    return f"not installed: {', '.join(absent)}" if absent else ""


def build(language: str, folder: Path, swaps: Sequence[Swap] = (), more: str = "") -> Path:
    """A copy of this service with these defects, ready to be started; returns its folder.

    `more` names a folder beside it, whose files are added.
    """
    for shared in ("prepare.py", "schema.sql"):
        shutil.copy(HERE / shared, folder)
    service = folder / language
    ignored = shutil.ignore_patterns("__pycache__", "node_modules", ".*")
    shutil.copytree(HERE / language, service, ignore=ignored)
    if more:
        shutil.copytree(HERE / more, service, ignore=ignored, dirs_exist_ok=True)
    for swap in swaps:
        path = service / swap.file
        text = path.read_text()
        assert text.count(swap.old) == 1, f"{swap.old!r} occurs {text.count(swap.old)} times"
        path.write_text(text.replace(swap.old, swap.new))
    if language == "go":
        # Modules and compiled packages stay in Go's own caches.
        run("go", "build", "-C", service, "-o", "jobs", ".")
    if language == "node":
        (service / "node_modules").symlink_to(node_modules(service / "package.json"))
    return service


def node_modules(package: Path) -> Path:
    """What package.json asks for, installed once in the user's cache."""
    wanted = hashlib.sha256(package.read_bytes()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pytest-prodready"
    kept = cache / f"node-{wanted}"
    with alone("node-modules"):
        if not kept.exists():
            cache.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=cache) as folder:
                fresh = Path(folder) / "service"
                fresh.mkdir()
                shutil.copy(package, fresh)
                run("npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--prefix", fresh)
                fresh.rename(kept)
    return kept / "node_modules"
