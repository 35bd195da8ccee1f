"""Root file systems out of Debian packages, by mmdebstrap from the archive that this machine uses."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.images.commands import ImagesError, docker, require, run


@dataclass(frozen=True)
class Suite:
    """A Debian release and the versions it has."""

    name: str
    postgres: str
    redis: str
    python: str


# In order of preference.
SUITES = (Suite("trixie", "17", "8.0", "3.13"), Suite("bookworm", "15", "7.0", "3.11"))

OPTIONS = (
    "--variant=essential",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    # As in the official image: installing the server makes no cluster.
    '--essential-hook=mkdir -p "$1/etc/postgresql-common"',
    '--essential-hook=echo create_main_cluster = false >"$1/etc/postgresql-common/createcluster.conf"',
)


def archives() -> list[str]:
    """The Debian archives that apt is configured with; none leaves the choice to mmdebstrap."""
    if shutil.which("apt-get") is None:
        return []
    line = "$(LABEL)\t$(REPO_URI)"
    found = run("apt-get", "indextargets", "--format", line, "Created-By: Packages").splitlines()
    return sorted({uri for label, _, uri in (each.partition("\t") for each in found) if label == "Debian"})


def serves(suite: Suite) -> bool:
    """Whether the archive has the release, and apt's keyring accepts it."""
    try:
        run(require("mmdebstrap"), "--simulate", "--variant=essential", suite.name, "/dev/null", *archives())
    except ImagesError:
        return False
    return True


def newest(wanted: list[Suite]) -> Suite:
    """The first release that can be had here."""
    require("mmdebstrap")
    for suite in wanted:
        if serves(suite):
            return suite
    tried = " and ".join(suite.name for suite in wanted)
    raise ImagesError(
        f"mmdebstrap found no Debian release; tried {tried} from {', '.join(archives()) or 'its default'}. "
        f"See why: mmdebstrap --simulate {wanted[0].name} /dev/null"
    )


def import_packages(suite: str, packages: tuple[str, ...], reference: str, label: str) -> None:
    """Make a root file system with those packages and give it to the engine as an image."""
    with tempfile.TemporaryDirectory(prefix="prodready-image-") as folder:
        archive = Path(folder) / "root.tar"
        run(
            require("mmdebstrap"),
            *OPTIONS,
            f"--include={','.join(packages)}",
            suite,
            archive,
            *archives(),
        )
        docker("import", "--change", f"LABEL {label}", archive, reference)
