"""What answers look like at rest, of each request of the mix, and which of them could hide an error."""

from __future__ import annotations

from typing import Any, cast

import pytest

from pytest_prodready.generator.answers import HIDDEN_ERROR, judged
from pytest_prodready.generator.plan import Shape
from pytest_prodready.probes.load_plan import plan, shapes
from pytest_prodready.probes.traffic import Answer, Traffic
from pytest_prodready.settings import Request, Settings

BODIES = {"/page": "<html>Welcome</html>", "/jobs": '{"jobs": []}', "/new": '{"id": 1}'}


class Service:
    """Answers by path."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def send(self, request: Request, _: float) -> Answer:
        """An answer as declared."""
        self.asked.append(f"{request.method} {request.path}")
        return Answer(request.label, 200, 0.01, expected=True, body=BODIES[request.path])


def settings(**more: Any) -> Settings:
    """A page, a list, and writes."""
    return Settings.model_validate(
        {
            "service": {"name": "s", "command": "s {port}"},
            "requests": [{"name": "page", "path": "/page"}, {"name": "list", "path": "/jobs"}],
            "writes": {"create": {"method": "POST", "path": "/new"}, "read_back": {"path": "/jobs"}},
            "load": {"expected_rps": 20, **more},
        }
    )


def test_each_request_is_looked_at_three_times() -> None:
    """Writes as well, so that an error is seen in what they answer; where none are sent, none is at rest."""
    service, declared = Service(), settings()
    seen = shapes(cast("Traffic", service), declared)
    assert sorted(set(service.asked)) == ["GET /jobs", "GET /page", "POST /new"]
    assert service.asked.count("POST /new") == 3
    create = next(each for each in plan(declared, "http://s", "http://n", seen).asks if each.kind == "create")
    assert create.shape == Shape("object", ("id",))
    assert judged(create, 201, b'{"error": "busy"}', "t") == HIDDEN_ERROR
    assert create.error_known
    quiet = Service()
    shapes(cast("Traffic", quiet), settings(writes=0))
    assert "POST /new" not in quiet.asked


@pytest.mark.parametrize(("contains", "known"), [("", False), ("Welcome", True)])
def test_a_page_is_known_by_what_it_contains(contains: str, known: bool) -> None:
    """Every page looks like an error page: only what it holds tells them apart."""
    declared = settings()
    page = declared.requests[0].model_copy(update={"contains": contains})
    declared = declared.model_copy(update={"requests": (page, declared.requests[1])})
    seen = shapes(cast("Traffic", Service()), declared)
    asks = {each.label: each for each in plan(declared, "http://s", "http://n", seen).asks}
    assert asks["page"].error_known is known
    assert asks["list"].error_known
