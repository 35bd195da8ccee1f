"""All proxies of a server, by name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass

from pytest_prodready.faultproxy import bodies
from pytest_prodready.faultproxy.admission import Admission
from pytest_prodready.faultproxy.proxies import Proxy
from pytest_prodready.faultproxy.refusals import bad_body, missing_field, proxy_exists, proxy_not_found
from pytest_prodready.faultproxy.toxics import Draft, draft


@dataclass(frozen=True, slots=True)
class Wish:
    """A proxy that a client asks for."""

    name: str
    upstream: str
    listen: str
    enabled: bool


class Collection:
    """The proxies, in the order they were created."""

    def __init__(self, default_listen: str) -> None:
        self.default_listen = default_listen
        self._proxies: dict[str, Proxy] = {}

    def __iter__(self) -> Iterator[Proxy]:
        return iter(list(self._proxies.values()))

    def __getitem__(self, name: str) -> Proxy:
        try:
            return self._proxies[name]
        except KeyError:
            raise proxy_not_found() from None

    async def create(self, body: object, *, with_toxics: bool = False) -> Proxy:
        """A new proxy; nothing is kept of one that can't listen, or whose toxics are impossible.

        Toxiproxy ignores the toxics that come with a proxy, so they are only heeded where asked for.
        """
        wish = self._wish(body)
        _check(wish)
        if wish.name in self._proxies:
            raise proxy_exists()
        return await self._add(wish, _drafts(body) if with_toxics else [])

    async def populate(self, body: object) -> AsyncIterator[Proxy]:
        """Bring about a list of proxies; those that are there already stay as they are."""
        if not isinstance(body, list | None):
            raise bad_body("json: cannot unmarshal a value that is no array into the list of proxies")
        wishes = [self._wish(entry) for entry in body or ()]
        for position, wish in enumerate(wishes, start=1):
            _check(wish, f" at proxy {position}")
        for wish in wishes:
            yield await self._replaced(wish)

    async def delete(self, name: str) -> None:
        """Remove a proxy, and close its connections."""
        await self[name].remove()
        del self._proxies[name]

    async def reset(self) -> None:
        """Enable all proxies, and remove all toxics and what was said about admission."""
        for proxy in self:
            await proxy.admit(Admission())
            if not proxy.enabled:
                await proxy.start()
            proxy.remove_toxics()

    async def close(self) -> None:
        """Remove all proxies."""
        for proxy in self:
            await self.delete(proxy.name)

    async def _replaced(self, wish: Wish) -> Proxy:
        existing = self._proxies.get(wish.name)
        if existing is not None:
            if not await existing.differs(wish.listen, wish.upstream):
                return existing
            await existing.remove()
        return await self._add(wish)

    async def _add(self, wish: Wish, drafts: Sequence[Draft] = ()) -> Proxy:
        proxy = Proxy(wish.name, wish.listen, wish.upstream)
        for each in drafts:
            proxy.add_toxic(each)
        if wish.enabled:
            await proxy.start()
        self._proxies[wish.name] = proxy
        return proxy

    def _wish(self, body: object) -> Wish:
        fields = bodies.as_fields(body, "proxy")
        return Wish(
            bodies.text(fields, "name", ""),
            bodies.text(fields, "upstream", ""),
            bodies.text(fields, "listen", "") or self.default_listen,
            bodies.flag(fields, "enabled", True),
        )


def _drafts(body: object) -> list[Draft]:
    toxics = bodies.as_fields(body, "proxy").get("toxics")
    if not isinstance(toxics, list | None):
        raise bad_body("json: cannot unmarshal a value that is no array into the list of toxics")
    return [draft(each) for each in toxics or ()]


def _check(wish: Wish, where: str = "") -> None:
    for field in ("name", "upstream"):
        if not getattr(wish, field):
            raise missing_field(field + where)
