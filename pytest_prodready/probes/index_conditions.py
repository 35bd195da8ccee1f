"""What the conditions and orders of a plan ask of one table, in terms that an index can serve.

EXPLAIN tells them as SQL, which sqlglot reads; for what it can't read no index is proposed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any, Literal

Tree = Any  # of sqlglot, whose classes are known once it is imported
Kind = Literal["equal", "range", "prefix", "words", "within", "holds"]
# The result of another part of the plan, which is a constant for this one.
ELSEWHERE = re.compile(r"\((?:hashed )?(?:SubPlan|InitPlan) \d+\)(?:\.col\d+)?")
LONGEST = 20_000  # characters; a condition with a thousand constants is read, one with a million isn't
# By name: sqlglot's versions have different ones.
CONTAINS = frozenset({"ArrayContainsAll", "ArrayOverlaps", "JSONBContains", "JSONBContainsTopKey"})
TEXT = frozenset({"TEXT", "VARCHAR"})


@dataclass(frozen=True, slots=True)
class Condition:
    """What is asked of a column, or of an expression of columns of one table."""

    kind: Kind
    key: str  # SQL, without the table's name


@dataclass(frozen=True, slots=True)
class Order:
    """What rows are sorted by."""

    key: str
    descending: bool = False
    nulls_first: bool = False


def conditions(text: str, alias: str) -> tuple[Condition, ...]:
    """What a condition of the plan asks of the table of that alias; others' columns are constants."""
    if not text or len(text) > LONGEST:
        return ()
    tree = _parsed(ELSEWHERE.sub("$0", text))
    if tree is None:
        return ()
    return tuple(found for part in _parts(tree) for found in _conditions(part, alias))


def orders(keys: Sequence[str], alias: str) -> tuple[Order, ...]:
    """What a sort of the plan sorts by; nothing where another table's columns are among it."""
    found = [_order(key, alias) for key in keys]
    return tuple(each for each in found if each is not None) if None not in found else ()


@cache
def _sqlglot() -> ModuleType:
    """Imported where it is used: it takes a while."""
    import sqlglot  # noqa: PLC0415

    return sqlglot


def _parsed(text: str) -> Tree:
    library = _sqlglot()
    try:
        return library.parse_one(text, read="postgres")
    except (library.errors.SqlglotError, RecursionError):
        return None


def _parts(tree: Tree) -> Iterator[Tree]:
    """The conditions that all must hold."""
    exp = _sqlglot().exp
    tree = tree.unnest()
    if isinstance(tree, exp.And):
        yield from _parts(tree.this)
        yield from _parts(tree.expression)
    else:
        yield tree


def _conditions(part: Tree, alias: str) -> Iterator[Condition]:
    exp = _sqlglot().exp
    if isinstance(part, exp.MatchAgainst):  # sqlglot has its sides the other way round
        yield from _one("words", part.expressions[0], (part.this,), alias)
    elif type(part).__name__ in CONTAINS:
        yield from _one("words", part.this, (part.expression,), alias)
    elif isinstance(part, exp.Like | exp.ILike):
        yield from _like(part, alias)
    elif isinstance(part, exp.EQ):
        yield from _compared("equal", part, alias)
    elif isinstance(part, exp.GT | exp.GTE | exp.LT | exp.LTE):
        yield from _compared("range", part, alias)
    elif isinstance(part, exp.Is | exp.Column) or (
        isinstance(part, exp.Not) and isinstance(part.this.unnest(), exp.Column)
    ):
        yield from _one("holds", part, (), alias)


def _compared(kind: Kind, part: Tree, alias: str) -> Iterator[Condition]:
    """A comparison with something of elsewhere, whichever side that is on; rows by their first column."""
    exp = _sqlglot().exp
    left, right = part.this.unnest(), part.expression.unnest()
    for side, other in ((left, right), (right, left)):
        first = (
            side.expressions[0] if isinstance(side, exp.Anonymous) and side.name.upper() == "ROW" else side
        )
        yield from _one(kind, first, (other,), alias)


def _like(part: Tree, alias: str) -> Iterator[Condition]:
    exp = _sqlglot().exp
    literal = part.expression.find(exp.Literal)
    pattern = literal.name if literal is not None else ""
    fixed = re.split(r"[%_]", pattern)[0]
    anchored = bool(fixed) and isinstance(part, exp.Like)
    yield from _one("prefix" if anchored else "within", part.this, (part.expression,), alias)


def _one(kind: Kind, side: Tree, others: Sequence[Tree], alias: str) -> Iterator[Condition]:
    exp = _sqlglot().exp
    mixed = any(column.table == alias for each in others for column in each.find_all(exp.Column))
    if _of(side, alias) and not mixed:
        yield Condition(kind, _sql(_without_text_cast(side), bare=kind == "holds"))


def _order(key: str, alias: str) -> Order | None:
    exp = _sqlglot().exp
    tree = _parsed(f"SELECT 1 ORDER BY {key}")
    ordered = tree.find(exp.Ordered) if tree is not None else None
    if ordered is None or not _of(ordered.this, alias):
        return None
    inner = _without_text_cast(ordered.this.unnest())
    return Order(_sql(inner), bool(ordered.args.get("desc")), bool(ordered.args.get("nulls_first")))


def _of(tree: Tree, alias: str) -> bool:
    """Whether it is made of columns of that table, and of no other's."""
    columns = list(tree.find_all(_sqlglot().exp.Column))
    return bool(columns) and all(column.table == alias for column in columns)


def _without_text_cast(tree: Tree) -> Tree:
    """A column as it is, where the planner reads varchar as text: that is no conversion."""
    exp = _sqlglot().exp
    tree = tree.unnest()
    if isinstance(tree, exp.Cast) and tree.to.this.name in TEXT:
        inner = tree.this.unnest()
        if isinstance(inner, exp.Column):
            return inner
    return tree


def _sql(tree: Tree, *, bare: bool = False) -> str:
    """The SQL of it without the table's name; an expression stands in parentheses, as in CREATE INDEX."""
    exp = _sqlglot().exp
    own = tree.transform(lambda node: exp.Column(this=node.this) if isinstance(node, exp.Column) else node)
    text: str = own.sql("postgres", normalize_functions="lower")
    return text if bare or isinstance(tree, exp.Column) else f"({text})"
