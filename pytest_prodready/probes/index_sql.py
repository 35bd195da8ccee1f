"""SQL about indexes as a person would write it; names come as SQL already, quoted where they must be."""

from __future__ import annotations

import re
from collections.abc import Sequence

LONGEST_NAME = 63
PLAIN = re.compile(r"[a-z_][a-z0-9_]*\Z")
PART = re.compile(r'"((?:[^"]|"")*)"|([^."]+)')


def create_index(  # noqa: PLR0913 (by name)
    table: str,
    keys: Sequence[str],
    *,
    words: Sequence[str] | None = None,
    method: str = "btree",
    predicate: str = "",
    concurrently: bool = True,
    taken: Sequence[str] = (),
) -> str:
    """CREATE INDEX on these columns or expressions; `words` name it where the keys are more than columns."""
    name = index_name(table, keys if words is None else words, taken)
    how = f" USING {method}" if method != "btree" else ""
    where = f" WHERE {predicate}" if predicate else ""
    begin = "CREATE INDEX CONCURRENTLY" if concurrently else "CREATE INDEX"
    return f"{begin} {name} ON {table}{how} ({', '.join(keys)}){where}"


def index_name(table: str, words: Sequence[str], taken: Sequence[str] = ()) -> str:
    """A name as PostgreSQL itself would make it: table_column_column_idx."""
    stem = "_".join(plain(each) for each in (unqualified(table), *words))
    shortened = stem.encode()[: LONGEST_NAME - len("_idx12")].decode(errors="ignore")
    used = {plain(unqualified(each)) for each in taken}
    names = (f"{shortened}_idx{number or ''}" for number in range(100))
    return quoted(next(name for name in names if name not in used))


def parts(name: str) -> list[str]:
    """The parts of a dotted name, without their quotes."""
    found = PART.findall(name)
    return [inner.replace('""', '"') if inner else bare for inner, bare in found]


def unqualified(name: str) -> str:
    """The last part of a dotted name, without quotes."""
    return (parts(name) or [name])[-1]


def plain(name: str) -> str:
    """A name without quotes, for use inside of another."""
    return name[1:-1].replace('""', '"') if name.startswith('"') and name.endswith('"') else name


def quoted(name: str) -> str:
    """A name as SQL: with quotes where it must have them."""
    return name if PLAIN.match(name) else '"' + name.replace('"', '""') + '"'
