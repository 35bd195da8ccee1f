"""Certificates with something wrong, made anew for each run of the tests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

NAME = "db.jobboard.internal"
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Issuer:
    """A certificate with the key that may sign others."""

    certificate: x509.Certificate
    key: Key

    @property
    def pem(self) -> str:
        """The certificate as text."""
        return pem(self.certificate)


def pem(*certificates: x509.Certificate) -> str:
    """A chain as the text of a file."""
    return "".join(each.public_bytes(serialization.Encoding.PEM).decode() for each in certificates)


def authority(name: str, issuer: Issuer | None = None, *, ca: bool = True) -> Issuer:
    """A certificate that signs others; `ca=False` says that it may not."""
    key = ec.generate_private_key(ec.SECP256R1())
    made = _certificate(name, key, issuer, 3650, x509.BasicConstraints(ca=ca, path_length=None), ())
    return Issuer(made, key)


def leaf(
    issuer: Issuer, *, days: float = 365, names: tuple[str, ...] = (NAME,), rsa_bits: int | None = None
) -> x509.Certificate:
    """A server's certificate that ends in so many days."""
    key: Key = ec.generate_private_key(ec.SECP256R1())
    if rsa_bits:
        key = rsa.generate_private_key(public_exponent=65537, key_size=rsa_bits)
    return _certificate(NAME, key, issuer, days, x509.BasicConstraints(ca=False, path_length=None), names)


def _certificate(  # noqa: PLR0917
    name: str,
    key: Key,
    issuer: Issuer | None,
    days: float,
    constraints: x509.BasicConstraints,
    names: tuple[str, ...],
) -> x509.Certificate:
    now = datetime.now(UTC)
    subject = _name(name)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=60))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(constraints, critical=True)
    )
    if names:
        alternatives = x509.SubjectAlternativeName([x509.DNSName(each) for each in names])
        builder = builder.add_extension(alternatives, critical=False)
    return builder.sign(issuer.key if issuer else key, hashes.SHA256())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
