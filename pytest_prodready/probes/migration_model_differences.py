"""What models say of their tables, and the schema that migrations make doesn't hold.

Only what models say counts: a check, a default or a trigger that migrations alone know is no difference. Nor
is what alembic compares by itself: tables, columns with type and NOT NULL, keys, and which indexes there are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from pytest_prodready.probes.schema import Schema, SchemaDifference, Thing

Things = Mapping[tuple[str, str], str]  # definitions by kind and name
CAST = re.compile(
    r'::(?:"[^"]+"|[\w.]+)(?: varying| precision| with(?:out)? time zone)?(?:\(\d+(?:, ?\d+)?\))?(?:\[\])*'
)
VALUES = re.compile(r"ARRAY\[([^\]]*)\]")
ASIDE = re.compile(r"[()\s]|\bNOT VALID\b|\bNO INHERIT\b|\bONLY\b|\bWITH \([^)]*\)")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
LITERAL = re.compile(rf"'(?:[^']|'')*'|{NUMBER.pattern}|true|false")
OF_A_SEQUENCE = "nextval("


def model_differences(models: Schema, migrated: Schema) -> tuple[SchemaDifference, ...]:
    """What the models' own tables have, and the migrated ones haven't, or have otherwise."""
    there = {(each.kind, each.name): each.definition for each in migrated.things}
    types = {each.name: each.definition for each in models.things if each.kind == "column"}
    found: list[SchemaDifference] = []
    for each in models.things:
        compare = COMPARED.get(each.kind)
        # A column of another type is alembic's to tell, or was made so on purpose.
        same_type = each.name not in types or there.get(("column", each.name)) == types[each.name]
        if compare is not None and same_type:
            found += compare(each, there)
    return tuple(found)


def _in_any_name(each: Thing, there: Things) -> Iterator[SchemaDifference]:
    """A constraint, which the database may have named."""
    table = each.name.rpartition(".")[0]
    same_kind = [(name, text) for (kind, name), text in there.items() if kind == each.kind]
    others = [_meaning(text) for name, text in same_kind if name.rpartition(".")[0] == table]
    if ("table", table) in there and _meaning(each.definition) not in others:
        yield _difference(each, there.get((each.kind, each.name)))


def _if_there(each: Thing, there: Things) -> Iterator[SchemaDifference]:
    now = there.get((each.kind, each.name))
    if now is not None and _meaning(now) != _meaning(each.definition):
        yield _difference(each, now)


def _default(each: Thing, there: Things) -> Iterator[SchemaDifference]:
    """A value that inserts leave to the server; expressions may say the same in other words."""
    now = there.get(("default", each.name))
    if OF_A_SEQUENCE in each.definition or CAST.sub("", each.definition) == "NULL":
        return
    if not _given(each, there):
        yield _difference(each, None)
    elif now is not None and _other_constant(each.definition, now):
        yield _difference(each, now)


def _identity(each: Thing, there: Things) -> Iterator[SchemaDifference]:
    """Numbers that inserts leave to the server, or may not give."""
    now = there.get(("identity", each.name))
    if not _given(each, there):
        yield _difference(each, None)
    elif now is not None and now.partition(";")[0] != each.definition.partition(";")[0]:
        yield _difference(each, now)


def _given(each: Thing, there: Things) -> bool:
    """Whether the server gives a value to that column, in whichever way; also where it isn't there at all."""
    kinds = ("default", "identity", "generated column")
    return ("column", each.name) not in there or any((kind, each.name) in there for kind in kinds)


def _generated(each: Thing, there: Things) -> Iterator[SchemaDifference]:
    """Worked out by the same expression, when it is read or written."""
    now = there.get((each.kind, each.name))
    if now is None or _meaning(now.partition(" ")[2]) != _meaning(each.definition.partition(" ")[2]):
        yield _difference(each, now)


def _exactly(each: Thing, there: Things) -> Iterator[SchemaDifference]:
    now = there.get((each.kind, each.name))
    if now is None or _meaning(now) != _meaning(each.definition):
        yield _difference(each, now)


def _values(each: Thing, there: Things) -> Iterator[SchemaDifference]:
    """An enum may have more values than the models know: the server can't drop one."""
    now = there.get((each.kind, each.name))
    if now is not None and set(_labels(each.definition)) - set(_labels(now)):
        yield _difference(each, now)


def _free_sequence(each: Thing, there: Things) -> Iterator[SchemaDifference]:
    """A sequence of its own; those of columns come and go with identities."""
    if "owned by" not in each.definition and (each.kind, each.name) not in there:
        yield _difference(each, None)


COMPARED: Mapping[str, Callable[[Thing, Things], Iterator[SchemaDifference]]] = {
    "check constraint": _in_any_name,
    "exclusion constraint": _in_any_name,
    "index": _if_there,
    "default": _default,
    "identity": _identity,
    "generated column": _generated,
    "collation": _exactly,
    "enum": _values,
    "sequence": _free_sequence,
}


def _difference(each: Thing, now: str | None) -> SchemaDifference:
    return SchemaDifference(
        each.kind, each.name, "missing" if now is None else "changed", each.definition, now or ""
    )


def _meaning(definition: str) -> str:
    """A definition without casts, brackets and blanks, lists of values in one order."""
    plain = CAST.sub("", definition)
    plain = VALUES.sub(lambda found: ",".join(sorted(found[1].split(", "))), plain)
    return ASIDE.sub("", plain)


def _other_constant(one: str, other: str) -> bool:
    values = {_constant(one), _constant(other)}
    return len(values) > 1 and None not in values


def _constant(expression: str) -> str | float | None:
    """The value of a default; None where it has to be worked out."""
    plain = CAST.sub("", expression)
    if LITERAL.fullmatch(plain) is None:
        return None
    plain = plain.strip("'")
    return float(plain) if NUMBER.fullmatch(plain) else plain


def _labels(definition: str) -> list[str]:
    return re.findall(r"'(?:[^']|'')*'", definition.partition("; owner ")[0])
