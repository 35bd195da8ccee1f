"""What the generator is told: what to ask for, how often, and for how long."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

Kind = Literal["request", "create", "read back"]


@dataclass(frozen=True, slots=True)
class Shape:
    """What every answer at rest had: the outer type of its JSON, and the keys that were always there."""

    type: str  # object, array, or another; empty: no JSON
    keys: tuple[str, ...] = ()
    body: bool = True  # whether there always was one
    empty: bool = False  # whether there never was one


@dataclass(frozen=True, slots=True)
class Ask:
    """One request of the mix; `{token}` becomes a new word each time."""

    label: str
    path: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    weight: float = 1.0
    expect: tuple[int, ...] = ()  # none: any 2xx or 3xx
    contains: str = ""  # what the body of a right answer holds
    shape: Shape | None = None  # None: not known
    kind: Kind = "request"

    @property
    def content_known(self) -> bool:
        """Whether it is known what the body of a right answer holds."""
        return self.kind == "read back" or bool(self.contains)

    @property
    def error_known(self) -> bool:
        """Whether an error in its place would be seen: by its shape, or by what it lacks or has."""
        return self.content_known or (self.shape is not None and bool(self.shape.type or self.shape.empty))


@dataclass(frozen=True, slots=True)
class Stage:
    """So many requests a second to one address, for a while."""

    name: str
    url: str
    rate: float
    seconds: float
    climb: bool = False  # left out once the climb has been ended
    null: bool = False  # a server that does nothing: any answer is right, and nothing is written

    @property
    def planned(self) -> int:
        """How many requests that is."""
        return max(1, round(self.rate * self.seconds))


@dataclass(frozen=True, slots=True)
class Plan:
    """All that the generator does."""

    stages: tuple[Stage, ...]
    asks: tuple[Ask, ...]
    users: int
    deadline_s: float  # of each request, from its intended start
    settle_s: float  # a write is read back no sooner
    prefix: str  # of the writes' tokens: a number of five digits follows
    seed: int = 1

    def as_json(self) -> str:
        """It in one line."""
        return json.dumps(asdict(self))

    @classmethod
    def parsed(cls, line: str) -> Self:
        """The plan of such a line."""
        told = json.loads(line)
        told["stages"] = tuple(Stage(**each) for each in told["stages"])
        told["asks"] = tuple(_ask(each) for each in told["asks"])
        return cls(**told)


def _ask(told: dict[str, Any]) -> Ask:
    shape = told.pop("shape")
    if shape is not None:
        shape = Shape(**{**shape, "keys": tuple(shape["keys"])})
    return Ask(**{**told, "expect": tuple(told["expect"])}, shape=shape)
