"""What goes wrong between the faults and their server, and how it is told."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import psutil
import pytest
import toxiproxy

from pytest_prodready.errors import ProdreadyError
from pytest_prodready.faults import FaultProxy, FaultProxyError, Proxied

from .peers import Control, Upstream, eventually, is_refused


def test_taken_name_is_an_error(faults: FaultProxy, proxied: Proxied) -> None:
    """A second proxy of a name is refused with its name and the server's address."""
    with pytest.raises(FaultProxyError) as caught:
        faults.create(proxied.name, "127.0.0.1:9")
    assert "db" in str(caught.value)
    assert f":{faults.port}" in str(caught.value)


def test_names_of_any_characters_work_but_slashes(faults: FaultProxy, upstream: Upstream) -> None:
    """A name is escaped in paths; a slash can't be, and is refused."""
    proxied = faults.create("main db: 50% <é>", upstream.address)
    with proxied.latency(ms=1), proxied.down():
        pass
    with pytest.raises(FaultProxyError, match="a/b"):
        faults.create("a/b", upstream.address)


def test_refusal_tells_what_came_back(faults: FaultProxy, control: Control) -> None:
    """What was asked, of whom, and the server's own words are in the error."""
    with pytest.raises(ProdreadyError) as caught:
        faults.create("db", "127.0.0.1:9", listen=f"127.0.0.1:{control.port}")
    text = str(caught.value)
    for part in ("500", "address already in use", "POST /proxies", f"http://127.0.0.1:{control.port}"):
        assert part in text


def test_failed_healing_is_an_error(faults: FaultProxy, upstream: Upstream) -> None:
    """A port that is taken meanwhile can't be listened on again, and that isn't passed over."""
    proxied = faults.create("db", upstream.address)
    thief = FaultProxy(faults.host, faults.port)
    with contextlib.ExitStack() as stack:
        stack.callback(thief.close)
        with pytest.raises(FaultProxyError, match="status 500"), proxied.down():
            thief.create("thief", upstream.address, listen=f"127.0.0.1:{proxied.port}")


def test_silent_server_times_out() -> None:
    """A server that accepts and says nothing isn't waited for longer than the timeout."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        faults = FaultProxy("127.0.0.1", silent.getsockname()[1], timeout_s=0.2)
        for call in (faults.version, faults.reset, lambda: faults.create("db", "127.0.0.1:9")):
            started = time.monotonic()
            with pytest.raises(FaultProxyError, match=r"0\.2 s") as caught:
                call()
            assert time.monotonic() - started < 2
            assert caught.value.status is None


def test_gone_server_is_an_error_but_not_when_closing(builtin: Control, upstream: Upstream) -> None:
    """A dead server is told about, except by cleaning up: its proxies are gone with it."""
    faults = FaultProxy(builtin.host, builtin.port)
    faults.create("db", upstream.address)
    psutil.Process(builtin.pid).terminate()
    assert eventually(lambda: is_refused(f"{builtin.host}:{builtin.port}"))
    with pytest.raises(FaultProxyError) as caught:
        faults.version()
    assert f"http://{builtin.host}:{builtin.port}" in str(caught.value)
    faults.close()


def test_two_servers_at_once(control: Control, builtin: Control, upstream: Upstream) -> None:
    """Several servers are driven from several threads, each getting its own orders."""
    servers = [FaultProxy(each.host, each.port) for each in (control, builtin)]
    failures: list[Exception] = []

    def drive(server: FaultProxy) -> None:
        try:
            proxied = server.create(f"on-{server.port}", upstream.address)
            for _ in range(15):
                with proxied.latency(ms=1), proxied.down():
                    pass
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=drive, args=(server,)) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    for each in (control, builtin):
        shown = each.ask("GET", "/proxies").json
        assert list(shown) == [f"on-{each.port}"]
        assert shown[f"on-{each.port}"]["toxics"] == []
    for server in servers:
        server.close()


def test_foreign_use_of_the_package_is_undisturbed(faults: FaultProxy, proxied: Proxied) -> None:
    """The package's global address is what it was, for whoever else uses it."""
    before = toxiproxy.api.APIConsumer.host, toxiproxy.api.APIConsumer.port, toxiproxy.api.requests
    with proxied.latency(ms=1):
        faults.version()
    consumer = toxiproxy.api.APIConsumer
    assert (consumer.host, consumer.port, toxiproxy.api.requests) == before
