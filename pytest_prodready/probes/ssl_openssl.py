"""What this Python's own OpenSSL can speak, and TLS settings that allow even what nobody should accept."""

from __future__ import annotations

import ssl
import warnings
from contextlib import suppress
from functools import cache

import trustme

VERSIONS = {
    "TLS 1.0": ssl.TLSVersion.TLSv1,
    "TLS 1.1": ssl.TLSVersion.TLSv1_1,
    "TLS 1.2": ssl.TLSVersion.TLSv1_2,
    "TLS 1.3": ssl.TLSVersion.TLSv1_3,
}
OLD_VERSIONS = ("TLS 1.0", "TLS 1.1")

# Mozilla's intermediate profile for TLS 1.2: forward secrecy and authenticated encryption.
STRONG_SUITES = frozenset(
    {
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-RSA-CHACHA20-POLY1305",
        "DHE-RSA-AES128-GCM-SHA256",
        "DHE-RSA-AES256-GCM-SHA384",
        "DHE-RSA-CHACHA20-POLY1305",
    }
)
EVERY_SUITE = "ALL:COMPLEMENTOFALL:@SECLEVEL=0"


def limit_versions(context: ssl.SSLContext, lowest: str, highest: str) -> None:
    """Let a context speak these versions only; Python warns of the old ones, which is the point here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.maximum_version = VERSIONS[highest]
        context.minimum_version = VERSIONS[lowest]


def careless_client(lowest: str, highest: str, suites: str = EVERY_SUITE) -> ssl.SSLContext:
    """A client that verifies nothing and takes every suite, to see what a server is willing to do."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers(suites)
    limit_versions(context, lowest, highest)
    return context


@cache
def weak_suites() -> tuple[str, ...]:
    """Suites for TLS 1.2 outside Mozilla's intermediate profile that can be tried without a shared key."""
    context = careless_client("TLS 1.2", "TLS 1.2")
    names = [str(suite["name"]) for suite in context.get_ciphers() if suite["protocol"] != "TLSv1.3"]
    needs_secret = ("PSK", "SRP")
    return tuple(n for n in names if n not in STRONG_SUITES and not any(word in n for word in needs_secret))


@cache
def speaks(version: str) -> bool:
    """Whether this OpenSSL can still shake hands in a version; tried with itself, without a network."""
    try:
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("localhost").configure_cert(server)
        server.set_ciphers(EVERY_SUITE)
        limit_versions(server, version, version)
        return _shake_hands(server, careless_client(version, version))
    except (ssl.SSLError, ValueError):
        return False


def _shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> bool:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    waiting = [
        client.wrap_bio(to_client, to_server),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(8):  # flights; TLS needs no more than four
        for end in list(waiting):
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
                waiting.remove(end)
    return not waiting
