"""The HTTP API: which request does what."""

from __future__ import annotations

import asyncio
import posixpath
import re
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import quote

from pytest_prodready.faultproxy import bodies, extensions
from pytest_prodready.faultproxy.collection import Collection
from pytest_prodready.faultproxy.http import PLAIN, Request, Response
from pytest_prodready.faultproxy.proxies import Proxy
from pytest_prodready.faultproxy.refusals import ApiError
from pytest_prodready.faultproxy.toxics import draft

VERSION = "2.12.0"  # of the Toxiproxy whose behaviour this is

Endpoint = Callable[["Api", Request, dict[str, str]], Awaitable[Response]]

_READS = frozenset({"GET"})


def _json(value: object, status: int = 200) -> Response:
    return Response(status, bodies.encode(value))


def _refusal(error: ApiError) -> Response:
    return Response(
        error.status, bodies.encode({"error": error.message, "status": error.status}) + b"\n", PLAIN
    )


def _cleaned(path: str) -> str:
    """The path without empty parts and dots; the end's slash stays."""
    clean = posixpath.normpath("/" + path.lstrip("/"))
    return clean + "/" if path.endswith("/") and clean != "/" else clean


def _shown(proxies: Sequence[Proxy]) -> list[dict[str, object]] | None:
    return [proxy.shown() for proxy in proxies] or None


class Api:
    """All endpoints over one collection of proxies."""

    def __init__(self, collection: Collection) -> None:
        self.collection = collection
        self._changes = asyncio.Lock()  # one change at a time, for each may wait in the middle

    async def answer(self, request: Request) -> Response:
        """The response to a request."""
        cleaned = _cleaned(request.path)
        if cleaned != request.path:
            return Response(301, location=quote(cleaned) + request.query)
        for pattern, methods in _ROUTES:
            if match := pattern.fullmatch(request.path):
                return await self._from(methods.get(request.method), request, match.groupdict())
        return Response(404, b"404 page not found\n", PLAIN)

    async def _from(self, endpoint: Endpoint | None, request: Request, at: dict[str, str]) -> Response:
        if endpoint is None:
            return Response(405)
        if request.headers.get("user-agent", "").startswith("Mozilla/"):
            return Response(403, b"User agent not allowed\n", PLAIN)
        try:
            if request.method in _READS:
                return await endpoint(self, request, at)
            async with self._changes:
                return await endpoint(self, request, at)
        except ApiError as error:
            return _refusal(error)

    async def version(self, request: Request, at: dict[str, str]) -> Response:
        """GET /version."""
        return Response(200, f'{{"version": "{VERSION}"}}\n'.encode(), "application/json;charset=utf-8")

    async def reset(self, request: Request, at: dict[str, str]) -> Response:
        """POST /reset."""
        await self.collection.reset()
        return Response(204)

    async def proxies(self, request: Request, at: dict[str, str]) -> Response:
        """GET /proxies."""
        return _json({proxy.name: proxy.shown() for proxy in sorted(self.collection, key=lambda p: p.name)})

    async def create_proxy(self, request: Request, at: dict[str, str]) -> Response:
        """POST /proxies."""
        return _json((await self.collection.create(bodies.decode(request.body))).shown(), 201)

    async def populate(self, request: Request, at: dict[str, str]) -> Response:
        """POST /populate."""
        created: list[Proxy] = []  # shown at the end, for one of them may replace another
        try:
            async for proxy in self.collection.populate(bodies.decode(request.body)):
                created.append(proxy)
        except ApiError as error:
            told = {"error": error.message, "status": error.status, "proxies": _shown(created)}
            return _json(told, error.status)
        return _json({"proxies": _shown(created)}, 201)

    async def proxy(self, request: Request, at: dict[str, str]) -> Response:
        """GET /proxies/{proxy}."""
        return _json(self.collection[at["proxy"]].shown())

    async def change_proxy(self, request: Request, at: dict[str, str]) -> Response:
        """PATCH or POST /proxies/{proxy}."""
        proxy = self.collection[at["proxy"]]
        fields = bodies.as_fields(bodies.decode(request.body), "proxy")
        bodies.text(fields, "name", "")
        listen = bodies.text(fields, "listen", proxy.listen)
        upstream = bodies.text(fields, "upstream", proxy.upstream)
        await proxy.change(listen, upstream, bodies.flag(fields, "enabled", proxy.enabled))
        return _json(proxy.shown())

    async def delete_proxy(self, request: Request, at: dict[str, str]) -> Response:
        """DELETE /proxies/{proxy}."""
        await self.collection.delete(at["proxy"])
        return Response(204)

    async def toxics(self, request: Request, at: dict[str, str]) -> Response:
        """GET /proxies/{proxy}/toxics."""
        return _json(self.collection[at["proxy"]].shown_toxics())

    async def create_toxic(self, request: Request, at: dict[str, str]) -> Response:
        """POST /proxies/{proxy}/toxics."""
        proxy = self.collection[at["proxy"]]
        return _json(proxy.add_toxic(draft(bodies.decode(request.body))).shown())

    async def toxic(self, request: Request, at: dict[str, str]) -> Response:
        """GET /proxies/{proxy}/toxics/{toxic}."""
        return _json(self.collection[at["proxy"]].toxic(at["toxic"]).shown())

    async def change_toxic(self, request: Request, at: dict[str, str]) -> Response:
        """PATCH or POST /proxies/{proxy}/toxics/{toxic}."""
        proxy = self.collection[at["proxy"]]
        proxy.toxic(at["toxic"])  # a missing toxic is told before a bad body
        return _json(proxy.change_toxic(at["toxic"], bodies.decode(request.body)).shown())

    async def delete_toxic(self, request: Request, at: dict[str, str]) -> Response:
        """DELETE /proxies/{proxy}/toxics/{toxic}."""
        proxy = self.collection[at["proxy"]]
        proxy.remove_toxic(proxy.toxic(at["toxic"]))
        return Response(204)

    async def extensions(self, request: Request, at: dict[str, str]) -> Response:
        """GET /prodready/extensions."""
        return _json(extensions.shown())

    async def create_with_toxics(self, request: Request, at: dict[str, str]) -> Response:
        """POST /prodready/proxies."""
        proxy = await self.collection.create(bodies.decode(request.body), with_toxics=True)
        return _json(proxy.shown(), 201)

    async def redirect(self, request: Request, at: dict[str, str]) -> Response:
        """PATCH or POST /prodready/proxies/{proxy}."""
        proxy = self.collection[at["proxy"]]
        fields = bodies.as_fields(bodies.decode(request.body), "proxy")
        await proxy.redirect(bodies.text(fields, "upstream", proxy.upstream))
        return _json(proxy.shown())

    async def admission(self, request: Request, at: dict[str, str]) -> Response:
        """GET /prodready/proxies/{proxy}/admission."""
        return _json(self.collection[at["proxy"]].admission.shown())

    async def change_admission(self, request: Request, at: dict[str, str]) -> Response:
        """PATCH or POST /prodready/proxies/{proxy}/admission."""
        proxy = self.collection[at["proxy"]]
        await proxy.admit(proxy.admission.changed(bodies.decode(request.body)))
        return _json(proxy.admission.shown())

    async def connections(self, request: Request, at: dict[str, str]) -> Response:
        """GET /prodready/proxies/{proxy}/connections."""
        return _json(self.collection[at["proxy"]].traffic.shown())


def _route(path: str, **methods: Endpoint) -> tuple[re.Pattern[str], dict[str, Endpoint]]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path), re.DOTALL), methods


_ROUTES = [
    _route("/version", GET=Api.version),
    _route("/reset", POST=Api.reset),
    _route("/populate", POST=Api.populate),
    _route("/proxies", GET=Api.proxies, POST=Api.create_proxy),
    _route(
        "/proxies/{proxy}",
        GET=Api.proxy,
        POST=Api.change_proxy,
        PATCH=Api.change_proxy,
        DELETE=Api.delete_proxy,
    ),
    _route("/proxies/{proxy}/toxics", GET=Api.toxics, POST=Api.create_toxic),
    _route(
        "/proxies/{proxy}/toxics/{toxic}",
        GET=Api.toxic,
        POST=Api.change_toxic,
        PATCH=Api.change_toxic,
        DELETE=Api.delete_toxic,
    ),
    _route("/prodready/extensions", GET=Api.extensions),
    _route("/prodready/proxies", POST=Api.create_with_toxics),
    _route("/prodready/proxies/{proxy}", POST=Api.redirect, PATCH=Api.redirect),
    _route(
        "/prodready/proxies/{proxy}/admission",
        GET=Api.admission,
        POST=Api.change_admission,
        PATCH=Api.change_admission,
    ),
    _route("/prodready/proxies/{proxy}/connections", GET=Api.connections),
]
