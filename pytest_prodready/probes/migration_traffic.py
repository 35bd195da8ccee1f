"""What a migration does to those who use the database meanwhile, as measured: one record for each step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pytest_prodready.probes.migration_squawk import Remarks


@dataclass(frozen=True, slots=True)
class Touched:
    """A table that was there before the step, and that the step locks or works on."""

    name: str
    rows: int
    filled: bool  # with rows of the gate's; else they are what earlier steps have put in


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A table whose rows were all written anew."""

    table: str
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Built:
    """An index that a step built on a table with rows."""

    index: str
    table: str
    rows: int
    mode: str  # of the lock that its table was under meanwhile; empty: built concurrently
    constraint: bool = False  # made by ALTER TABLE: of a constraint


@dataclass(frozen=True, slots=True)
class Validated:
    """A constraint that the rows of a table were searched for, or a column that became NOT NULL."""

    table: str
    what: str  # as a user would name it
    rows: int
    mode: str  # the strongest lock that the table was under meanwhile
    kind: Literal["check", "foreign key", "not null"]


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """A statement that ran while its session already held ACCESS EXCLUSIVE on tables with rows."""

    statement: str  # empty: the session did nothing
    tables: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Defined:
    """What a step has defined and done, whoever was about."""

    rewritten: tuple[Rewritten, ...] = ()
    built: tuple[Built, ...] = ()
    invalid: tuple[str, ...] = ()  # indexes that it left so
    validated: tuple[Validated, ...] = ()
    meanwhile: tuple[Meanwhile, ...] = ()
    lock_timeouts_ms: tuple[int, ...] = ()  # that were in effect where tables with rows were locked; 0: none


@dataclass(frozen=True, slots=True)
class Stall:
    """The longest that readers, or writers, had to wait."""

    statements: int
    longest_ms: float  # by the clients' clocks, whatever the reason
    behind_ms: float = 0.0  # behind the migration, as the server tells
    queued: bool = False  # behind its place in a queue, not behind a lock that it held
    behind: str = ""  # the statement that it was at
    table: str = ""
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LockHeld:
    """A lock of the migration that keeps others from writing or reading."""

    table: str
    mode: str
    waited_ms: float
    held_ms: float


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a step beside readers and writers."""

    status: int | None  # of the tool; None: it was still running, and was ended; below 0: by that signal
    seconds: float
    printed: str
    reads: Stall
    writes: Stall
    canary_ms: float  # the longest statement on a table of its own at the same time
    control_ms: float  # the longest one of all before the step began
    gap_ms: float  # the longest time between two looks at the locks
    locks: tuple[LockHeld, ...] = ()
    open_s: float = 0.0  # it was let wait for a session idle in transaction; 0: it never waited
    doubt: str = ""  # why it tells less than it should

    @property
    def ran(self) -> bool:
        """Whether the tool has ended well."""
        return self.status == 0

    @property
    def machine_ms(self) -> float:
        """How long the machine alone makes a statement wait."""
        return max(self.canary_ms, self.control_ms)


@dataclass(frozen=True, slots=True)
class Step:
    """One revision of a migration, run on tables with rows while others work on them."""

    revision: str
    touched: tuple[Touched, ...] = ()
    defined: Defined = field(default_factory=Defined)
    busy: Run | None = None  # beside readers and writers
    behind: Run | None = None  # and behind a session that is idle in a transaction
    statements: tuple[str, ...] = ()  # that it sent, in order
    remarks: Remarks = field(default_factory=Remarks)  # of squawk's, about these
    doubt: str = ""  # why it was not tried; empty when it was, or when it touches no table with rows


@dataclass(frozen=True, slots=True)
class Traffic:
    """A migration under traffic."""

    steps: tuple[Step, ...] = ()
    left_out: int = 0  # older steps, which production has behind it
    server: str = ""  # its version
    squawk: str = ""  # its version; empty where it isn't installed
    doubt: str = ""  # why nothing of it could be tried
