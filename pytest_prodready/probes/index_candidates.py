"""Which indexes might help a plan: by its filters, its joins and its order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pytest_prodready.probes.index_conditions import Condition, Kind, Order, conditions, orders
from pytest_prodready.probes.plan_tree import Node, Place

JOINED_BY = ("Hash Cond", "Merge Cond", "Join Filter")
CANDIDATES = 12  # of one table in one statement
EQUAL_ALONE = 3
LEAST_COST = 100.0  # of a scan that was only planned: about as many pages


@dataclass(frozen=True, slots=True)
class Need:
    """A scan of a table that looks at many rows, and what is asked of them."""

    schema: str
    relation: str
    conditions: tuple[Condition, ...]
    orders: tuple[Order, ...] = ()
    index: str = ""  # that it uses
    backward: bool = False
    in_order: bool = False  # of that index, for the first rows alone

    def keys(self, kind: Kind) -> tuple[str, ...]:
        """What is asked for in this way, each once."""
        return tuple(dict.fromkeys(each.key for each in self.conditions if each.kind == kind))


@dataclass(frozen=True, slots=True)
class Candidate:
    """An index to try: its keys as CREATE INDEX has them."""

    keys: tuple[str, ...]
    method: str = "btree"
    predicate: str = ""
    extension: str = ""  # that it needs


def needs(root: Node, least_rows: int) -> tuple[Need, ...]:
    """The scans of a plan that look at so many rows, or cost as much; the most expensive first."""
    places = [place for place in root.walk() if place.node.scans_table and _much(place.node, least_rows)]
    places.sort(key=lambda place: -place.node.cost)
    return tuple(_need(place) for place in places)


def candidates(need: Need, ordered: Sequence[Order]) -> tuple[Candidate, ...]:
    """Indexes for it, the narrow ones first: equal columns lead, then the order, then a range."""
    found = dict.fromkeys((*_trees(need, need.orders or tuple(ordered)), *_inverted(need)))
    return tuple(found)[:CANDIDATES]


def _much(node: Node, least_rows: int) -> bool:
    return node.examined >= least_rows if node.analyzed else node.cost >= LEAST_COST


def _need(place: Place) -> Need:
    node = place.node
    texts = [node.text("Filter"), *_index_conditions(node)]
    texts += [above.text(key) for above in place.parents for key in JOINED_BY]
    sort = next((above for above in reversed(place.parents) if above.texts("Sort Key")), None)
    limited = any(above.kind == "Limit" for above in place.parents)
    return Need(
        schema=node.text("Schema"),
        relation=node.relation,
        conditions=tuple(found for text in texts for found in conditions(text, node.alias)),
        orders=orders(sort.texts("Sort Key"), node.alias) if sort and limited else (),
        index=node.index,
        backward=node.text("Scan Direction") == "Backward",
        in_order=limited and sort is None and "Index" in node.kind,
    )


def _index_conditions(node: Node) -> Iterator[str]:
    """What indexes are asked for already; a bitmap's are those of the nodes below."""
    yield node.text("Index Cond")
    for child in node.children:
        if child.kind.startswith("Bitmap"):
            yield from _index_conditions(child)


def _trees(need: Need, ordered: Sequence[Order]) -> Iterator[Candidate]:
    """B-trees; and the same of those rows alone for which a constant condition holds."""
    held = " AND ".join(need.keys("holds"))
    for keys in _key_lists(need, ordered):
        yield Candidate(keys)
    if held:
        for keys in _key_lists(need, ordered):
            yield Candidate(keys, predicate=held)


def _key_lists(need: Need, ordered: Sequence[Order]) -> Iterator[tuple[str, ...]]:
    equal = need.keys("equal")
    ranges = [key for key in need.keys("range") if key not in equal]
    ranges += [f"{key} text_pattern_ops" for key in need.keys("prefix")]
    later = tuple(_spelt(order) for order in ordered if order.key not in equal)
    for key in equal[:EQUAL_ALONE]:
        yield (key,)
    for wider in ((), later, *((key,) for key in ranges)):
        if equal or wider:
            yield (*equal, *wider)
    for key in ranges:
        yield (key,)
    for key in equal[:EQUAL_ALONE]:
        if later:
            yield (key, *later)


def _spelt(order: Order) -> str:
    nulls = (
        "" if order.nulls_first == order.descending else f" NULLS {'FIRST' if order.nulls_first else 'LAST'}"
    )
    return f"{order.key}{' DESC' if order.descending else ''}{nulls}"


def _inverted(need: Need) -> Iterator[Candidate]:
    """Indexes of the words, members or trigrams in a value."""
    for key in need.keys("words"):
        yield Candidate((key,), "gin")
    for key in need.keys("within"):
        yield Candidate((f"{key} gin_trgm_ops",), "gin", extension="pg_trgm")
