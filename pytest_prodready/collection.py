"""prodready.toml as something that pytest collects: a file with a module for each suite."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_prodready.catalogue import SUITES
from pytest_prodready.selection import BENCHMARKS, benchmarks_wanted
from pytest_prodready.suite import rule_of


class TargetFile(pytest.File):
    """A prodready.toml: one node for each suite."""

    def collect(self) -> Iterator[pytest.Collector]:
        """Yield the suites in checklist order, and the benchmarks where they were asked for."""
        for suite in (*SUITES, *([BENCHMARKS] if benchmarks_wanted(self.config) else [])):
            yield SuiteModule.from_parent(self, path=self.path, name=suite, nodeid=f"{self.nodeid}::{suite}")


class SuiteModule(pytest.Module):
    """A suite under its target; its path is the target's, so the conftest.py beside it applies."""

    def _getobj(self) -> Any:
        return importlib.import_module(f"pytest_prodready.suites.test_{self.name}")


def in_target_file(item: pytest.Item) -> bool:
    """Whether an item was collected from a prodready.toml."""
    return any(isinstance(node, TargetFile) for node in item.listchain())


def without_twins(items: list[pytest.Item], target_files: dict[str, Path | None]) -> list[pytest.Item]:
    """The items with each rule once a target: the one from prodready.toml where there are several.

    `target_files` maps an item's node id to the prodready.toml that it belongs to.
    """
    kept: dict[tuple[Path | None, str], pytest.Item] = {}
    for item in items:
        if (rule := rule_of(item)) is None:
            continue
        key = (target_files[item.nodeid], rule.id)
        if key not in kept or (in_target_file(item) and not in_target_file(kept[key])):
            kept[key] = item
    chosen = {id(item) for item in kept.values()}
    return [item for item in items if rule_of(item) is None or id(item) in chosen]
