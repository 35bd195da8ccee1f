"""What Locust's marking of a request amounts to, whatever its client calls a status or a failure."""

from __future__ import annotations

import json
import subprocess
import sys

# In a process of its own: Locust changes the one that imports it.
MARKED = """
import json
from http import HTTPStatus
from types import SimpleNamespace

from pytest_prodready.generator.marked import marked
from geventhttpclient.response import HTTPParseError
from locust.exception import CatchResponseError
from requests import JSONDecodeError


def told(exception, status, error=None):
    return marked(exception, SimpleNamespace(status_code=status, error=error))


print(json.dumps([
    told(None, 200),
    told(None, HTTPStatus.NOT_FOUND),
    told(CatchResponseError("wrong"), 200),
    told(AssertionError("no items"), 200),
    told(JSONDecodeError("no JSON", "", 0), 200),
    told(OSError("whatever"), 503),
    told(HTTPParseError(), 200),
    told(TimeoutError(), 200),
    told(CatchResponseError("wrong"), 0),
    told("no luck", "UNAVAILABLE"),
    marked(None, None),
]))
"""
RIGHT, WRONG_STATUS, NO_ANSWER = 0, 1, 2


def test_marking_by_any_exception_counts() -> None:
    """An answer that came may be marked as failed by any exception; one that broke off is none."""
    ran = subprocess.run([sys.executable, "-c", MARKED], capture_output=True, text=True, check=True)
    failed = [WRONG_STATUS, 200, "200, but marked as failed"]
    unanswered = "no answer, marked as failed"
    assert json.loads(ran.stdout) == [
        [RIGHT, 200, ""],
        [RIGHT, 404, ""],
        failed,
        failed,
        failed,
        [WRONG_STATUS, 503, ""],
        [NO_ANSWER, 0, "an answer that isn't HTTP"],
        [NO_ANSWER, 0, "no answer in time"],
        [NO_ANSWER, 0, unanswered],
        [NO_ANSWER, 0, unanswered],
        [RIGHT, 0, ""],
    ]
