"""What requests may contain; anything else is refused before the database sees it."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

# PostgreSQL has no NUL in text and no integer beyond 64 bits; both are the client's mistake, not an error.
Line = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]*$")
]
Prose = Annotated[str, StringConstraints(max_length=20_000, pattern=r"^[^\x00]*$")]
Id = Annotated[int, Field(ge=1, le=2**63 - 1)]
Key = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]*$")]
Status = Literal["draft", "open", "closed"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Position(NamedTuple):
    """Where a page ends: the keys of its last row, opaque to clients."""

    posted_at: datetime
    id: int

    def __str__(self) -> str:
        return f"{(self.posted_at - EPOCH) // MICROSECOND}.{self.id}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a position back, or raise ValueError."""
        try:
            posted, row = (int(part) for part in text.split("."))
            if not 0 <= row < 2**63:
                raise ValueError
            return cls(EPOCH + posted * MICROSECOND, row)
        except (ValueError, OverflowError):
            raise ValueError("not a cursor of this list") from None


class JobFilters(BaseModel):
    """Which jobs to list; without a status, those that are open."""

    model_config = ConfigDict(extra="ignore")

    title: Line | None = None
    q: Line | None = None
    district: Line | None = None
    region: Line | None = None
    status: Status = "open"
    featured: bool | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    after: Position | None = None

    @field_validator("after", mode="before")
    @classmethod
    def _after(cls, text: str) -> Position:
        return Position.parse(text)


class ApplicationFilters(BaseModel):
    """Which page of a job's applications to list."""

    model_config = ConfigDict(extra="ignore")

    limit: Annotated[int, Field(ge=1, le=100)] = 20
    after: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0


class NewJob(BaseModel):
    """A job listing to create."""

    model_config = ConfigDict(extra="forbid")

    organisation_id: Id
    title: Line
    description: Prose = ""
    district: Line
    region: Line
    status: Status = "open"
    featured: bool = False


class NewApplication(BaseModel):
    """A user's application to create."""

    model_config = ConfigDict(extra="forbid")

    user_id: Id
    cover_letter: Prose = ""
