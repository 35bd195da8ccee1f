"""Faults by toxics: adding them, changing them, taking them away."""

from __future__ import annotations

import http.client
import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import Literal, TypedDict

import toxiproxy

from pytest_prodready.faults.extensions import Extensions
from pytest_prodready.faults.wire import FaultProxyError, Http, library, then

Stream = Literal["upstream", "downstream"]


@dataclass(frozen=True, slots=True)
class Only:
    """Connections of some age alone, in ms, as of the moment that the fault begins."""

    older_than: int | None = None
    younger_than: int | None = None


def older_than(seconds: float) -> Only:
    """Connections opened longer ago than that; 0 for all that are open, and none that come."""
    return Only(older_than=round(seconds * 1000))


def younger_than(seconds: float) -> Only:
    """Connections opened within that time, and all that come; 0 for those that come alone."""
    return Only(younger_than=round(seconds * 1000))


class Whom(TypedDict, total=False):
    """Which connections a fault strikes: all, if nothing is said."""

    only: Only  # by age; an extension
    toxicity: float  # the chance of each, from 0 to 1


class Applied:
    """A fault that holds, and can be changed meanwhile."""

    def __init__(self, http_api: Http, paths: list[str]) -> None:
        self._http = http_api
        self._paths = paths

    def update(self, *, toxicity: float | None = None, **attributes: int) -> None:
        """Change attributes of the toxics, such as `latency` and `jitter`; the others stay."""
        wanted: dict[str, object] = {"attributes": attributes}
        if toxicity is not None:
            wanted["toxicity"] = toxicity
        for path in self._paths:
            self._http.ask("PATCH", path, wanted)


class Toxics:
    """The toxics of one proxy."""

    def __init__(self, http_api: Http, proxy: toxiproxy.Proxy, extensions: Extensions) -> None:
        self._http = http_api
        self._proxy = proxy
        self._extensions = extensions
        self._numbers = itertools.count(1)

    @contextmanager
    def added(
        self, kind: str, streams: tuple[Stream, ...], whom: Whom, **attributes: int
    ) -> Iterator[Applied]:
        """One toxic for each direction, while the block lasts."""
        if "only" in whom:
            self._extensions.require("connection_age")
        with ExitStack() as undone:
            paths = [undone.enter_context(self._one(kind, stream, whom, attributes)) for stream in streams]
            yield Applied(self._http, paths)

    @contextmanager
    def _one(self, kind: str, stream: Stream, whom: Whom, attributes: dict[str, int]) -> Iterator[str]:
        name = f"{kind}_{stream}_{next(self._numbers)}"  # of its own, so that faults nest
        toxicity = whom.get("toxicity", 1.0)
        wish = {"name": name, "type": kind, "stream": stream, "toxicity": toxicity, "attributes": attributes}
        if "only" in whom:  # which the package can't say
            chosen = {key: value for key, value in asdict(whom["only"]).items() if value is not None}
            self._http.post(f"/proxies/{self._proxy.name}/toxics", json={**wish, "only": chosen})
        else:
            with library(self._http):
                self._proxy.add_toxic(**wish)
        with then(lambda: self.unless_gone(lambda: self._proxy.destroy_toxic(name))):
            yield f"/proxies/{self._proxy.name}/toxics/{name}"

    def unless_gone(self, call: Callable[[], object]) -> None:
        """Do what may have been done already."""
        try:
            with library(self._http):
                call()
        except FaultProxyError as error:
            if error.status != http.client.NOT_FOUND:
                raise
