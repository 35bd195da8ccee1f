"""What is known of a backup after it was made, restored and compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pytest_prodready.probes.contents_differences import ContentDifference
from pytest_prodready.probes.schema import SchemaDifference

By = Literal["gate", "commands"]


@dataclass(frozen=True, slots=True)
class Step:
    """One command of a procedure, or one program of PostgreSQL's, and how it ended."""

    name: str  # pg_restore, or the key that says the command
    status: int | None  # None: it had to be ended
    seconds: float
    printed: str = ""  # the last of it
    errors: tuple[str, ...] = ()  # lines of that which say an error
    printed_bytes: int = 0  # all that a command has printed

    @property
    def failed(self) -> bool:
        """Whether it says itself that it failed."""
        return self.status != 0


@dataclass(frozen=True, slots=True)
class Source:
    """How much there was to back up."""

    tables: int
    rows: int
    sequences: int
    views: int  # materialized, and populated
    large_objects: int
    things: int  # of the catalogue
    roles: int
    settings: int
    bytes: int  # of the database on disk

    @property
    def empty(self) -> bool:
        """Whether there is nothing that a backup could lose."""
        return not (self.tables or self.sequences or self.views or self.large_objects)


@dataclass(frozen=True, slots=True)
class Compared:
    """The restored database beside the one that was backed up."""

    contents: tuple[ContentDifference, ...] = ()
    schema: tuple[SchemaDifference, ...] = ()  # of the database's own catalogue
    cluster: tuple[SchemaDifference, ...] = ()  # roles, and properties of the database
    unanalyzed: tuple[str, ...] = ()  # tables with rows of which the planner knows nothing


@dataclass(frozen=True, slots=True)
class Markers:
    """Writes of the service that were acknowledged before the backup began."""

    written: int  # acknowledged, and in the database
    recovered: int
    last_age_s: float  # of the last one that was recovered, when the backup began
    first_lost: str = ""  # token
    unusable: str = ""  # why nothing can be said


@dataclass(frozen=True, slots=True)
class Halved:
    """A second restore, from a backup whose files were cut to half of their length."""

    step: Step
    noticed: bool  # by an error, or by the comparison


@dataclass(frozen=True, slots=True)
class BackupRun:
    """One backup, from the service's database to a restored one on a server that knew nothing of it."""

    by: By
    server: str  # its version
    backup: tuple[Step, ...]
    source: Source
    backup_bytes: int = 0
    restore: tuple[Step, ...] = ()  # none where there was nothing to restore
    compared: Compared | None = None  # None where there is nothing to compare
    why_not: str = ""  # there is nothing to compare
    moved: tuple[str, ...] = ()  # tables that somebody wrote to while the backup was made
    provisioned: tuple[str, ...] = ()  # roles that were there before the restore
    markers: Markers | None = None
    halved: Halved | None = None  # of commands alone

    @property
    def backup_s(self) -> float:
        """How long the backup took."""
        return round(sum(step.seconds for step in self.backup), 3)

    @property
    def restore_s(self) -> float:
        """How long the restore took."""
        return round(sum(step.seconds for step in self.restore), 3)
