"""Toxics as the API knows them: names, types, attributes. What they do to data is in `stages`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pytest_prodready.faultproxy import ages, bodies, packet_filter
from pytest_prodready.faultproxy.refusals import (
    ApiError,
    bad_body,
    invalid_stream,
    invalid_toxic_type,
    not_here,
)

Direction = Literal["upstream", "downstream"]

# The attributes of each type, in the order they are shown. Each is an integer and defaults to 0.
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "latency": ("latency", "jitter"),
    "bandwidth": ("rate",),
    "slow_close": ("delay",),
    "timeout": ("timeout",),
    "reset_peer": ("timeout",),
    "slicer": ("average_size", "size_variation", "delay"),
    "limit_data": ("bytes",),
    "noop": (),
    # What follows is unknown to Toxiproxy.
    "packet_loss": ("percent",),
    "total_bandwidth": ("rate",),
}


@dataclass(slots=True)
class Toxic:
    """One fault on one direction of a proxy's connections."""

    name: str
    type: str
    stream: str
    direction: Direction
    toxicity: float
    attributes: dict[str, int]
    only: ages.Ages = ages.EVERY_AGE
    booked_until: float = 0.0  # for what all its connections share, by the loop's clock

    def shown(self) -> dict[str, object]:
        """The toxic as JSON."""
        told: dict[str, object] = {
            "attributes": self.attributes,
            "name": self.name,
            "type": self.type,
            "stream": self.stream,
            "toxicity": bodies.shown(self.toxicity),
        }
        return {**told, "only": self.only.given} if self.only.given else told

    def concerns(self, opened_at: float) -> bool:
        """Whether it can strike a connection that was opened then."""
        return self.only.include(opened_at)

    def change(self, body: object) -> None:
        """Merge a PATCH: attributes and toxicity alone can change."""
        fields = bodies.as_fields(body, "toxic")
        attributes = _attributes(self.type, fields, self.attributes)
        self.toxicity = bodies.fraction(fields, "toxicity", self.toxicity)
        self.attributes = attributes
        self.booked_until = 0.0


@dataclass(frozen=True, slots=True)
class Draft:
    """A toxic whose kind is known, and whose attributes are still to be read.

    The API refuses a name that is taken before it looks at the attributes, so reading comes in two steps.
    """

    name: str
    type: str
    stream: str
    direction: Direction
    toxicity: float
    fields: bodies.Fields

    def finished(self) -> Toxic:
        """The toxic with its attributes."""
        attributes = _attributes(self.type, self.fields, dict.fromkeys(ATTRIBUTES[self.type], 0))
        only = ages.read(self.fields)
        return Toxic(self.name, self.type, self.stream, self.direction, self.toxicity, attributes, only)


def draft(body: object) -> Draft:
    """Read everything of a new toxic but its attributes."""
    fields = bodies.as_fields(body, "toxic")
    name = bodies.text(fields, "name", "")
    kind = bodies.text(fields, "type", "")
    stream = bodies.text(fields, "stream", "downstream")
    toxicity = bodies.fraction(fields, "toxicity", 1.0)
    bodies.as_fields(fields.get("attributes"), "attributes")
    direction = _direction(stream)
    if kind not in ATTRIBUTES:
        raise invalid_toxic_type()
    return Draft(name or f"{kind}_{stream}", kind, stream, direction, toxicity, fields)


def _direction(stream: str) -> Direction:
    match stream.lower():
        case "upstream":
            return "upstream"
        case "downstream":
            return "downstream"
    raise invalid_stream()


def _attributes(kind: str, fields: bodies.Fields, before: dict[str, int]) -> dict[str, int]:
    given = bodies.as_fields(fields.get("attributes"), "attributes")
    merged = {name: bodies.integer(given, name, value) for name, value in before.items()}
    problem = _impossible(kind, merged)
    if problem:
        raise problem
    return merged


def _impossible(kind: str, attributes: dict[str, int]) -> ApiError | None:
    """Values that no stage could work with; the Go server takes them, and dies at the first byte."""
    if attributes.get("rate", 0) < 0:
        return bad_body(f"{kind} rate is {attributes['rate']} KB/s, must be at least 0")
    if kind == "packet_loss":
        return _impossible_loss(attributes["percent"])
    if kind == "slicer":
        average, variation = attributes["average_size"], attributes["size_variation"]
        if average + min(variation, 0) < 1:
            return bad_body(f"slicer average_size is {average} bytes, must be at least 1")
        if variation > average:
            return bad_body(f"slicer size_variation {variation} is over the average_size {average}")
    return None


def _impossible_loss(percent: int) -> ApiError | None:
    if not 0 <= percent <= 100:
        return bad_body(f"packet_loss percent is {percent}, must be from 0 to 100")
    problem = packet_filter.unavailable()
    return not_here("packet_loss", problem) if problem else None
