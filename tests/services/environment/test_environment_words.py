"""The parts that need no server: placeholders, passwords, the choice of a backend, certificates."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from pytest_prodready.environment.certificates import Authority, Certificate, self_signed
from pytest_prodready.environment.placeholders import check, fill, names_in, servers_named
from pytest_prodready.environment.postgres_config import preloaded
from pytest_prodready.environment.secrets import Redactor
from pytest_prodready.environment.select import choose
from pytest_prodready.errors import ConfigError

from .conftest import settings_of


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("--port {port}", "--port 80"),
        ("{{port}} and {port}", "{port} and 80"),
        ('{"a": {"b": 1}}', '{"a": {"b": 1}}'),
        ("{} { } {1}", "{} { } {1}"),
    ],
)
def test_fill(text: str, filled: str) -> None:
    """Names in braces are replaced; other braces stay."""
    assert fill(text, {"port": "80"}) == filled


@pytest.mark.parametrize(
    ("tables", "source", "nearest"),
    [
        ({"service": {"env": {"A": "{postgres.uri}"}}}, "service.env.A", "{postgres.url}"),
        ({"service": {"env": {"A": "{postgres.replica_ulr}"}}}, "service.env.A", "{postgres.replica_url}"),
        ({"service": {"command": "run {prot}"}}, "service.command", "{port}"),
        ({"service": {"setup": ["a", "b {Python}"]}}, "service.setup[1]", "{python}"),
        ({"requests": [{"path": "/{tokn}"}]}, "requests[0].path", "{token}"),
        ({"requests": [{"path": "/", "json": {"a": ["{port}"]}}]}, "requests[0].json.a[0]", "{token}"),
    ],
)
def test_unknown_placeholders(tables: dict[str, Any], source: str, nearest: str) -> None:
    """A placeholder that nothing fills is an error with its key and the nearest one that exists."""
    with pytest.raises(ConfigError) as failed:
        check(settings_of(**tables))
    assert failed.value.source == source
    assert nearest in failed.value.message


def test_known_placeholders() -> None:
    """Those that exist are no errors, and name the servers that are needed."""
    settings = settings_of(
        service={"env": {"A": "{redis.host}:{redis.port}", "B": "{postgres.ca_file}"}},
        requests=[{"path": "/{token}"}],
    )
    check(settings)
    assert servers_named(settings) == {"redis", "postgres"}
    assert names_in("{a.b} {{c}}") == ("a.b",)


@pytest.mark.parametrize("password", ["0123456789abcdef" * 2, "p@ss/w#rd:%&'\"ü", "ab\\cd\nef"])
def test_redactor(password: str) -> None:
    """A password is found in every usual encoding, and nothing of it stays."""
    redact = Redactor([password])
    forms = [
        password,
        quote(password, safe=""),
        json.dumps(password),
        password.encode().hex(),
        *(base64.b64encode(b"x" * offset + b":" + password.encode() + b"yz").decode() for offset in range(3)),
    ]
    for form in forms:
        text = redact(f"before {form} after")
        assert text.startswith("before ")
        assert text.endswith(" after")
        assert "[redacted]" in text
        assert not redact.finds(text)
    assert redact("nothing of it") == "nothing of it"
    assert password not in repr(redact)


def test_the_choice_of_a_backend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without an engine auto takes what is given, else processes, and always says why."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    given = settings_of(postgres={"url": "postgresql://x"})
    assert choose("auto", settings_of()).backend == "processes"
    assert "no Docker engine" in choose("auto", settings_of()).reason
    assert choose("auto", given).backend == "external"
    assert "[postgres] url" in choose("auto", given).reason
    assert choose("processes", given).backend == "processes"
    for option, settings in (("docker", given), ("external", settings_of())):
        with pytest.raises(ConfigError, match="--prodready-backend"):
            choose(option, settings)
    with pytest.raises(ConfigError, match="no socket at this address"):
        choose("containers", settings_of())


@pytest.mark.parametrize(
    ("text", "libraries"),
    [
        ("", ()),
        ("shared_preload_libraries = 'a, auto_explain'", ("a",)),
        ("shared_preload_libraries 'a'\nshared_preload_libraries = b", ("b",)),
        ("# shared_preload_libraries = 'a'", ()),
    ],
)
def test_preloaded_libraries_are_merged(text: str, libraries: tuple[str, ...]) -> None:
    """Ours come first, then those of the user's last line."""
    assert preloaded(text) == ("pg_stat_statements", "auto_explain", *libraries)


def test_certificates(tmp_path: Path) -> None:
    """A client that verifies accepts a good certificate, and refuses each of the bad."""
    authority, other = Authority(tmp_path), Authority(tmp_path, "other")
    now = datetime.now(UTC)
    day = timedelta(days=1)
    good = authority.issue(tmp_path, "localhost", "127.0.0.1")
    assert good.key_file.stat().st_mode & 0o777 == 0o600
    assert handshake(good, authority) is None
    old = authority.issue(
        tmp_path, "localhost", not_before=now - 2 * day, not_after=now - day, file_name="old"
    )
    early = authority.issue(tmp_path, "localhost", not_before=now + day, file_name="early")
    elsewhere = authority.issue(tmp_path, "elsewhere", file_name="elsewhere")
    bad = {
        "expired": old,
        "not yet valid": early,
        "Hostname mismatch": elsewhere,
        "self-signed": self_signed(tmp_path, "localhost", "127.0.0.1"),
        "unable to get local issuer": other.issue(tmp_path, "localhost", file_name="strange"),
    }
    for reason, certificate in bad.items():
        assert reason in str(handshake(certificate, authority))


def handshake(certificate: Certificate, trusted: Authority) -> Exception | None:
    """How a verifying client ends with a server that shows this certificate."""
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            certificate.server_context().wrap_socket(theirs, server_side=True).close()
        except OSError:
            theirs.close()

    server = threading.Thread(target=serve)
    server.start()
    context = ssl.create_default_context(cafile=trusted.ca_file)
    try:
        context.wrap_socket(ours, server_hostname="localhost").close()
    except ssl.SSLError as error:
        return error
    finally:
        ours.close()
        server.join()
    return None
