"""What measurements are made of: JSON keeps them for other workers and for --prodready-judge."""

from __future__ import annotations

import dataclasses
import enum
import importlib
import inspect
import pkgutil
import types
from collections.abc import Iterator, Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest

from pytest_prodready import fixtures
from pytest_prodready.records import returned_type

PLAIN = (str, int, float, bool, type(None))
OF_JSON = Mapping[str, Any]  # a plan as Postgres tells it


def returned() -> dict[str, Any]:
    """The types of all measurements, by their fixtures' names."""
    found: dict[str, Any] = {}
    for module in pkgutil.iter_modules(fixtures.__path__, f"{fixtures.__name__}."):
        for name, made in vars(importlib.import_module(module.name)).items():
            if type(made).__name__ == "FixtureFunctionDefinition":
                held = inspect.getclosurevars(made._get_wrapped_function()).nonlocals
                found |= {name: returned_type(held["probe"])} if "probe" in held else {}
    return found


def lossy(kind: Any, place: str, inside: tuple[Any, ...] = ()) -> Iterator[str]:
    """The places where this type might not come back from JSON as it was."""
    parts = get_args(kind)
    if kind in PLAIN or kind == OF_JSON or kind in inside or get_origin(kind) is Literal:
        return
    if get_origin(kind) is tuple:
        for each in parts:
            yield from () if each is ... else lossy(each, f"{place}[]", inside)
    elif get_origin(kind) is get_origin(OF_JSON) and parts[0] is str:
        yield from lossy(parts[1], f"{place}{{}}", inside)
    elif get_origin(kind) in (Union, types.UnionType) and len(parts) == 2 and type(None) in parts:
        yield from lossy(next(each for each in parts if each is not type(None)), place, inside)
    elif dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        for each in dataclasses.fields(kind):
            yield from lossy(hints[each.name], f"{place}.{each.name}", (*inside, kind))
    elif not (isinstance(kind, type) and issubclass(kind, enum.StrEnum)):
        yield f"{place}: {kind}"


@pytest.mark.parametrize(("name", "kind"), returned().items(), ids=list(returned()))
def test_it_comes_back_as_it_was(name: str, kind: Any) -> None:
    """Nothing of a measurement is of a type that JSON would lose or change."""
    assert list(lossy(kind, name)) == []


def test_all_measurements_are_looked_at() -> None:
    """The types are really found: those of the load, and of more than sixty others."""
    assert "load" in returned()
    assert len(returned()) > 60


PLACES = ["it.raw[]", "it.either", "it.names", "it.by_number"]


def test_what_is_lost_is_seen() -> None:
    """Bytes, sets and a choice between two types are named with their place."""

    @dataclasses.dataclass
    class Lossy:
        """One of each."""

        raw: tuple[bytes, ...]
        either: int | str
        names: frozenset[str] | None
        by_number: Mapping[int, str]

    assert [each.partition(":")[0] for each in lossy(Lossy, "it")] == PLACES
