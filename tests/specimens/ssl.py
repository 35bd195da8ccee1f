"""Defects of TLS: in the server's configuration, in its certificate, in the service."""

from __future__ import annotations

from typing import Any

from tests.specimens import Specimen, Swap
from tests.specimens import ssl_certificates as certificates

CLIENT = ("authority", "name", "validity")
ALL_CLIENT_RULES = frozenset(
    {
        *(f"ssl.client-checks-{what}" for what in CLIENT),
        "ssl.client-requires-tls",
        "ssl.client-requires-tls12",
        "ssl.engine-verifies-server",
    }
)
CHECKS = frozenset({*(f"ssl.client-checks-{what}" for what in CLIENT), "ssl.engine-verifies-server"})
FULL = '"sslmode": "verify-full",'
NO_ROOT = '"sslrootcert": "/nonexistent/root.crt",'
SERVER_IS_FINE = ("ssl.plaintext-refused", "ssl.tls12-or-newer", "ssl.hba-narrow")


def hba(*lines: str) -> dict[str, Any]:
    """What a specimen with this pg_hba.conf needs."""
    return {"files": {"hba.conf": "\n".join(lines) + "\n"}, "settings": {"postgres.hba": "hba.conf"}}


def conf(*lines: str) -> dict[str, Any]:
    """What a specimen with this postgresql.conf needs."""
    return {
        "files": {"weak.conf": "\n".join(lines) + "\n"},
        "settings": {"postgres.settings": "weak.conf"},
    }


def chain(text: str, root: certificates.Issuer) -> dict[str, Any]:
    """What a specimen with this chain, and this authority, needs."""
    return {
        "files": {"chain.pem": text, "root.pem": root.pem},
        "settings": {"postgres.certificate": "chain.pem", "postgres.ca": "root.pem"},
    }


ROOT = certificates.authority("Root CA")
MIDDLE = certificates.authority("Issuing CA", ROOT)
NO_AUTHORITY = certificates.authority("Not a CA", ROOT, ca=False)

# A service with another driver: its TLS is a context of Python's, which can be weakened in other ways.
OTHER_SERVICE = """
import os, ssl
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

def make_engine():
    parts = urlsplit(os.environ["DATABASE_URL"])
    context = ssl.create_default_context(cafile=parse_qs(parts.query)["sslrootcert"][0])
    {weakness}
    url = parts._replace(scheme="postgresql+asyncpg", query="").geturl()
    return create_async_engine(url, connect_args={{"ssl": context, "timeout": 2}}, pool_pre_ping=True)

engine = make_engine()

async def ready(request):
    try:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
    except Exception:
        return JSONResponse({{}}, status_code=503)
    return JSONResponse({{}})

app = Starlette(routes=[Route("/ready", ready)])
"""


def other_service(weakness: str) -> dict[str, Any]:
    """What a specimen of the other service, with this weakness in its context, needs."""
    return {
        "files": {"other.py": OTHER_SERVICE.format(weakness=weakness)},
        "settings": {
            "service.command": "{python} -m uvicorn other:app --port {port}",
            "service.setup": None,
            "service.engine": "other:make_engine",
            "health.readiness": "/ready",
            "health.liveness": None,
            "health.deep": None,
            "requests": [],
            "writes": None,
        },
    }


SERVER = (
    Specimen(
        name="ssl-plaintext-allowed",
        breaks="ssl.plaintext-refused",
        says="1 of 2 pairs of role and database taken on without TLS: jobboard@jobboard",
        **hba("host jobboard jobboard 127.0.0.1/32 scram-sha-256"),
        still_passes=("ssl.hba-authenticates", "ssl.hba-narrow", "ssl.tls12-or-newer"),
    ),
    Specimen(
        name="ssl-plaintext-allowed-elsewhere",
        breaks="ssl.plaintext-refused",
        says="takes connections without TLS from other addresses: line 2 “host jobboard jobboard 10.0.0.0/8",
        **hba(
            "hostssl jobboard jobboard 127.0.0.1/32 scram-sha-256",
            "host jobboard jobboard 10.0.0.0/8 scram-sha-256",
        ),
        still_passes=("ssl.hba-authenticates", "ssl.hba-narrow"),
    ),
    Specimen(
        name="ssl-old-versions",
        breaks="ssl.tls12-or-newer",
        says="the server accepts TLS 1.0 and TLS 1.1",
        also=frozenset({"ssl.ciphers-strong"}),
        **conf("ssl_min_protocol_version = 'TLSv1'", "ssl_ciphers = 'ALL:@SECLEVEL=0'"),
        still_passes=("ssl.plaintext-refused", "ssl.hba-narrow"),
    ),
    Specimen(
        name="ssl-default-suites",
        breaks="ssl.ciphers-strong",
        says="weak cipher suites: ",
        **conf("ssl_ciphers = 'HIGH:MEDIUM:+3DES:!aNULL'"),
        still_passes=("ssl.tls12-or-newer", "ssl.plaintext-refused"),
    ),
    Specimen(
        name="ssl-hba-md5",
        breaks="ssl.hba-authenticates",
        says="hostssl jobboard jobboard 127.0.0.1/32 md5",
        **hba("hostssl jobboard jobboard 127.0.0.1/32 md5"),
        still_passes=("ssl.plaintext-refused", "ssl.hba-narrow"),
    ),
    Specimen(
        name="ssl-hba-trust",
        breaks="ssl.hba-authenticates",
        says="trust",
        **hba("local all all trust", "hostssl jobboard jobboard samehost scram-sha-256"),
        still_passes=("ssl.plaintext-refused", "ssl.hba-narrow"),
    ),
    Specimen(
        name="ssl-hba-wide",
        breaks="ssl.hba-narrow",
        says="1 line open to everybody: line 1 “hostssl all all 0.0.0.0/0 scram-sha-256”",
        **hba("hostssl all all 0.0.0.0/0 scram-sha-256"),
        still_passes=("ssl.plaintext-refused", "ssl.hba-authenticates"),
    ),
)

CERTIFICATE = (
    Specimen(
        name="ssl-certificate-ends-soon",
        breaks="ssl.certificate-lasts",
        says="expires in 5 days",
        **chain(certificates.pem(certificates.leaf(MIDDLE, days=5.01), MIDDLE.certificate), ROOT),
        still_passes=("ssl.certificate-names-server", "ssl.certificate-chain-verifies"),
    ),
    Specimen(
        name="ssl-certificate-expired",
        breaks="ssl.certificate-lasts",
        says="expired 2.0 days ago",
        **chain(certificates.pem(certificates.leaf(MIDDLE, days=-2), MIDDLE.certificate), ROOT),
        still_passes=("ssl.certificate-names-server", "ssl.certificate-chain-verifies"),
    ),
    Specimen(
        name="ssl-certificate-for-another-host",
        breaks="ssl.certificate-names-server",
        says="is for db1.jobboard.internal, and clients connect to db.jobboard.internal",
        **chain(
            certificates.pem(certificates.leaf(MIDDLE, names=("db1.jobboard.internal",)), MIDDLE.certificate),
            ROOT,
        ),
        still_passes=("ssl.certificate-lasts", "ssl.certificate-chain-verifies"),
    ),
    Specimen(
        name="ssl-certificate-common-name-only",
        breaks="ssl.certificate-names-server",
        says="has no subject alternative name",
        **chain(certificates.pem(certificates.leaf(MIDDLE, names=()), MIDDLE.certificate), ROOT),
        still_passes=("ssl.certificate-lasts", "ssl.certificate-chain-verifies"),
    ),
    Specimen(
        name="ssl-chain-without-intermediate",
        breaks="ssl.certificate-chain-verifies",
        says="the certificate of its issuer, “Issuing CA”, is missing",
        **chain(certificates.pem(certificates.leaf(MIDDLE)), ROOT),
        still_passes=("ssl.certificate-lasts", "ssl.certificate-names-server"),
    ),
    Specimen(
        name="ssl-chain-by-no-authority",
        breaks="ssl.certificate-chain-verifies",
        says="“Not a CA” is no authority",
        **chain(certificates.pem(certificates.leaf(NO_AUTHORITY), NO_AUTHORITY.certificate), ROOT),
        still_passes=("ssl.certificate-lasts", "ssl.certificate-names-server"),
    ),
    Specimen(
        name="ssl-chain-with-short-key",
        breaks="ssl.certificate-chain-verifies",
        says="an RSA key of 1024 bits",
        **chain(certificates.pem(certificates.leaf(MIDDLE, rsa_bits=1024), MIDDLE.certificate), ROOT),
        still_passes=("ssl.certificate-lasts", "ssl.certificate-names-server"),
    ),
)

SERVICE = (
    Specimen(
        name="ssl-service-in-clear",
        breaks="ssl.service-encrypted",
        says="not encrypted (jobboard)",
        also=ALL_CLIENT_RULES | {"ssl.plaintext-refused"},
        swaps=(Swap("jobboard/dsn.py", FULL, '"sslmode": "disable",'),),
        **hba("host jobboard jobboard 127.0.0.1/32 scram-sha-256"),
        still_passes=("ssl.hba-authenticates", "ssl.ciphers-strong"),
    ),
    Specimen(
        name="ssl-service-require",
        breaks="ssl.client-checks-authority",
        says="sent its password over TLS to a server with a certificate of an unknown authority",
        also=CHECKS,
        swaps=(Swap("jobboard/dsn.py", FULL, f'"sslmode": "require", {NO_ROOT}'),),
        still_passes=("ssl.client-requires-tls", "ssl.client-requires-tls12", "ssl.service-encrypted"),
    ),
    Specimen(
        name="ssl-service-verify-ca",
        breaks="ssl.client-checks-name",
        says="sent its password over TLS to a server with a certificate for another host",
        also=frozenset({"ssl.engine-verifies-server"}),
        swaps=(Swap("jobboard/dsn.py", FULL, '"sslmode": "verify-ca",'),),
        still_passes=("ssl.client-checks-authority", "ssl.client-checks-validity", "ssl.service-encrypted"),
    ),
    Specimen(
        name="ssl-service-ignores-dates",
        breaks="ssl.client-checks-validity",
        says="sent its password over TLS to a server with an expired certificate; "
        "sent its password over TLS to a server with a certificate that isn't valid yet",
        also=frozenset({"ssl.engine-verifies-server"}),
        **other_service("context.verify_flags |= ssl.VerifyFlags(0x200000)  # X509_V_FLAG_NO_CHECK_TIME"),
        still_passes=("ssl.client-checks-authority", "ssl.client-checks-name", "ssl.client-requires-tls"),
    ),
    Specimen(
        name="ssl-service-prefer",
        breaks="ssl.client-requires-tls",
        says="sent its password in clear to a server with no TLS",
        also=ALL_CLIENT_RULES,
        swaps=(Swap("jobboard/dsn.py", FULL, '"sslmode": "prefer",'),),
        still_passes=SERVER_IS_FINE,
    ),
    Specimen(
        name="ssl-service-falls-back",
        breaks="ssl.client-requires-tls12",
        says="sent its password in clear to a server with TLS 1.1 at most",
        also=ALL_CLIENT_RULES,
        swaps=(Swap("jobboard/dsn.py", FULL, f'"sslmode": "prefer", {NO_ROOT}'),),
        still_passes=SERVER_IS_FINE,
    ),
    Specimen(
        name="ssl-service-old-version",
        breaks="ssl.client-requires-tls12",
        says="sent its password over TLS to a server with TLS 1.1 at most",
        also=frozenset({"ssl.engine-verifies-server"}),
        **other_service(
            'context.set_ciphers("DEFAULT:@SECLEVEL=0"); context.minimum_version = ssl.TLSVersion.TLSv1'
        ),
        still_passes=("ssl.client-checks-authority", "ssl.client-checks-name", "ssl.client-requires-tls"),
    ),
    Specimen(
        name="ssl-engine-of-its-own",
        breaks="ssl.engine-verifies-server",
        says="the engine sent its password over TLS to a server with a certificate of an unknown authority",
        files={
            "jobboard/jobs.py": '"""Jobs that run at night, with an engine of their own."""\n'
            "import os\n\n"
            "import sqlalchemy\n\n\n"
            "def make_engine():\n"
            '    url = os.environ["DATABASE_URL"].replace("postgresql:", "postgresql+psycopg:")\n'
            "    return sqlalchemy.create_engine(\n"
            '        url.partition("?")[0],\n'
            '        connect_args={"sslmode": "require", "sslrootcert": "/nonexistent/root.crt"},\n'
            "    )\n"
        },
        settings={"service.engine": "jobboard.jobs:make_engine"},
        still_passes=("ssl.client-checks-authority", "ssl.service-encrypted"),
    ),
    Specimen(
        name="ssl-redis-unverified",
        breaks="ssl.redis-encrypted",
        says="sent its password over TLS to a server with a certificate of an unknown authority",
        swaps=(
            Swap(
                "jobboard/redis_client.py",
                '"ssl_cert_reqs": "required",\n        "ssl_check_hostname": True,',
                '"ssl_cert_reqs": "none",\n        "ssl_check_hostname": False,',
            ),
        ),
        still_passes=("ssl.client-checks-authority", "ssl.service-encrypted"),
    ),
    Specimen(
        name="ssl-redis-any-host",
        breaks="ssl.redis-encrypted",
        says="sent its password over TLS to a server with a certificate for another host",
        swaps=(
            Swap("jobboard/redis_client.py", '"ssl_check_hostname": True,', '"ssl_check_hostname": False,'),
        ),
        still_passes=("ssl.client-checks-name", "ssl.service-encrypted"),
    ),
)

SPECIMENS = (*SERVER, *CERTIFICATE, *SERVICE)
