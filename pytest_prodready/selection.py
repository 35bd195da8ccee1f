"""Whether the gate was asked for, and which prodready.toml files are meant."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence, Set
from pathlib import Path

import pytest
from _pytest.mark.expression import Expression  # pytest's own reading of -m; it has no public name

from pytest_prodready.catalogue import SUITES
from pytest_prodready.names import (
    BENCHMARK_MARK,
    FILE_NAME,
    FIXTURE_PREFIX,
    SETTINGS_FIXTURE,
    SMALLEST_FILE,
)
from pytest_prodready.suite import rule_of

BENCHMARKS = "benchmark"  # as a suite is named in a node id
OTHER_NAMES_LIMIT = 8
_WORDS = frozenset({"and", "or", "not", "True", "False", "None"})


def asked_for(mark_expression: str) -> bool:
    """Whether `-m` asks for readiness: whether our marks can turn it from false to true.

    `readiness`, `ssl` and `readiness or not slow` do; `not readiness`, `not slow` and `not health` don't.
    """
    return _turned(mark_expression, [{"readiness", suite} for suite in SUITES]) or benchmarks_asked_for(
        mark_expression
    )


def benchmarks_asked_for(mark_expression: str) -> bool:
    """Whether `-m` asks for the benchmarks, which is never done by asking for readiness."""
    return _turned(mark_expression, [{BENCHMARK_MARK}])


def _turned(mark_expression: str, ours: Sequence[Set[str]]) -> bool:
    """Whether any of these sets of marks turns the expression from false to true."""
    if not mark_expression:
        return False
    try:
        expression = Expression.compile(mark_expression)
    except Exception:  # of a kind that depends on pytest's version, which tells the user itself
        return False
    names = set(re.findall(r"[A-Za-z_]\w*", mark_expression)) - _WORDS
    others = sorted(names - {"readiness", BENCHMARK_MARK, *SUITES})[:OTHER_NAMES_LIMIT]
    return any(
        not _holds(expression, context) and _holds(expression, {*context, *marks})
        for context in _subsets(others)
        for marks in ours
    )


def _holds(expression: Expression, names: Iterable[str]) -> bool:
    present = frozenset(names)
    return expression.evaluate(lambda name, /, **_: name in present)


def _subsets(names: list[str]) -> Iterable[tuple[str, ...]]:
    return itertools.chain.from_iterable(itertools.combinations(names, n) for n in range(len(names) + 1))


def nearest_file(start: Path, root: Path) -> Path | None:
    """The prodready.toml in this folder or the nearest one above it, up to the rootdir."""
    for folder in (start, *start.parents):
        if (folder / FILE_NAME).is_file():
            return folder / FILE_NAME
        if folder == root:
            return None
    return None


def named_paths(config: pytest.Config) -> tuple[Path, ...]:
    """The files and folders that the arguments name, without their `::` parts."""
    base = config.invocation_params.dir
    return tuple((base / argument.partition("::")[0]).resolve() for argument in config.args)


def add_target(config: pytest.Config) -> None:
    """Append the nearest prodready.toml where no path was given and the arguments miss it."""
    if config.args_source is pytest.Config.ArgsSource.ARGS:
        return
    found = nearest_file(config.invocation_params.dir, config.rootpath) or nearest_file(
        config.rootpath, config.rootpath
    )
    if found is None:
        return
    given = named_paths(config)
    if found not in given and not any(found.is_relative_to(path) for path in given if path.is_dir()):
        config.args.append(str(found))


def named_targets(config: pytest.Config) -> tuple[Path, ...]:
    """The prodready.toml files that the arguments name, or that lie in a folder that they name."""
    return tuple(
        path if path.is_file() else path / FILE_NAME
        for path in named_paths(config)
        if path.name == FILE_NAME or (path / FILE_NAME).is_file()
    )


def benchmarks_wanted(config: pytest.Config) -> bool:
    """Whether the benchmarks are asked for: by their mark, or by a node id that names one."""
    return any(map(names_benchmarks, config.args)) or benchmarks_asked_for(config.option.markexpr)


def names_benchmarks(argument: str) -> bool:
    """Whether a node id is that of the benchmarks or of one of them, and of no test of a user's."""
    path, *parts = argument.split("::")
    return Path(path).name == FILE_NAME and parts[:1] == [BENCHMARKS]


def starts_servers(item: pytest.Item) -> bool:
    """Whether a test that is no rule uses a fixture which starts servers."""
    names = getattr(item, "fixturenames", ())
    uses = any(name.startswith(FIXTURE_PREFIX) and name != SETTINGS_FIXTURE for name in names)
    return uses and rule_of(item) is None


def distributed(config: pytest.Config) -> bool:
    """Whether several workers share the tests (pytest-xdist)."""
    return bool(getattr(config.option, "dist", "no") != "no" or getattr(config.option, "tx", None))


def nothing_found(config: pytest.Config) -> str:
    """What to say when readiness was asked for and there is nothing to check."""
    lines = [
        f"-m {config.option.markexpr}: there is nothing to check",
        f"  looked for: {FILE_NAME} in the rootdir {config.rootpath} and below what was named",
        *(f"  tried: {path}" for path in named_paths(config)),
        f"  do: write {config.rootpath / FILE_NAME}; the smallest useful file is:",
        "",
        *SMALLEST_FILE.splitlines(),
    ]
    return "\n".join(lines)
