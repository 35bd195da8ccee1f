"""The tool that changes the database's schema, and the limits of the migration suite."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from pytest_prodready.settings.base import Count, Seconds
from pytest_prodready.settings.migration_traffic import MigrationTrafficSettings

REVISION = "{revision}"  # in a command: the revision that it leads to


class MigrationSettings(MigrationTrafficSettings):
    """[migration]: the tool by name, its commands, or its SQL files; and the limits of the suite."""

    tool: Literal["alembic"] | None = None
    config: Path = Path("alembic.ini")  # of alembic, in the service's folder
    files: Path | None = None  # a folder of SQL files, instead of commands or beside upgrade
    upgrade: str | None = None  # to {revision}, or, without it, to the newest
    downgrade: str | None = None  # to {revision}, or, without it, by one step
    current: str | None = None  # says where the database is
    revisions: str | None = None  # prints the revisions, the oldest first, one a line
    check: str | None = None  # succeeds when the service's models are what the newest revision makes
    seed: str | None = None  # fills the newest schema with rows of the service's own
    base: str = "base"  # what {revision} is before the first one
    bookkeeping: tuple[str, ...] = ()  # the tool's own tables, where they aren't known
    irreversible: dict[str, Annotated[str, Field(min_length=3)]] = {}  # revision: the reason
    steps: Count = 25  # newest revisions that are tried one by one
    rows: Annotated[int, Field(ge=0, le=10_000)] = 10  # generated in each table at each revision
    within_s: Seconds = 300.0  # of one command

    @property
    def given(self) -> bool:
        """Whether it says how the schema is changed."""
        return self.tool is not None or self.files is not None or self.upgrade is not None

    @property
    def runs_itself(self) -> bool:
        """Whether it names what changes the schema in production, which SQL files alone don't."""
        return self.tool is not None or self.upgrade is not None

    @property
    def by_both(self) -> bool:
        """Whether a command runs in production, and its files give the steps."""
        return self.upgrade is not None and self.files is not None

    @property
    def has_history(self) -> bool:
        """Whether its revisions can be told apart."""
        return self.tool is not None or self.files is not None or self.revisions is not None

    @property
    def can_go_back(self) -> bool:
        """Whether its commands have a way down other than a restore."""
        return self.tool is not None or self.downgrade is not None

    @property
    def can_check(self) -> bool:
        """Whether the service's models can be held against the schema."""
        return self.tool is not None or self.check is not None

    @property
    def commands(self) -> dict[str, str]:
        """Its commands by key."""
        keys = ("upgrade", "downgrade", "current", "revisions", "check", "seed")
        return {key: text for key in keys if (text := getattr(self, key)) is not None}

    @model_validator(mode="after")
    def _one_tool(self) -> MigrationSettings:
        if self.tool is not None and (others := [key for key in ("files", "upgrade") if getattr(self, key)]):
            raise ValueError(f"tool and {' and '.join(others)} exclude each other: give one of them")
        if self.files is not None and REVISION in (self.upgrade or ""):
            raise ValueError(f"files give the steps: upgrade leads to the newest then, without {REVISION}")
        unused = [key for key in self.commands if key not in ("check", "seed")]
        if self.upgrade is None and unused:
            raise ValueError(f"{', '.join(unused)} needs upgrade, the command that it belongs to")
        if self.seed is not None and not self.given:
            raise ValueError("seed needs tool, files or upgrade, which make the schema that it fills")
        if self.previous_cwd is not None and self.previous is None:
            raise ValueError("previous_cwd needs previous, the command that is run there")
        if self.revisions is not None and REVISION not in (self.upgrade or ""):
            raise ValueError(f"revisions are stepped through by {REVISION} in upgrade, which hasn't got it")
        return self
