"""How the service's database is backed up and restored, and how much may be lost by that."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pytest_prodready.settings.base import Count, RowCount, Seconds, Table

Period = Annotated[float, Field(gt=0, le=31 * 24 * 3600)]


class BackupSettings(Table):
    """[backup]: commands of the user's own, or how the gate makes a backup itself, and the objectives."""

    backup: str | None = None  # writes a file or a folder at {backup}
    restore: str | None = None  # fills the empty database of {postgres.…} from {backup}
    format: Literal["custom", "directory"] = "custom"  # of pg_dump, without commands
    jobs: Annotated[int, Field(ge=1, le=64)] = 2
    within_s: Seconds = 600.0  # each command, and each program of PostgreSQL's
    rpo_writes: Annotated[int, Field(ge=0)] = 0  # acknowledged before the backup began, and not in it
    rpo_s: Period | None = None
    every_s: Period | None = None  # how often production is backed up
    rto_s: Period | None = None
    database_gb: Annotated[float, Field(gt=0)] | None = None  # production's
    rto_rows: Annotated[tuple[RowCount, ...], Field(min_length=3, max_length=8)] = (10_000, 40_000, 80_000)
    point_in_time: bool = False  # production archives its WAL, so as to restore any moment
    rto_runs: Annotated[Count, Field(le=20)] = 6  # restores of each size, at most

    @property
    def by_commands(self) -> bool:
        """Whether the user's own procedure is tried."""
        return self.backup is not None

    @model_validator(mode="after")
    def _both_or_none(self) -> BackupSettings:
        if (self.backup is None) != (self.restore is None):
            raise ValueError("give both backup and restore, or neither: each proves the other")
        return self

    @model_validator(mode="after")
    def _one_place(self) -> BackupSettings:
        for name in ("backup", "restore"):
            command = getattr(self, name)
            if command is not None and "{backup}" not in command:
                raise ValueError(f"{name} has to name {{backup}}, the file or folder of the backup")
        return self

    @model_validator(mode="after")
    def _growing(self) -> BackupSettings:
        if list(self.rto_rows) != sorted(set(self.rto_rows)):
            raise ValueError("rto_rows must grow")
        return self
