"""The documentation says what the tests show."""

from __future__ import annotations

import json
import re

from .conftest import Line
from .document import DOCUMENT, written
from .peers import Control


def test_document_is_up_to_date() -> None:
    """Differences and number of cases are as `python -m tests.services.faultproxy.document` writes them."""
    text = DOCUMENT.read_text()
    assert written(text) == text


def test_every_extension_is_documented(ours: Control) -> None:
    """Each extension's name stands in the section's first table, and no other does."""
    told = ours.ask("GET", "/prodready/extensions").json
    table = DOCUMENT.read_text().split("| Extension |")[1].split("\n\n")[0]
    named = set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))
    assert named == {*told["available"], *told["unavailable"]}


def test_examples_of_requests_work(our_line: Line) -> None:
    """What the document sends by curl is accepted."""
    sent = re.findall(r"curl (?:-X (\w+) )?-d '(\{.*?\})' 127\.0\.0\.1:8474(\S+)", DOCUMENT.read_text())
    assert len(sent) >= 3
    our_line.control.create("127.0.0.1:9", name="db")
    for method, body, path in sent:
        if path == "/proxies":
            continue  # its port may be taken on this machine
        reply = our_line.control.ask(method or "POST", path, json.loads(body))
        assert reply.status in (200, 501), reply.body
