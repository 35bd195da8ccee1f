"""Limits of a migration while others use the database."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from pytest_prodready.settings.base import Count, RowCount, Table


class MigrationTrafficSettings(Table):
    """The part of [migration] about traffic; times in milliseconds."""

    stall_ms: Annotated[float, Field(gt=0, le=60_000)] = 500  # that anyone may wait for the migration
    exclusive_ms: Annotated[float, Field(gt=0, le=60_000)] = 100  # of work under a lock already taken
    traffic_steps: Count = 3  # the newest ones; production has the others behind it
    traffic_rows: RowCount = 50_000  # of a table that a step touches, where [explain] rows doesn't tell
    small_rows: RowCount = 1000  # a table below that may be locked for as long as it takes to go through it
    squawk_accept: tuple[str, ...] = ()  # squawk's rules that are accepted here
    previous: str | None = None  # the command of the service as it was before the newest step
    previous_cwd: Path | None = None  # where it is run, if not where the service is
