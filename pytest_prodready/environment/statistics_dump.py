"""Reads what pg_dump --statistics-only writes. It is never run, but taken apart and put together again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_prodready.errors import ProdreadyError

MADE_BY = "pg_dump --statistics-only"
SOURCE = "[explain] statistics"
REMEDY = f"make it by `{MADE_BY}` of PostgreSQL 18 or later, in the plain format, and leave it as it is"
KINDS = ("relation", "attribute", "extended")
TYPES = ("text", "integer", "bigint", "smallint", "real", "double precision", "boolean", "oid")
CALL = re.compile(r"SELECT \* FROM pg_catalog\.pg_restore_(\w+)_stats\((.*)\)\Z", re.S)
ARGUMENT = re.compile(
    r"\s*'((?:[^']|'')*)'\s*,\s*'((?:[^']|'')*)'\s*(?:::\s*([a-z ]+?(?:\[\])?))?\s*(,|\Z)", re.S
)
HARMLESS = re.compile(r"SET \w+ = [\w' -]+\Z|SELECT pg_catalog\.set_config\('search_path', '', false\)\Z")
ENCODING = re.compile(r"SET client_encoding = '([\w-]+)'\Z")
STATEMENT = re.compile(r"""(?:[^;'"$\-]++|-(?!-)|'(?:[^']++|'')*+'|"(?:[^"]++|"")*+")++""")
META = re.compile(r"\\(?:un)?restrict [A-Za-z0-9]+[ \t]*\r?(?:\n|\Z)")
BLANK = re.compile(r"(?:\s|--[^\n]*(?:\n|\Z))+")


class NotInjected(ProdreadyError):
    """Production's statistics can't be used here; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Argument:
    """A named argument of a call."""

    name: str
    value: str
    type: str  # "" where the dump leaves it open


@dataclass(frozen=True, slots=True)
class Restore:
    """One call that sets statistics: of a relation, of a column, or of several columns together."""

    kind: str  # relation, attribute or extended
    arguments: tuple[Argument, ...]
    line: int

    def get(self, name: str) -> str | None:
        """The value of an argument."""
        return next((argument.value for argument in self.arguments if argument.name == name), None)

    @property
    def schema(self) -> str:
        """The schema that it is about."""
        return self.get("schemaname") or ""

    @property
    def relation(self) -> str:
        """The table, index or materialized view that it is about."""
        return self.get("relname") or ""

    def sql(self) -> str:
        """The call as a statement, without its end."""
        listed = ",\n\t".join(
            f"{quoted(one.name)}, {quoted(one.value)}" + (f"::{one.type}" if one.type else "")
            for one in self.arguments
        )
        return f"SELECT * FROM pg_catalog.pg_restore_{self.kind}_stats(\n\t{listed}\n)"  # noqa: S608


def quoted(text: str) -> str:
    """A text as SQL, with standard_conforming_strings."""
    return "'" + text.replace("'", "''") + "'"


def read_dump(file: Path, source: str = SOURCE) -> tuple[Restore, ...]:
    """The calls of a dump; raises NotInjected where the file is anything else."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise NotInjected(
            "The dump of statistics can't be read.",
            value=f"{file}: {error.strerror}",
            source=source,
            remedy=REMEDY,
        ) from None
    if content.startswith(b"PGDMP"):
        raise NotInjected(
            "The dump of statistics is an archive, not SQL.",
            value=file,
            source=source,
            remedy=f"make it in the plain format: `{MADE_BY} --format=plain`",
        )
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise NotInjected(
            f"The dump of statistics is not in UTF-8: {error}.",
            value=file,
            source=source,
            remedy=f"make it by `{MADE_BY} --encoding=UTF8`",
        ) from None
    found = tuple(parsed(text, f"{source}: {file}"))
    if not found:
        raise NotInjected("The dump has no statistics.", value=file, source=source, remedy=REMEDY)
    return found


def parsed(text: str, source: str) -> Iterator[Restore]:
    """The calls in a text, and nothing else; raises NotInjected for anything else."""
    place = 0
    while place < len(text):
        if skipped := BLANK.match(text, place) or _meta(text, place):
            place = skipped.end()
            continue
        found = STATEMENT.match(text, place)
        end = found.end() if found else place
        if found is None or text[end : end + 1] != ";":
            raise _foreign(text, place, source)
        yield from _meaning(found[0].strip(), text, place, source)
        place = end + 1


def _meta(text: str, place: int) -> re.Match[str] | None:
    at_start = place == 0 or text[place - 1] == "\n"
    return META.match(text, place) if at_start else None


def _meaning(statement: str, text: str, place: int, source: str) -> Iterator[Restore]:
    if (encoding := ENCODING.match(statement)) and encoding[1].upper() not in ("UTF8", "UTF-8", "SQL_ASCII"):
        raise NotInjected(
            f"The dump of statistics is in {encoding[1]}.",
            source=f"{source}:{_line(text, place)}",
            remedy=f"make it by `{MADE_BY} --encoding=UTF8`",
        )
    if HARMLESS.match(statement):
        return
    call = CALL.match(statement)
    if call is None or call[1] not in KINDS:
        raise _foreign(text, place, source)
    arguments = _arguments(call[2])
    if arguments is None:
        raise _foreign(text, place, source)
    yield Restore(call[1], arguments, _line(text, place))


def _arguments(text: str) -> tuple[Argument, ...] | None:
    """The arguments of a call; None where they are anything but literals."""
    found, place = [], 0
    while place < len(text):
        one = ARGUMENT.match(text, place)
        type_name = (one[3] or "") if one else ""
        if one is None or (type_name and type_name.removesuffix("[]") not in TYPES):
            return None
        found.append(Argument(one[1].replace("''", "'"), one[2].replace("''", "'"), type_name))
        place = one.end()
    return tuple(found)


def _line(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1


def _foreign(text: str, place: int, source: str) -> NotInjected:
    line = text[place:].lstrip().split("\n", 1)[0]
    return NotInjected(
        "A dump of statistics holds calls of pg_restore_…_stats alone, and this one holds something else.",
        value=line if len(line) <= 100 else line[:97] + "…",
        source=f"{source}:{_line(text, place)}",
        remedy=REMEDY,
    )
