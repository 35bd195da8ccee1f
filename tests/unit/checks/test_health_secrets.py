"""Verdicts about what health answers tell, from literals."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest

from pytest_prodready.checks.health_secrets import leaks, tells_no_secrets
from pytest_prodready.findings import Verdict
from pytest_prodready.probes.health import Healthy
from pytest_prodready.probes.health_answers import Moment, Said, heard, redact
from pytest_prodready.probes.health_cache import CacheLoss
from pytest_prodready.probes.health_loss import Loss
from pytest_prodready.probes.traffic import Answer

SECRET = "s3cret@with/odd:signs"


def healthy(*said: Said) -> Healthy:
    """A healthy service that said this."""
    return Healthy(
        (), said, ("database",), "127.0.0.1:8000", ("127.0.0.1:5432", "db.example.org:6432"), ("18.1",)
    )


def kinds(body: Any = "", headers: tuple[tuple[str, str], ...] = ()) -> set[str]:
    """The kinds of leaks in one answer."""
    text = body if isinstance(body, str) else json.dumps(body)
    return {leak.kind for leak in leaks(Said("deep", "healthy", 200, text, headers), healthy())}


HARMLESS: tuple[Any, ...] = (
    {"status": "ok", "checks": {"database": {"status": "ok", "latency_ms": 1.23}, "redis": {"status": "ok"}}},
    {"status": "ok", "version": "1.4.2", "commit": "9fceb02d0ae598e95dc970b74767f19372d61af8"},
    {"status": "pass", "version": "1", "releaseId": "1.2.2", "serviceId": "f03e522f", "notes": [""]},
    {"status": "ok", "assemblyVersion": "10.0.0.1", "uptime": 12345.678},
    {"status": "ok", "time": "2026-11-23T01:02:03.456+00:00", "started": "Mon, 23 Nov 2026 01:02:03 GMT"},
    {
        "status": "ok",
        "links": {"self": "http://127.0.0.1:8000/health/deep", "about": "https://example.com/health"},
    },
    {"status": "ok", "requestId": "3f2504e0-4f89-11d3-9a0c-0305e82c3301", "traceId": "4bf92f3577b34da6a3ce"},
    {"status": "UP", "components": {"diskSpace": {"status": "UP", "details": {"total": 1e12, "free": 5e11}}}},
    {"status": "UP", "components": {"db": {"status": "UP", "details": {"database": "PostgreSQL"}}}},
    {"status": "error", "checks": {"server": {"status": "ok"}, "host": "ok", "address": "up"}},
    {"status": "failing", "checks": {"database": {"status": "failing", "reason": "timeout"}}},
    {"status": "failing", "checks": {"database": "connection refused"}},
    {"data": {"latency": "12.5ms", "pool": "5/10", "ratio": "0.95"}, "errors": [], "error": None},
    {"status": "ok", "docs": "/health/ready", "next": "/app/health"},
    "ok",
    "",
    "Healthy",
    "[+]ping ok\n[+]postgres ok\nhealthz check passed",
)


@pytest.mark.parametrize("body", HARMLESS)
def test_harmless_bodies(body: Any) -> None:
    """An application's own version, times, ids, sizes and fixed words raise no alarm."""
    assert kinds(body) == set()


@pytest.mark.parametrize(
    "header",
    [
        ("server", "uvicorn"),
        ("server", "envoy"),
        ("x-powered-by", "Express"),
        ("date", "Mon, 23 Nov 2026 01:02:03 GMT"),
        ("x-runtime", "0.012345"),
        ("x-request-id", "3f2504e0-4f89-11d3-9a0c-0305e82c3301"),
        ("content-type", "application/vnd.spring-boot.actuator.v3+json"),
        ("via", "1.1 vegur"),
        ("x-ratelimit-remaining", "99.5"),
        ("strict-transport-security", "max-age=31536000"),
        ("etag", 'W/"15-1.2.3"'),
        ("x-app-version", "1.4.2"),
    ],
)
def test_harmless_headers(header: tuple[str, str]) -> None:
    """Names without versions, clocks and ids raise no alarm."""
    assert kinds(headers=(header,)) == set()


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"error": 'connection to server at "127.0.0.1", port 5432 failed'}, "an error's text"),
        ({"error": "connect ECONNREFUSED 10.1.2.3:5432"}, "an error's text"),
        ({"error": "psycopg.OperationalError"}, "an error's text"),
        ({"error": "(psycopg.errors.ConnectionTimeout) timed out"}, "an error's text"),
        ({"error": "org.postgresql.util.PSQLException: gone"}, "an error's text"),
        ({"error": "OperationalError"}, "an error's text"),
        ({"error": "dial tcp: lookup db: no such host"}, "an error's text"),
        ({"error": 'FATAL:  role "app" does not exist'}, "an error's text"),
        ({"error": "QueuePool limit of size 5 overflow 10 reached"}, "an error's text"),
        ({"database": "10.1.2.3"}, "an address"),
        ({"database": "8.8.8.8:5432"}, "an address"),
        ({"database": "localhost:5432"}, "an address"),
        ({"database": "db.example.org:6432"}, "an address"),
        ({"database": "[fd00::1]:5432"}, "an address"),
        ({"checks": {"database": {"status": "ok", "host": "db-1"}}}, "a host"),
        ({"database": "prod.abc123.eu-central-1.rds.amazonaws.com"}, "an internal host name"),
        ({"database": "postgres.default.svc.cluster.local"}, "an internal host name"),
        ({"url": "postgresql://app@db/app"}, "a connection URL"),
        ({"url": "jdbc:postgresql://db/app"}, "a connection URL"),
        ({"dsn": "host=db user=app password=hunter22"}, "a credential"),
        ({"checks": {"database": {"status": "ok", "version": "15.3"}}}, "a version"),
        ({"checks": {"redis": {"redis_version": "7.4.1"}}}, "a version"),
        ({"checks": {"database": {"detail": "PostgreSQL 15.3 on x86_64"}}}, "a version"),
        ({"database": "18.1"}, "a version"),
        ({"python": "3.11.7"}, "a version"),
        ({"system": {"version": "go1.22.1"}}, "a version"),
        ({"runtime": "nginx/1.25.3"}, "a version"),
        ({"disk": {"path": "/app/."}}, "a file path"),
        ({"ca": "/etc/ssl/certs/ca.pem"}, "a file path"),
        ('Traceback (most recent call last):\n  File "/srv/app.py", line 3', "a traceback"),
        ("Error: gone\n    at Object.<anonymous> (/srv/app/index.js:12:7)", "a traceback"),
        ("\tat org.acme.Db.connect(Db.java:42)", "a traceback"),
        ("C:\\inetpub\\wwwroot\\app.dll", "a file path"),
    ],
)
def test_leaking_bodies(body: Any, kind: str) -> None:
    """Each kind of leak is seen, and called what it is."""
    assert kind in kinds(body)


@pytest.mark.parametrize(
    "header",
    [
        ("server", "nginx/1.25.3"),
        ("server", "Apache/2.4.57 (Debian)"),
        ("server", "Microsoft-IIS/10.0"),
        ("x-powered-by", "PHP/8.2.1"),
        ("x-aspnet-version", "4.0.30319"),
        ("server", "Werkzeug/3.0.1 Python/3.11.7"),
    ],
)
def test_leaking_headers(header: tuple[str, str]) -> None:
    """A server's version in a header is seen."""
    assert kinds(headers=(header,)) == {"a version in a header"}


def test_addresses_in_headers() -> None:
    """A backend's address in a header is seen."""
    assert kinds(headers=(("x-backend", "10.0.3.4:8080"),)) == {"an address"}


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        quote(SECRET, safe=""),
        json.dumps(SECRET),
        base64.b64encode(SECRET.encode()).decode(),
        base64.b64encode(b"user:" + SECRET.encode()).decode(),
        f"postgresql://app:{quote(SECRET, safe='')}@db/app",
        "failed to resolve host 's3cret'",
    ],
)
def test_known_secrets_are_named_and_removed(text: str) -> None:
    """A known secret is found in every usual form, and never kept."""
    kept, found = redact(f"seen: {text}", {"the database's password": SECRET})
    assert found == ("the database's password",)
    assert "s3cret" not in kept
    assert "odd:signs" not in kept


def test_unknown_passwords_in_urls_are_removed() -> None:
    """A password that nobody told us of isn't kept either, and is still seen to have been there."""
    kept, found = redact("redis://app:hunter22@cache/0", {})
    assert found == ()
    assert "hunter22" not in kept
    assert "a connection URL" in kinds(kept)


def test_equal_answers_are_kept_once() -> None:
    """Answers that differ in numbers alone are one wording; each phase has its own."""
    answers = [
        Answer("deep", 200, 0.01, at_s=at, body=json.dumps({"ms": at, "x": SECRET}))
        for at in (0.0, 1.0, 2.0, 3.0)
    ]
    said = heard(answers, [Moment("healthy", 0), Moment("refused", 2)], {"a password": SECRET})
    assert [(each.phase, each.at_s, each.secrets) for each in said] == [
        ("healthy", 0.0, ("a password",)),
        ("refused", 2.0, ("a password",)),
    ]
    assert all(SECRET not in each.body for each in said)


def said(phase: str, body: str, secrets: tuple[str, ...] = ()) -> Said:
    """One answer of the readiness check."""
    return Said("readiness", phase, 200, body, (), 0.0, secrets)


def test_passes() -> None:
    """Fixed words in good times and in bad pass."""
    finding = tells_no_secrets(
        healthy(said("healthy", '{"status":"ok"}')),
        [Loss("refused", said=(said("refused", '{"status":"unavailable"}'),))],
        CacheLoss(),
    )
    assert finding.verdict is Verdict.PASSED
    assert "healthy, refused" in finding.summary


@pytest.mark.parametrize("where", ["healthy", "refused", "Redis refused"])
def test_fails_wherever_it_is_told(where: str) -> None:
    """A secret told in any phase fails, and the summary says where."""
    told = said(where, "", ("the database's password",))
    well = said("healthy", "ok")
    finding = tells_no_secrets(
        healthy(told if where == "healthy" else well),
        [Loss("refused", said=(told if where == "refused" else well,))],
        CacheLoss(said=(told if where == "Redis refused" else well,)),
    )
    assert finding.verdict is Verdict.FAILED
    assert f"readiness ({where})" in finding.summary
    assert "a known secret" in finding.summary


def test_summary_shows_no_password() -> None:
    """What is shown of a leak isn't another one."""
    finding = tells_no_secrets(healthy(said("healthy", "password=hunter22")), [], CacheLoss())
    assert finding.verdict is Verdict.FAILED
    assert "hunter22" not in finding.summary


def test_silence_is_inconclusive() -> None:
    """Where nothing was said, nothing was searched."""
    assert tells_no_secrets(healthy(), [Loss("refused")], CacheLoss()).verdict is Verdict.INCONCLUSIVE
