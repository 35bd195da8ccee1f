"""The statements that the service ran and their plans: what the explain suite judges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Mode = Literal["custom", "generic"]
Data = Literal["rows", "statistics"]


@dataclass(frozen=True, slots=True)
class Explained:
    """A plan of one statement, as EXPLAIN (FORMAT JSON) tells it.

    `custom` is made for these parameters, `generic` for any. With `rows` it was run on them (ANALYZE,
    BUFFERS; no timing of nodes) in a transaction that was rolled back; with `statistics` it was only planned,
    for production's sizes.
    """

    mode: Mode
    data: Data
    plan: Mapping[str, Any] = field(default_factory=dict)  # with the key "Plan"; empty where there is none
    error: str = ""  # why there is none

    @property
    def analyzed(self) -> bool:
        """Whether it was run, so that it has actual rows and buffers."""
        return "Actual Loops" in self.plan.get("Plan", {})


@dataclass(frozen=True, slots=True)
class Source:
    """Who ran a statement: a declared request, or `query: name` for one of [explain] queries."""

    name: str
    calls: int  # in one run of the request


@dataclass(frozen=True, slots=True)
class Budget:
    """What a declared query may cost; None: no limit of its own."""

    buffers: int | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement of the service, with a representative set of its parameters."""

    text: str  # normalised: constants are $1, $2 …
    example: str  # as it was run
    parameters: tuple[str | None, ...] = ()
    sources: tuple[Source, ...] = ()
    prepared: bool = False  # by name, so that the server may go over to a generic plan
    nested: bool = False  # run by a function, not by the service itself
    settings: Mapping[str, str] = field(default_factory=dict)  # of the planner, changed by the session
    plans: tuple[Explained, ...] = ()
    skipped: str = ""  # why it has no plan: "COPY has none"
    milliseconds: float = 0.0  # of the slowest run by the service
    budget: Budget = Budget()

    @property
    def who(self) -> str:
        """The requests that ran it, in words."""
        return ", ".join(source.name for source in self.sources)


@dataclass(frozen=True, slots=True)
class Missed:
    """Calls that the server counted and its log doesn't show: they were not captured."""

    source: str
    text: str
    calls: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """A declared request whose statements were captured."""

    name: str
    status: int | None
    expected: bool
    statements: int  # run by the service for it
    rows: int = 0  # of the largest result


@dataclass(frozen=True, slots=True)
class Repeat:
    """A statement that one request ran several times, on few rows of its parent and on more."""

    request: str
    text: str
    calls: int  # as the request is declared, on all rows
    parent: str = ""  # the statement whose rows it was run for
    table: str = ""  # whose rows were made fewer
    few_rows: int = 0
    few_calls: int = 0
    many_rows: int = 0
    many_calls: int = 0
    doubt: str = ""  # why growth could not be measured


@dataclass(frozen=True, slots=True)
class TableSize:
    """How large a table is where the plans were made."""

    name: str
    rows: int
    pages: int
    wanted: int | None = None  # [explain] rows


@dataclass(frozen=True, slots=True)
class Proposal:
    """An index that was built, planned with, and taken away again."""

    text: str  # of the statement that it is for
    relation: str
    sql: str  # CREATE INDEX CONCURRENTLY …
    cost_before: float
    cost_after: float
    node_after: str  # such as "Index Scan using jobs_region_idx on jobs"
    replaces: tuple[str, ...] = ()  # indexes that it makes superfluous


@dataclass(frozen=True, slots=True)
class Plans:
    """Everything that the explain suite judges about statements."""

    asked: tuple[Asked, ...] = ()
    statements: tuple[Statement, ...] = ()
    missed: tuple[Missed, ...] = ()
    repeats: tuple[Repeat, ...] = ()
    proposals: tuple[Proposal, ...] = ()
    tables: tuple[TableSize, ...] = ()
    origin: str = ""  # of the data, in words: "seeded by …", "20,000 rows generated in jobs"
    settings: Mapping[str, str] = field(default_factory=dict)  # pinned while explaining
    server: str = ""  # its version
    doubt: str = ""  # why nothing can be told
