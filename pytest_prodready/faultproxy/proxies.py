"""Proxies: a listening port each, an upstream, toxics, and the connections between."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

from pytest_prodready.faultproxy import addresses
from pytest_prodready.faultproxy.admission import Admission
from pytest_prodready.faultproxy.links import Connection, reset_when_closed
from pytest_prodready.faultproxy.listeners import Listener
from pytest_prodready.faultproxy.outage import Outage
from pytest_prodready.faultproxy.refusals import ApiError, ListenError, toxic_exists, toxic_not_found
from pytest_prodready.faultproxy.toxics import Draft, Toxic
from pytest_prodready.faultproxy.traffic import Traffic

_CLOSED_WITHIN_S = 2.0  # one that never tells its end must not keep the proxy from stopping


class Proxy:
    """One listening port in front of one upstream."""

    def __init__(self, name: str, listen: str, upstream: str) -> None:
        self.name = name
        self.listen = listen
        self.upstream = upstream
        self.enabled = False
        self.toxics: list[Toxic] = []
        self.admission = Admission()
        self.traffic = Traffic()
        self._opening: set[asyncio.Task[None]] = set()
        self._listener = Listener(self._accepted)
        self._outage = Outage(self._apply_admission)
        self._loop = asyncio.get_running_loop()

    def shown(self) -> dict[str, object]:
        """The proxy as JSON."""
        return {
            "name": self.name,
            "listen": self.listen,
            "upstream": self.upstream,
            "enabled": self.enabled,
            "toxics": self.shown_toxics(),
        }

    def shown_toxics(self) -> list[dict[str, object]]:
        """The toxics as JSON, those on the way to the upstream first."""
        ordered = sorted(self.toxics, key=lambda toxic: toxic.direction == "downstream")
        return [toxic.shown() for toxic in ordered]

    async def differs(self, listen: str, upstream: str) -> bool:
        """Whether these are another address to listen on, or another upstream."""
        resolved = str(await addresses.resolve(listen))
        return resolved != self.listen or upstream != self.upstream

    async def change(self, listen: str, upstream: str, enabled: bool) -> None:
        """Bring about what a PATCH asks for; live connections close unless nothing differs."""
        if await self.differs(listen, upstream):
            await self.stop()
            if listen != self.listen:
                self._listener.release()
            self.listen, self.upstream = listen, upstream
        if enabled and not self.enabled:
            await self.start()
        elif not enabled:
            await self.stop()

    async def redirect(self, upstream: str) -> None:
        """Connect those who come from now on to another upstream; live connections stay where they are."""
        self.upstream = upstream
        if self.enabled:
            self._outage.forget()
            await self._look_at_upstream()
            await self._apply_admission()

    async def start(self) -> None:
        """Listen; the address then tells the port that was chosen."""
        try:
            address = await addresses.resolve(self.listen)
        except ApiError as error:
            raise ListenError(f"listen tcp: {error.message}") from error
        await self._look_at_upstream()
        bound = self._listener.refuse(address) if self._refuses() else self._listener.open(address)
        self.listen = str(bound)
        self.enabled = True
        await self._apply_admission()

    async def stop(self) -> None:
        """Refuse clients from now on, and close those that are connected."""
        if not self.enabled:
            return
        self.enabled = False
        self._outage.forget()
        self._listener.close()
        for task in self._opening:
            task.cancel()
        for connection in self.traffic.live:
            connection.abort()
        deadline = self._loop.time() + _CLOSED_WITHIN_S
        while (self.traffic.live or self._opening) and self._loop.time() < deadline:
            await asyncio.sleep(0)  # sockets close in the loop's next turn

    async def remove(self) -> None:
        """Stop, and give the port back."""
        await self.stop()
        self._listener.release()

    # Clients

    async def admit(self, admission: Admission) -> None:
        """Receive clients like this from now on; those that are connected stay."""
        self.admission = admission
        if self.enabled:
            await self._look_at_upstream()
            await self._apply_admission()

    async def _look_at_upstream(self) -> None:
        if self.admission.upstream_down == "refuse":
            await self._outage.look(self.upstream)
        else:
            self._outage.forget()

    def _refuses(self) -> bool:
        return self.admission.accepting == "refused" or self._outage.found

    async def _apply_admission(self) -> None:
        if not self.enabled:
            return
        address = await addresses.resolve(self.listen)
        if self._refuses():
            self._listener.refuse(address)
        elif not self._listener.listening:
            self._listener.open(address)
        if self.admission.accepting == "unanswered":
            self._listener.mute()
        else:
            self._listener.unmute()

    def _accepted(self, client: socket.socket) -> None:
        self.traffic.accept()
        task = self._loop.create_task(self._open(client))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, client: socket.socket) -> None:
        connection = Connection(self.traffic.closed)
        try:
            if self.admission.open_delay:
                await asyncio.sleep(self.admission.open_delay / 1000)
            await connection.dial(*addresses.to_dial(self.upstream))
            await connection.join(client)
        except (OSError, ValueError, ApiError):
            connection.abort()
            self._upstream_refused(client)
        except BaseException:
            connection.abort()
            client.close()
            raise
        else:
            self.traffic.live.add(connection)
            connection.flow(self.toxics)

    def _upstream_refused(self, client: socket.socket) -> None:
        self.traffic.refused_upstream += 1
        if self.admission.upstream_down != "end":
            reset_when_closed(client)
        client.close()
        if self.admission.upstream_down == "refuse":
            self._outage.suspect(self.upstream)

    # Toxics

    def toxic(self, name: str) -> Toxic:
        """The toxic of that name."""
        for toxic in self.toxics:
            if toxic.name == name:
                return toxic
        raise toxic_not_found()

    def add_toxic(self, draft: Draft) -> Toxic:
        """Add a toxic, to live connections too."""
        if any(toxic.name == draft.name for toxic in self.toxics):
            raise toxic_exists()
        toxic = draft.finished()
        self.toxics.append(toxic)
        for connection in self._concerned(toxic):
            connection.links[toxic.direction].add(toxic)
        return toxic

    def change_toxic(self, name: str, body: object) -> Toxic:
        """Change a toxic, on live connections too."""
        toxic = self.toxic(name)
        toxic.change(body)
        for connection in self._concerned(toxic):
            connection.links[toxic.direction].change(toxic)
        return toxic

    def remove_toxic(self, toxic: Toxic) -> None:
        """Remove a toxic, from live connections too."""
        self.toxics.remove(toxic)
        for connection in self._concerned(toxic):
            connection.links[toxic.direction].remove(toxic)

    def remove_toxics(self) -> None:
        """Remove all toxics."""
        for toxic in list(self.toxics):
            self.remove_toxic(toxic)

    def _concerned(self, toxic: Toxic) -> Iterator[Connection]:
        return (connection for connection in list(self.traffic.live) if toxic.concerns(connection.opened_at))
