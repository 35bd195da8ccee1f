"""A certificate authority of our own, and certificates of every kind a client should accept or refuse."""

from __future__ import annotations

import ipaddress
import os
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

# What a service is told its Postgres is called where that name has to move; nobody else has it (RFC 2606).
POSTGRES_NAME = "postgres.prodready.test"


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate with its chain and its private key, as PEM files."""

    cert_file: Path
    key_file: Path

    def server_context(self) -> ssl.SSLContext:
        """The TLS settings of a server that shows this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.cert_file, self.key_file)
        return context


class Authority:
    """A certificate authority that lives as long as its run."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._ca = trustme.CA(key_type=trustme.KeyType.ECDSA)
        self.ca_file = folder / f"{name}.pem"
        self._ca.cert_pem.write_to_path(self.ca_file)
        self.ca_file.chmod(0o644)

    def issue(
        self,
        folder: Path,
        *names: str,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        file_name: str = "server",
    ) -> Certificate:
        """A certificate for these host names and addresses, written into the folder."""
        now = datetime.now(UTC)
        leaf = self._ca.issue_cert(
            *names,
            not_before=not_before or now - timedelta(hours=1),
            not_after=not_after or now + timedelta(days=365),
            key_type=trustme.KeyType.ECDSA,
        )
        chain = b"".join(pem.bytes() for pem in leaf.cert_chain_pems)
        return _written(folder, file_name, chain, leaf.private_key_pem.bytes())

    def __repr__(self) -> str:
        return f"<Authority {self.ca_file}>"


def self_signed(folder: Path, *names: str, file_name: str = "self-signed") -> Certificate:
    """A certificate that nobody vouches for but itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=365))
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return _written(folder, file_name, certificate.public_bytes(serialization.Encoding.PEM), key_pem)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _written(folder: Path, file_name: str, chain: bytes, key: bytes) -> Certificate:
    made = Certificate(folder / f"{file_name}.crt", folder / f"{file_name}.key")
    made.cert_file.write_bytes(chain)
    made.key_file.unlink(missing_ok=True)
    descriptor = os.open(made.key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key)
    return made
