"""Hand-made connections and handshakes, against servers whose settings are known."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_prodready.environment.certificates import Authority, Certificate
from pytest_prodready.environment.service import Endpoint
from pytest_prodready.probes import impostor_postgres, ssl_chain, ssl_dial, ssl_openssl, ssl_server
from pytest_prodready.probes.impostor import Disguise, Impostor, impostor


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority."""
    return Authority(tmp_path)


@pytest.fixture
def certificate(authority: Authority, tmp_path: Path) -> Certificate:
    """A server's certificate of it."""
    return authority.issue(tmp_path, "localhost", "127.0.0.1")


@pytest.fixture
def server(certificate: Certificate) -> Iterator[Impostor]:
    """A server with modern settings."""
    with impostor(impostor_postgres.receive, Disguise("modern", certificate.server_context())) as made:
        yield made


def error(sqlstate: str, message: str) -> bytes:
    """An error as a server sends it."""
    fields = f"SFATAL\0C{sqlstate}\0M{message}\0\0".encode()
    return b"E" + struct.pack("!i", len(fields) + 4) + fields


def wear(server: Impostor, certificate: Certificate, suites: str, lowest: str, highest: str) -> None:
    """Give the server these suites and versions."""
    context = certificate.server_context()
    context.set_ciphers(suites)
    ssl_openssl.limit_versions(context, lowest, highest)
    server.wear(Disguise("careless", context))


def test_startup_in_clear(server: Impostor) -> None:
    """A server that takes clear text asks for the password."""
    answer = ssl_dial.plain_startup(server.endpoint, "app", "app")
    assert (answer.kind, answer.authentication) == ("R", 3)
    assert ssl_server._knock(server.endpoint, "app", "app").answer == ssl_server.ASKED


def test_startup_over_tls(server: Impostor, authority: Authority) -> None:
    """The same over TLS, after which the server's chain can be read."""
    context = ssl_openssl.careless_client("TLS 1.2", "TLS 1.3")
    with ssl_dial.tls(server.endpoint, context) as connection:
        assert connection is not None
        assert ssl_dial.startup(connection, "app", "app").kind == "R"
        chain = ssl_chain.served_by(connection)
    assert ssl_chain.chain_to(chain, ssl_chain.load(authority.ca_file, "ca"))[1] == ""


def test_tls_declined(server: Impostor) -> None:
    """A server that answers N has no TLS."""
    server.wear(Disguise("plain", None))
    with ssl_dial.tls(server.endpoint, ssl_openssl.careless_client("TLS 1.2", "TLS 1.3")) as connection:
        assert connection is None


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (error("28000", "no pg_hba.conf entry"), ssl_server.REFUSED),
        (error("53300", "too many clients"), ssl_server.UNCLEAR),
        (b"R\0\0\0\x08\0\0\0\0", ssl_server.ADMITTED),
        (b"R\0\0\0\x08\0\0\0\x05", ssl_server.ASKED),
        (b"", ssl_server.REFUSED),
    ],
    ids=["refused", "full", "trust", "md5", "hung up"],
)
def test_first_answers(said: bytes, answer: str) -> None:
    """The first answer of a server tells whether it takes a role on without TLS."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer_once() -> None:
            with listener.accept()[0] as connection:
                connection.recv(1000)
                connection.sendall(said)

        thread = threading.Thread(target=answer_once)
        thread.start()
        door = ssl_server._knock(Endpoint(*listener.getsockname()), "app", "app")
        thread.join()
    assert door.answer == answer


def test_versions(server: Impostor, certificate: Certificate) -> None:
    """Each version is tried on its own."""
    wear(server, certificate, "ALL:@SECLEVEL=0", "TLS 1.1", "TLS 1.2")
    found = {
        version: ssl_server._try_version(server.endpoint, None, version).outcome
        for version in ssl_openssl.VERSIONS
    }
    old = ssl_server.ACCEPTED if ssl_openssl.speaks("TLS 1.1") else ssl_server.UNTRIED
    assert found["TLS 1.0"] in (ssl_server.REFUSED, ssl_server.UNTRIED)
    assert found["TLS 1.1"] == old
    assert found["TLS 1.2"] == ssl_server.ACCEPTED
    assert found["TLS 1.3"] == ssl_server.REFUSED


@pytest.mark.parametrize(
    ("suites", "found"),
    [
        ("ECDHE-ECDSA-AES128-GCM-SHA256", set()),
        ("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-SHA", {"ECDHE-ECDSA-AES128-SHA"}),
        (
            "ECDHE-ECDSA-AES256-SHA384:ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-NULL-SHA:@SECLEVEL=0",
            {"ECDHE-ECDSA-AES256-SHA384", "ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-NULL-SHA"},
        ),
    ],
)
def test_suites(server: Impostor, certificate: Certificate, suites: str, found: set[str]) -> None:
    """Exactly the weak suites that the server accepts are found, and no strong one."""
    wear(server, certificate, suites, "TLS 1.2", "TLS 1.2")
    assert set(ssl_server._accepted_suites(server.endpoint, None)) == found
