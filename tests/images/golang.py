"""Toxiproxy's server and client, built from its Go module once and kept in the user's cache."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.images.commands import require, run

TOXIPROXY = "2.12.0"
MODULE = "github.com/Shopify/toxiproxy/v2"
FLAGS = f"-s -w -X {MODULE}.Version={TOXIPROXY}"
# The folder's name under cmd/, and what the binary is called.
BINARIES = {"server": "toxiproxy-server", "cli": "toxiproxy-cli"}


@contextmanager
def alone(name: str) -> Iterator[None]:
    """One process at a time, among those of this user."""
    path = Path(tempfile.gettempdir()) / f"prodready-{name}-{os.getuid()}.lock"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def toxiproxy_server() -> Path | None:
    """The server's binary for this machine; None where there is no Go to build it with."""
    server = _folder() / BINARIES["server"]
    if not server.exists() and shutil.which("go") is None:
        return None
    return toxiproxy_binaries()[0]


def toxiproxy_binaries() -> list[Path]:
    """The server and the client, static."""
    kept = [_folder() / name for name in BINARIES.values()]
    if not all(path.exists() for path in kept):
        with alone("toxiproxy"):
            if not all(path.exists() for path in kept):
                _build()
    return kept


def _folder() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "pytest-prodready" / f"toxiproxy-{TOXIPROXY}"


def _build() -> None:
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as fresh:
        packages = [f"{MODULE}/cmd/{part}@v{TOXIPROXY}" for part in BINARIES]
        settings = {"CGO_ENABLED": "0", "GOBIN": fresh}
        run(
            require("go"),
            "install",
            "-trimpath",
            f"-ldflags={FLAGS}",
            *packages,
            env={**os.environ, **settings},
        )
        for part, name in BINARIES.items():
            (Path(fresh) / part).rename(folder / name)
