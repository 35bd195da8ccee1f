"""What is sent again and again is made once: a request of the mix, its address taken apart, its head.

The client takes each address apart for every request, and checks and writes every header anew. What holds a
token is another one each time, and soon isn't kept any more.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Self

from locust.contrib.fasthttp import FastRequest  # first: it prepares what everything after it imports

# isort: split
from geventhttpclient.header import Headers
from geventhttpclient.url import URL

from pytest_prodready.generator.plan import Ask, Plan

TOKEN = "{token}"  # noqa: S105 (a place in a text)
KEPT = 256  # addresses, and heads of each server
# The last is made of the one before.
PARTS = ("scheme", "netloc", "host", "port", "request_uri", "quoted_uri")


@dataclass(frozen=True, slots=True)
class Ready:
    """One request as Locust is asked for it."""

    method: str
    url: str
    name: str
    headers: dict[str, str]
    body: str | None
    varies: bool  # holds the token

    @classmethod
    def of(cls, ask: Ask, address: str) -> Self:
        """It, sent to the server at this address."""
        body, headers = None if ask.json is None else json.dumps(ask.json), dict(ask.headers)
        if body is not None and "content-type" not in {name.lower() for name in headers}:
            headers["Content-Type"] = "application/json"
        varies = any(TOKEN in text for text in (ask.path, body or "", *headers.values()))
        return cls(ask.method, address + ask.path, ask.label, headers, body, varies)

    def with_token(self, token: str) -> Self:
        """It with the token in its place."""
        if not self.varies:
            return self
        return replace(
            self,
            url=self.url.replace(TOKEN, token),
            headers={name: value.replace(TOKEN, token) for name, value in self.headers.items()},
            body=self.body and self.body.replace(TOKEN, token),
        )


def all_ready(plan: Plan) -> list[list[Ready]]:
    """Each request of the mix, by stage."""
    return [[Ready.of(ask, stage.url) for ask in plan.asks] for stage in plan.stages]


class Address(URL):
    """An address whose parts are known; the client's own works them out whenever they are asked for."""

    __slots__ = ("_text", *PARTS)

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._text = text
        for name in PARTS:
            setattr(self, name, getattr(URL, name).fget(self))

    def __str__(self) -> str:
        return self._text


address = lru_cache(KEPT)(Address)


class Request(FastRequest):
    """A request of Locust's, which takes no address apart again."""

    def set_url(self, url: str | URL, params: Any = None) -> None:
        """Its address."""
        known = address(url) if params is None and isinstance(url, str) else url
        super().set_url(known, params)


def written_once(write: Callable[..., str]) -> Callable[..., str]:
    """The client's way to write the head of a request, which depends on no more than the body's length."""
    known: dict[Any, str] = {}

    def head(method: str, uri: str, body: Any = b"", headers: Any = None, chunked: Any = None) -> str:
        if chunked or not isinstance(body, bytes) or not isinstance(headers, Headers):
            return write(method, uri, body, headers, chunked)
        key = method, uri, len(body), tuple(map(tuple, dict.values(headers)))
        if (found := known.get(key)) is None:
            found = write(method, uri, body, headers, chunked)
            if len(known) == KEPT:
                known.clear()  # what comes again is soon there again
            known[key] = found
        return found

    return head
