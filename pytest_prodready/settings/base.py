"""What all tables of prodready.toml share: strictness, and types of values with their bounds."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(gt=0, le=3600)]
Count = Annotated[int, Field(ge=1, le=100_000)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,39}$")]
Image = Annotated[str, Field(pattern=r"^[a-z0-9][\w./:@-]*$")]
RowCount = Annotated[int, Field(ge=1, le=100_000_000)]
UrlPath = Annotated[str, Field(pattern=r"^/")]


class Table(BaseModel):
    """A table of prodready.toml: unknown keys are errors, values are frozen, and numbers are finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=False, allow_inf_nan=False)
