"""The data that plans are made for, and the budgets of the explain suite."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from pytest_prodready.names import PINNED_SETTINGS, PLANNER_SETTINGS
from pytest_prodready.rules.explain_statements import STATEMENTS
from pytest_prodready.settings.base import Count, Name, RowCount, Table

NOT_ACCEPTED = {
    "explain.statements-captured": "says what is known, and no statement is known by accepting it",
    "explain.plan-unchanged": "has a way of its own: --prodready-explain=update accepts a plan",
    "explain.slow-statements": "is advice and fails nothing",
}
ACCEPTABLE = tuple(rule.id for rule in STATEMENTS if rule.id not in NOT_ACCEPTED)


class QuerySettings(Table):
    """[[explain.queries]]: a statement that no declared request runs; `$1` and so on stand for `params`."""

    name: Name
    sql: str | None = None
    file: Path | None = None
    params: tuple[str | int | float | bool | None, ...] = ()
    buffers: Count | None = None

    @model_validator(mode="after")
    def _one_text(self) -> QuerySettings:
        if (self.sql is None) == (self.file is None):
            raise ValueError("give either sql or file")
        return self


class AcceptedSettings(Table):
    """[[explain.accepted]]: a statement that may break one rule about statements, and why."""

    rule: str
    statement: Annotated[str, Field(min_length=8)]  # a piece of it, or pieces with … between them
    reason: Annotated[str, Field(min_length=3)]

    @field_validator("rule")
    @classmethod
    def _about_statements(cls, value: str) -> str:
        if value in NOT_ACCEPTED:
            raise ValueError(f"{value} {NOT_ACCEPTED[value]}")
        if value not in ACCEPTABLE:
            nearest = get_close_matches(value, ACCEPTABLE, n=1)
            hint = f"did you mean {nearest[0]}?" if nearest else f"those are {', '.join(ACCEPTABLE)}"
            raise ValueError(f"{value} is no rule about statements: {hint}")
        return value


class ExplainSettings(Table):
    """[explain]: the data that plans are made for, and the budgets of the explain suite."""

    seed: str | None = None  # a command that fills the database with as much as production has
    rows: dict[str, RowCount] = {}  # of production's tables; what is missing is generated
    statistics: Path | None = None  # production's, by pg_dump --statistics-only
    settings: dict[str, str | int | float | bool] = {}  # production's planner settings, such as work_mem
    queries: tuple[QuerySettings, ...] = ()
    accepted: tuple[AcceptedSettings, ...] = ()
    baseline: Path = Path("prodready.plans.json")
    buffers: Count | None = None  # pages that a statement may touch
    buffers_growth: Annotated[float, Field(ge=1)] = 1.25  # over the baseline
    buffers_slack: Annotated[int, Field(ge=0)] = 50  # pages that don't count as growth
    examined_per_row: Annotated[float, Field(ge=1)] = 100
    examined_rows: Count = 1000  # fewer rows removed than this are nobody's trouble
    large_table_rows: Count = 10_000
    estimate_error: Annotated[float, Field(gt=1)] = 100
    loops: Count = 100  # of a sequential scan inside a nested loop
    heap_fetches: Annotated[float, Field(ge=0, le=1)] = 0.1
    repeats: Annotated[int, Field(ge=2, le=1000)] = 5  # of one statement in one request
    generic_growth: Annotated[float, Field(gt=1)] = 10  # of a generic plan over a custom one, in pages
    slow_ms: Annotated[float, Field(gt=0)] = 100  # advice only: milliseconds are this machine's
    sequence_used: Annotated[float, Field(gt=0, lt=1)] = 0.9
    unused_index_mb: Annotated[float, Field(ge=0)] = 10
    bloat_mb: Annotated[float, Field(ge=0)] = 100

    @property
    def has_data(self) -> bool:
        """Whether it says what plans are made for: on ten rows they mean nothing."""
        return bool(self.rows or self.seed is not None or self.statistics is not None)

    @field_validator("settings")
    @classmethod
    def _of_the_planner(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in value:
            if name in PINNED_SETTINGS:
                raise ValueError(f"{name} is always {PINNED_SETTINGS[name]} here: remove it")
            if name not in PLANNER_SETTINGS:
                nearest = get_close_matches(name, PLANNER_SETTINGS, n=1)
                hint = f": did you mean {nearest[0]}?" if nearest else ", such as work_mem: remove it"
                raise ValueError(f"{name} is not a setting of the planner{hint}")
        return value
