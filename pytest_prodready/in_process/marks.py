"""What the markers of a user's own tests may say."""

from __future__ import annotations

import pytest

from pytest_prodready.errors import ConfigError

MAX_QUERIES, EXPLAIN_BUDGET = "max_queries", "explain_budget"


def most_queries(item: pytest.Item) -> int | None:
    """How many queries the test may run; None where nothing is said, ConfigError where it can't be read."""
    mark = item.get_closest_marker(MAX_QUERIES)
    if mark is None:
        return None
    given = (*mark.args, *mark.kwargs.values())
    right = len(given) == 1 and set(mark.kwargs) <= {"n"} and isinstance(given[0], int)
    if not right or isinstance(given[0], bool) or given[0] < 0:
        raise ConfigError(
            f"{MAX_QUERIES} takes one whole number from 0 on",
            value=written(mark),
            source=item.nodeid,
            remedy=f"write it as @pytest.mark.{MAX_QUERIES}(5)",
        )
    return int(given[0])


def written(mark: pytest.Mark) -> str:
    """The marker as it stands in the test."""
    parts = [*map(repr, mark.args), *(f"{name}={value!r}" for name, value in mark.kwargs.items())]
    return f"{mark.name}({', '.join(parts)})"
