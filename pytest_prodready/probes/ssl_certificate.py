"""The server's certificate: from the declared file, or as an external server sends it."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from pytest_prodready.environment.database import Database
from pytest_prodready.environment.environment import Environment
from pytest_prodready.errors import ServerError
from pytest_prodready.probes import ssl_chain, ssl_dial, ssl_openssl
from pytest_prodready.probes.ssl_chain import CertificateFacts
from pytest_prodready.settings import PostgresSettings, Settings


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """A server's chain, its name, and the way to the declared authority."""

    source: str  # where the chain comes from, as people say it
    name: str | None  # under which clients know the server
    sent: tuple[CertificateFacts, ...]  # the leaf first
    authority_file: str | None
    way: tuple[CertificateFacts, ...] = ()  # from the leaf to the authority, as far as it goes
    problem: str = ""  # with the way


def certificate(
    database: Database,
    environment: Environment,
    settings: Settings,
    progress: Callable[[str], None],
) -> ServerCertificate:
    """Read the chain and look for the way to the authority."""
    folder = environment.folder  # of prodready.toml
    declared = settings.postgres or PostgresSettings()
    if declared.certificate is not None:
        file = folder / declared.certificate
        progress(f"reading {declared.certificate}")
        chain, source = ssl_chain.load(file, "[postgres] certificate"), str(declared.certificate)
    else:
        progress(f"asking {database.endpoint} for its certificate")
        chain, source = _served(database, declared.server_name), f"{database.endpoint}"
    name = declared.server_name or (database.endpoint.host if database.origin == "external" else None)
    ca_file = folder / declared.ca if declared.ca else None
    return _judged(chain, source, name, ca_file, str(declared.ca) if declared.ca else None)


def _judged(
    chain: tuple[x509.Certificate, ...],
    source: str,
    name: str | None,
    ca_file: Path | None,
    ca_name: str | None,
) -> ServerCertificate:
    now = ssl_chain.now_utc()
    authorities = ssl_chain.load(ca_file, "[postgres] ca", bundle=True) if ca_file else ()
    way, problem = ssl_chain.chain_to(chain, authorities) if authorities else ((), "")
    return ServerCertificate(
        source=source,
        name=name,
        sent=tuple(ssl_chain.facts(each, now) for each in chain),
        authority_file=ca_name,
        way=tuple(ssl_chain.facts(each, now, anchor=each in authorities) for each in way),
        problem=problem,
    )


def _served(database: Database, name: str | None) -> tuple[x509.Certificate, ...]:
    context = ssl_openssl.careless_client("TLS 1.2", "TLS 1.3", "ALL:@SECLEVEL=0")
    try:
        with ssl_dial.tls(database.endpoint, context, name) as connection:
            if connection is not None:
                return ssl_chain.served_by(connection)
            reason = "it declines TLS"
    except ssl.SSLError as failure:
        reason = f"the handshake failed: {failure.reason}"
    raise ServerError("the server shows no certificate", value=database.endpoint, tried=[reason])
