"""Runs tests of a user's own beside a copy of the shop, and reads how they ended."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pytest_prodready.environment.binaries import find_postgres
from pytest_prodready.environment.certificates import Authority
from pytest_prodready.environment.postgres import PostgresServer
from pytest_prodready.environment.postgres_config import Account
from pytest_prodready.environment.runs import Run
from tests.gate import GateRun, run_gate

SHOP = Path(__file__).parent
IMPORTS = """\
import asyncio
import pytest
from concurrent.futures import ThreadPoolExecutor
from sqlalchemy import create_engine, delete, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from shop import Employer, Job, jobs_by_region, list_jobs, make_engine
import os
URL = os.environ["DATABASE_URL"]
max_queries, explain_budget = pytest.mark.max_queries, pytest.mark.explain_budget

"""


@dataclass(frozen=True)
class Shop:
    """A folder with the shop and fixtures for its tests, and the address of its database."""

    folder: Path
    url: str

    def run(self, text: str, *arguments: str) -> GateRun:
        """Run these tests as a user does; nothing of the gate is asked for."""
        (self.folder / "test_it.py").write_text(IMPORTS + text)
        quiet = ("-q", "-p", "no:cacheprovider", "--strict-markers", "-W", "error", "-rA")
        return run_gate(self.folder, *quiet, *arguments, variables={"DATABASE_URL": self.url})


def copied(folder: Path, url: str) -> Shop:
    """The shop in this folder."""
    for name, copy in (("shop.py", "shop.py"), ("fixtures.py", "conftest.py")):
        shutil.copy(SHOP / name, folder / copy)
    return Shop(folder, url)


@contextmanager
def database() -> Iterator[str]:
    """The address of a running PostgreSQL, for SQLAlchemy."""
    run = Run.open()
    account = Account("shop", "shop_db", "correct-horse-battery-staple")
    server = PostgresServer(run, find_postgres(), Authority(run.folder), account)
    try:
        server.create()
        with server.connect("shop_db") as connection:
            connection.execute("GRANT ALL ON SCHEMA public TO shop")
        place = server.endpoint
        yield f"postgresql+psycopg://shop:{account.password}@{place.host}:{place.port}/shop_db"
    finally:
        run.close()


def outcomes(run: GateRun) -> dict[str, str]:
    """How each test ended."""
    found = re.findall(r"^(PASSED|FAILED|ERROR|XFAIL) test_it\.py::(\S+)", run.output, re.MULTILINE)
    return {name.removeprefix("test_"): outcome.lower() for outcome, name in found}


def failure(run: GateRun, name: str) -> str:
    """What is said of one test."""
    text = re.search(rf"^_+ test_{re.escape(name)} _+\n(.*?)(?=^_{{3,}} |^={{3,}} )", run.output, re.M | re.S)
    assert text, run.output
    return text[1]
