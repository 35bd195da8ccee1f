"""A dump of statistics without anything of the data: sizes, and numbers about columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pytest_prodready.environment.statistics_dump import NotInjected, Restore, read_dump

# What is named here is kept, and nothing else.
KEPT: Mapping[str, frozenset[str]] = {
    "relation": frozenset(
        {"version", "schemaname", "relname", "relpages", "reltuples", "relallvisible", "relallfrozen"}
    ),
    "attribute": frozenset(
        {"version", "schemaname", "relname", "attname", "attnum", "inherited"}
        | {"null_frac", "avg_width", "n_distinct", "correlation"}
    ),
}
HEADER = "-- Statistics of PostgreSQL without values: no common values, no histograms.\n\n"


@dataclass(frozen=True, slots=True)
class Redacted:
    """The file that was written, and what isn't in it."""

    file: Path
    kept: int  # calls
    removed: Mapping[str, int] = field(default_factory=dict)  # by kind of statistic, how often

    def __str__(self) -> str:
        counts = [f"{count:,} of {name}" for name, count in sorted(self.removed.items())]
        return (
            f"wrote {self.file}: {self.kept:,} statistics, without values\n"
            f"removed: {', '.join(counts) or 'nothing, there were none'}\n"
            "kept: names of tables and columns, sizes, null_frac, avg_width, n_distinct, correlation"
        )


def redact(file: Path, source: str) -> Redacted:
    """Write `stats.redacted.sql` beside `stats.sql`; raises NotInjected for a file that is no such dump."""
    restores = read_dump(file, source)
    kept, removed = without_values(restores)
    target = file.with_name(f"{file.stem}.redacted{file.suffix or '.sql'}")
    try:
        target.write_text(HEADER + "".join(f"{one.sql()};\n" for one in kept))
    except OSError as error:
        raise NotInjected(
            "The dump without values can't be written.", value=f"{target}: {error.strerror}", source=source
        ) from None
    return Redacted(target, len(kept), removed)


def without_values(restores: Iterable[Restore]) -> tuple[list[Restore], Mapping[str, int]]:
    """The calls with what may be kept of them, and how often anything was removed."""
    kept, removed = [], Counter[str]()
    for one in restores:
        if one.kind not in KEPT:  # statistics of several columns together are values, too
            removed[f"{one.kind} statistics"] += 1
            continue
        allowed = KEPT[one.kind]
        removed.update(argument.name for argument in one.arguments if argument.name not in allowed)
        arguments = tuple(argument for argument in one.arguments if argument.name in allowed)
        kept.append(replace(one, arguments=arguments))
    return kept, dict(removed)
