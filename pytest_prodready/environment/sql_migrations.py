"""A folder of migrations as SQL files, in the layouts of the tools that keep them so."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pytest_prodready.errors import ConfigError

Layout = Literal["pairs", "files", "folders"]
UP, DOWN, PLAIN, INSIDE = ".up.sql", ".down.sql", ".sql", "migration.sql"
JOURNAL = "meta/_journal.json"  # of drizzle: what it runs, in this order
BREAKPOINT = "--> statement-breakpoint"  # where drizzle parts the statements of a file
WAY_DOWN = re.compile(
    r"^\s*--\s*(migrate:down|\+goose\s+down|\+migrate\s+down)", re.IGNORECASE | re.MULTILINE
)
SOURCE = "[migration] files"
LAYOUTS = "NAME.up.sql with NAME.down.sql, NAME.sql (as drizzle), or NAME/migration.sql (as prisma)"


@dataclass(frozen=True, slots=True)
class SqlMigrations:
    """The migrations of one folder."""

    folder: Path
    layout: Layout
    names: tuple[str, ...]  # from the oldest to the newest
    by_journal: bool = False  # drizzle's

    @property
    def goes_back(self) -> bool:
        """Whether its layout has a way down."""
        return self.layout == "pairs"

    def up(self, name: str) -> Path:
        """The file that upgrades to this one."""
        return self.folder / {"pairs": f"{name}{UP}", "files": f"{name}{PLAIN}"}.get(
            self.layout, f"{name}/{INSIDE}"
        )

    def down(self, name: str) -> Path:
        """The file that takes it back; it needn't exist."""
        return self.folder / f"{name}{DOWN}"

    def queries(self, file: Path) -> tuple[bytes, ...]:
        """What is sent of a file: as drizzle does it statement by statement in a transaction, or one query.

        One query is what prisma sends: the server makes several statements one transaction, and lets a
        single one run without, such as CREATE INDEX CONCURRENTLY.
        """
        text = file.read_bytes()
        parts = text.split(BREAKPOINT.encode())
        return (b"BEGIN", *parts, b"COMMIT") if self.by_journal or len(parts) > 1 else (text,)


def sql_migrations(folder: Path) -> SqlMigrations:
    """What a folder holds; raises ConfigError where it is in none of the layouts, or in several."""
    if not folder.is_dir():
        raise ConfigError("The folder of migrations does not exist.", value=folder, source=SOURCE)
    found = _by_layout(folder)
    if not found:
        raise ConfigError(
            "The folder has no migrations.", value=folder, source=SOURCE, remedy=f"let it hold {LAYOUTS}"
        )
    if len(found) > 1:
        raise ConfigError(
            "The folder mixes layouts of migrations.",
            value=folder,
            source=SOURCE,
            tried=[str(each.up(each.names[0]).relative_to(folder)) for each in found],
            remedy=f"let it hold only one of them: {LAYOUTS}",
        )
    return _forwards(found[0])


def leads_back(folder: Path) -> bool:
    """Whether a folder has files with a way down beside them; False where there is no such folder."""
    return next(folder.glob(f"*{UP}"), None) is not None


def _by_layout(folder: Path) -> list[SqlMigrations]:
    """Its migrations in each layout that occurs, in the order in which the tools run them."""
    pairs = sorted(each.name.removesuffix(UP) for each in folder.glob(f"*{UP}"))
    inside = sorted(each.parent.name for each in folder.glob(f"*/{INSIDE}"))
    plain = [each.stem for each in folder.glob(f"*{PLAIN}") if not each.name.endswith((UP, DOWN))]
    by_journal = (folder / JOURNAL).is_file()
    files = _journal(folder) if by_journal else sorted(plain, key=_by_number)
    found = (
        SqlMigrations(folder, "pairs", tuple(pairs)),
        SqlMigrations(folder, "files", tuple(files), by_journal),
        SqlMigrations(folder, "folders", tuple(inside)),
    )
    return [each for each in found if each.names]


def _by_number(name: str) -> tuple[bool, list[int], str]:
    """V2 comes before V10; what has no number comes last."""
    numbers = [int(each) for each in re.findall(r"\d+", name.partition("_")[0])]
    return not numbers, numbers, name


def _journal(folder: Path) -> list[str]:
    """The names in drizzle's journal, each of which has its file."""
    file = folder / JOURNAL
    try:
        names = [str(entry["tag"]) for entry in json.loads(file.read_bytes())["entries"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            "The journal of the migrations can't be read.",
            value=file,
            source=SOURCE,
            tried=[f"{type(error).__name__}: {error}"],
            remedy="let drizzle-kit generate it anew",
        ) from None
    if missing := [name for name in names if not (folder / f"{name}{PLAIN}").is_file()]:
        raise ConfigError(
            "The journal names a migration that isn't there.",
            value=f"{missing[0]}{PLAIN}",
            source=str(file),
            remedy="bring the file back, or take its entry out: drizzle-kit drop",
        )
    return names


def _forwards(found: SqlMigrations) -> SqlMigrations:
    """The same; raises ConfigError where a file holds its own way back, which would be run with it."""
    for name in () if found.goes_back else found.names:
        if WAY_DOWN.search(found.up(name).read_text(errors="replace")):
            raise ConfigError(
                "A migration holds its way down in the same file, which only its own tool can tell apart.",
                value=found.up(name),
                source=SOURCE,
                remedy="give the tool's commands instead: upgrade with {revision}, downgrade and revisions",
            )
    return found
