"""Imports go one way, up the list of layers."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "pytest_prodready"

# From the bottom up: a module may import what stands before it, and its own layer.
LAYERS = (
    ("errors", "names", "printable", "stopwatch"),
    ("findings",),
    ("rules", "catalogue", "suite"),
    ("settings", "misconfiguration", "idle_keys", "configuration"),
    ("generator",),
    ("faults",),
    ("environment",),
    ("generators", "options", "records", "verdicts"),
    ("probes",),
    ("checks",),
    ("engine", "workers", "target", "conclusion", "fixtures"),
    ("in_process",),
    ("reports",),
    ("selection", "collection"),
    ("benchmarks",),
    ("state", "gathering"),
    ("session",),
    ("hooks",),
    ("plugin",),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")


def layer_of(path: Path) -> str:
    """The layer's name: the folder in the package, or the file at its top."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Every module of the package that a file imports, as dotted names."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module)
            if node.module == "pytest_prodready":
                names |= {f"pytest_prodready.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name for name in names if name.startswith("pytest_prodready.")}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_up(path: Path) -> None:
    """No module imports a layer that stands after its own."""
    mine = layer_of(path)
    for name in imported(path):
        theirs = name.split(".")[1]
        if theirs == "suites":
            pytest.fail(f"{path} imports a suite")
        if mine == "faultproxy" or theirs == "faultproxy":
            assert mine == theirs, "the fault proxy imports nothing of the rest, and nothing imports it"
            continue
        assert RANK[theirs] <= RANK[mine], f"{mine} imports {name}"


@pytest.mark.parametrize("path", sorted((ROOT / "suites").glob("test_*.py")), ids=lambda path: path.name)
def test_suites_import_checks_and_measurements_alone(path: Path) -> None:
    """A suite reads like the checklist: it sees checks, types of measurements, limits, and nothing else."""
    allowed = {"checks", "probes", "settings", "suite"}
    assert {name.split(".")[1] for name in imported(path)} <= allowed


@pytest.mark.parametrize("path", sorted((PACKAGE / "checks").glob("*.py")), ids=lambda path: path.name)
def test_checks_do_no_io(path: Path) -> None:
    """A check is pure: it imports nothing that reads, writes, connects or waits."""
    forbidden = {
        "socket",
        "subprocess",
        "httpx",
        "psycopg",
        "redis",
        "time",
        "asyncio",
        "threading",
        "os",
        "pathlib",
    }
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not {name.split(".")[0] for name in names} & forbidden
