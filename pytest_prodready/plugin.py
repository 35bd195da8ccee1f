"""What every pytest run loads: options, markers and fixtures. The gate is loaded when it is asked for."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pytest_prodready.catalogue import SUITES
from pytest_prodready.environment.statistics_redacted import redact
from pytest_prodready.errors import ProdreadyError
from pytest_prodready.fixtures import public
from pytest_prodready.in_process.marks import EXPLAIN_BUDGET, MAX_QUERIES
from pytest_prodready.names import BENCHMARK_MARK, FILE_NAME, RULE_MARK
from pytest_prodready.options import add_options
from pytest_prodready.reports.rules import rules_text
from pytest_prodready.selection import asked_for, named_paths, starts_servers
from pytest_prodready.suite import rule_of

GATE = "prodready-gate"
MARKERS = {
    f"{MAX_QUERIES}(n)": "the test runs at most so many queries through SQLAlchemy",
    f"{EXPLAIN_BUDGET}(buffers=…, seq_scan=False, …)": "what the plans of its queries may cost",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the gate's options."""
    add_options(parser)


def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Print the catalogue, or take the values out of a dump, where that is all that was asked for."""
    if config.getoption("prodready_rules"):
        print(rules_text())  # noqa: T201 - this is the command's output
        return 0
    if (dump := config.getoption("prodready_redact_statistics")) is not None:
        return _redact(config.invocation_params.dir / dump)
    return None


def _redact(dump: Path) -> int:
    try:
        print(redact(dump, "--prodready-redact-statistics"))  # noqa: T201
    except ProdreadyError as error:
        print(error.message, file=sys.stderr)  # noqa: T201
        return pytest.ExitCode.USAGE_ERROR
    return 0


def pytest_configure(config: pytest.Config) -> None:
    """Register markers and fixtures, and the gate where `-m` or the arguments ask for it."""
    config.addinivalue_line("markers", "readiness: a check of readiness for production (starts real servers)")
    for suite, about in SUITES.items():
        config.addinivalue_line("markers", f"{suite}: readiness of {about}")
    config.addinivalue_line(
        "markers", f"{BENCHMARK_MARK}: what a request and a checkout take (pytest-benchmark)"
    )
    config.addinivalue_line("markers", f"{RULE_MARK}(id): the rule that a test proves")
    for marker, about in MARKERS.items():
        config.addinivalue_line("markers", f"{marker}: {about}")
    config.pluginmanager.register(public, "prodready-fixtures")
    named = any(path.name == FILE_NAME for path in named_paths(config))
    if named or asked_for(config.option.markexpr):
        from pytest_prodready import hooks  # noqa: PLC0415 - a second of imports that a plain run is spared

        config.pluginmanager.register(hooks, GATE)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In a plain run leave out the rules, and skip tests of the user's own that would start servers."""
    _hold_to_markers(config, items)
    if config.pluginmanager.hasplugin(GATE):
        return
    for item in items:
        if starts_servers(item):
            item.add_marker(pytest.mark.skip(reason="starts real servers: run it with -m readiness"))
    if dropped := [item for item in items if rule_of(item) is not None]:
        config.hook.pytest_deselected(items=dropped)
        items[:] = [item for item in items if rule_of(item) is None]


def _hold_to_markers(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Load what listens to SQLAlchemy, where a test asks for it."""
    marked = [item for item in items if MAX_QUERIES in item.keywords or EXPLAIN_BUDGET in item.keywords]
    if marked:
        from pytest_prodready.in_process import hooks  # noqa: PLC0415 - SQLAlchemy takes longer than all the rest

        config.pluginmanager.register(hooks, "prodready-in-process")
        hooks.check(marked)
