"""An initialised data directory, kept in the cache and copied for each start."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path
from typing import Any

from pytest_prodready.environment.binaries import PostgresBinaries
from pytest_prodready.environment.places import (
    as_server_user,
    built_once,
    cache_folder,
    give_to_server_user,
)
from pytest_prodready.environment.secrets import new_password
from pytest_prodready.errors import ServerError

SUPERUSER = "prodready_admin"
TEMPLATE_VERSION = 2  # raise it when what is made here changes
BUILTIN_LOCALE_SINCE = 17


def copy_template(binaries: PostgresBinaries, target: Path) -> str:
    """Copy the template to `target`, a folder that must not exist; returns the superuser's password in it."""
    template = _template(binaries)
    subprocess.run(
        ["cp", *copy_options(), str(template / "data"), str(target)],
        check=True,
        stdin=subprocess.DEVNULL,
        **as_server_user(),
    )
    return (template / "password").read_text()


def copy_options() -> list[str]:
    """The options with which `cp` copies a data directory."""
    # A reflink costs nothing where the file system has them; only GNU's cp knows the option.
    return ["-a", "--reflink=auto"] if os.uname().sysname == "Linux" else ["-a"]


def _template(binaries: PostgresBinaries) -> Path:
    """The template of this PostgreSQL, made when it isn't there yet."""
    program = (binaries.folder / "initdb").stat()
    facts = f"{binaries.folder}|{program.st_size}|{program.st_mtime_ns}|{TEMPLATE_VERSION}|{as_server_user()}"
    mark = hashlib.sha256(facts.encode()).hexdigest()[:12]
    folder = cache_folder() / "templates" / f"postgres-{binaries.version}-{mark}"
    with built_once(folder) as draft:
        if draft is not None:
            _initialise(binaries, draft)
    return folder


def _initialise(binaries: PostgresBinaries, draft: Path) -> None:
    data, password = draft / "data", draft / "password"
    descriptor = os.open(password, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(new_password())
    data.mkdir(mode=0o700)
    give_to_server_user(data, password)
    attempts = []
    for locale in _locales(binaries.version):
        told = _initdb(binaries, data, password, locale)
        if told.returncode == 0:
            _slim(binaries, data)
            return
        attempts.append(f"initdb {' '.join(locale)}: {told.stderr.strip() or told.stdout.strip()}")
    raise ServerError(
        "PostgreSQL could not initialise a data directory.",
        value=f"{binaries} in {binaries.folder}",
        tried=attempts,
        remedy="check that this installation is complete, or choose another by [postgres] bin",
    )


def _initdb(
    binaries: PostgresBinaries, data: Path, password: Path, locale: list[str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            binaries.folder / "initdb",
            *("--pgdata", data),
            *("--username", SUPERUSER),
            *("--auth", "scram-sha-256"),
            *("--pwfile", password),
            *("--encoding", "UTF8"),
            *locale,
            "--data-checksums",
            "--no-sync",
        ],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        cwd=data,
        env=binaries.environment,
        **as_server_user(),
    )


def _slim(binaries: PostgresBinaries, data: Path) -> None:
    """Drop the log of the initialisation, a third of what each start would copy; if it can't be, fine."""
    reset = binaries.folder / "pg_resetwal"
    if not reset.exists() or os.uname().sysname != "Linux":
        return
    environment = {"LC_ALL": "C", **binaries.env}
    options: dict[str, Any] = {"capture_output": True, "cwd": data, **as_server_user()}
    if subprocess.run([reset, "-D", data], check=False, env=environment, **options).returncode != 0:
        return
    # The new log is one segment of zeros, which as a hole takes no time to copy.
    for segment in (data / "pg_wal").glob("0*"):
        sparse = segment.with_suffix(".sparse")
        subprocess.run(["cp", "-p", "--sparse=always", segment, sparse], check=False, **options)
        if sparse.exists() and sparse.stat().st_size == segment.stat().st_size:
            sparse.rename(segment)
        else:
            sparse.unlink(missing_ok=True)


def _locales(version: str) -> list[list[str]]:
    """Locales that need nothing of the machine and sort alike everywhere, the best first."""
    major = int(version.split(".", maxsplit=1)[0])
    if major >= BUILTIN_LOCALE_SINCE:
        return [["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]]
    return [["--locale=C.UTF-8"], ["--locale=C"]]
