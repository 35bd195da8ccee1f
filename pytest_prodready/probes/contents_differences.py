"""What two databases hold differently: one before, and the one that was made from its backup."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar

from pytest_prodready.probes.contents import Contents, SequenceContents, TableContents, ViewContents

Kind = Literal["table", "sequence", "materialized view", "large objects"]
How = Literal["missing", "left over", "changed"]
Held = TypeVar("Held", TableContents, SequenceContents, ViewContents)


@dataclass(frozen=True, slots=True)
class ContentDifference:
    """One thing that isn't as it was; `before` and `after` say in words what it held."""

    kind: Kind
    name: str
    how: How
    before: str = ""
    after: str = ""

    def __str__(self) -> str:
        if self.how == "missing":
            return f"{self.name} is missing ({self.before})"
        if self.how == "left over":
            return f"{self.name} was not there before ({self.after})"
        return f"{self.name}: {self.before} before, {self.after} after"


def content_differences(before: Contents, after: Contents) -> tuple[ContentDifference, ...]:
    """What differs, tables first; none where both hold the same.

    A sequence that is further than before is none, as long as it isn't behind its columns: somebody may have
    asked it meanwhile. Neither is a materialized view that holds other rows: where its tables had changed
    since it was refreshed, a restore rightly makes it anew.
    """
    return (
        *_pairs("table", before.tables, after.tables, lambda each: each.table, _rows, _other_rows),
        *_pairs("sequence", before.sequences, after.sequences, lambda each: each.sequence, _place, _behind),
        *_pairs("materialized view", before.views, after.views, lambda each: each.view, _state, _emptied),
        *_large_objects(before, after),
    )


def _pairs(  # noqa: PLR0913, PLR0917 (the kind in six words)
    kind: Kind,
    before: Iterable[Held],
    after: Iterable[Held],
    name: Callable[[Held], str],
    words: Callable[[Held], str],
    differs: Callable[[Held, Held], str],
) -> Iterator[ContentDifference]:
    then, now = ({name(each): each for each in held} for held in (before, after))
    for key in sorted(then.keys() | now.keys()):
        if key not in now:
            yield ContentDifference(kind, key, "missing", before=words(then[key]))
        elif key not in then:
            yield ContentDifference(kind, key, "left over", after=words(now[key]))
        elif said := differs(then[key], now[key]):
            yield ContentDifference(kind, key, "changed", words(then[key]), said)


def _rows(table: TableContents) -> str:
    return f"{table.rows:,} {'row' if table.rows == 1 else 'rows'}"


def _other_rows(before: TableContents, after: TableContents) -> str:
    if (before.rows, before.digest) == (after.rows, after.digest):
        return ""
    return f"{after.rows:,}" if before.rows != after.rows else "as many, but not the same"


def _place(sequence: SequenceContents) -> str:
    return f"next {_next(sequence):,}"


def _next(sequence: SequenceContents) -> int:
    """The number that it gives next, as if it went in steps of one."""
    return sequence.last + (-1 if sequence.descending else 1) * sequence.called


def _behind(before: SequenceContents, after: SequenceContents) -> str:
    sign = -1 if after.descending else 1
    if _collides(after) and not (_collides(before) and _next(before) == _next(after)):
        return f"{_place(after)}, which its column has already (up to {after.furthest:,})"
    return _place(after) if sign * _next(after) < sign * _next(before) else ""


def _collides(sequence: SequenceContents) -> bool:
    """Whether it goes on with a number that its column has, or has passed."""
    sign = -1 if sequence.descending else 1
    return sequence.furthest is not None and sign * _next(sequence) <= sign * sequence.furthest


def _state(view: ViewContents) -> str:
    return f"{view.rows:,} rows" if view.populated else "not populated"


def _emptied(before: ViewContents, after: ViewContents) -> str:
    return _state(after) if before.populated and not after.populated else ""


def _large_objects(before: Contents, after: Contents) -> Iterator[ContentDifference]:
    then, now = before.large_objects, after.large_objects
    if then != now:
        words = [f"{each.count:,} of {each.bytes:,} bytes" for each in (then, now)]
        said = words[1] if words[0] != words[1] else "as many, but not the same"
        how: How = "missing" if not now.count else "changed"
        yield ContentDifference("large objects", "large objects", how, words[0], said)
