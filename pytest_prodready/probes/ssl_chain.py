"""What a certificate says of itself, and whether a chain leads to an authority.

The rules are those that OpenSSL, and so libpq, applies to a private authority. The stricter ones of the
public web (name constraints, key identifiers, extended key usage of roots) would refuse chains that every
client of a database accepts.
"""

from __future__ import annotations

import re
import ssl
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pytest_prodready.errors import ConfigError

E = TypeVar("E", bound=x509.ExtensionType)
PEM_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.S)
LONGEST_CHAIN = 10
SERVER_USES = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """One certificate: who, by whom, from when to when, how strong."""

    subject: str
    issuer: str
    not_before: str  # ISO 8601, UTC
    not_after: str
    days_until_valid: float  # negative: it already is
    days_left: float  # negative: it has expired
    key_kind: str
    key_bits: int
    signature_hash: str  # empty where the algorithm has none of its own (Ed25519)
    names: tuple[str, ...]  # subject alternative names, DNS and IP
    self_signed: bool
    anchor: bool = False  # it comes from the authority's file


def facts(certificate: x509.Certificate, now: datetime, *, anchor: bool = False) -> CertificateFacts:
    """What a certificate says of itself, at this time."""
    kind, bits = _key(certificate)
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return CertificateFacts(
        subject=_short(certificate.subject),
        issuer=_short(certificate.issuer),
        not_before=begin.isoformat(),
        not_after=end.isoformat(),
        days_until_valid=(begin - now).total_seconds() / 86400,
        days_left=(end - now).total_seconds() / 86400,
        key_kind=kind,
        key_bits=bits,
        signature_hash=_hash(certificate),
        names=_names(certificate),
        self_signed=_issued_by(certificate, certificate),
        anchor=anchor,
    )


def chain_to(
    served: Sequence[x509.Certificate], authorities: Sequence[x509.Certificate]
) -> tuple[tuple[x509.Certificate, ...], str]:
    """The way from the first certificate to one of the authorities, and what is wrong with it."""
    leaf, *others = served
    way, problem = [leaf], _leaf_problem(leaf)
    while not problem and way[-1] not in authorities and len(way) < LONGEST_CHAIN:
        issuers = [each for each in (*authorities, *others) if each not in way]
        found = next((each for each in issuers if _issued_by(way[-1], each)), None)
        if found is None:
            return tuple(way), _broken(way[-1], issuers)
        problem = _issuer_problem(found, between=len(way) - 1)
        way.append(found)
    return tuple(way), problem


def load(file: Path, key: str, *, bundle: bool = False) -> tuple[x509.Certificate, ...]:
    """All certificates of a PEM file; in a bundle of authorities, those that can't be parsed are left out."""
    try:
        blocks = PEM_BLOCK.findall(file.read_bytes())
        found = tuple(each for block in blocks if (each := _parsed(block, bundle)))
    except (OSError, ValueError) as failure:
        reason = failure.strerror if isinstance(failure, OSError) else "it isn't a valid certificate"
        raise _unreadable(file, key, str(reason)) from None
    if not found:
        raise _unreadable(file, key, "it holds no PEM certificate")
    return found


def _parsed(block: bytes, bundle: bool) -> x509.Certificate | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old roots have odd serial numbers
            return x509.load_pem_x509_certificate(block)
    except ValueError:
        if bundle:
            return None
        raise


def _unreadable(file: Path, key: str, reason: str) -> ConfigError:
    return ConfigError(
        f"the certificate file can't be used: {reason}",
        value=file,
        source=key,
        remedy="give a PEM file, relative to the folder of prodready.toml",
    )


def served_by(connection: ssl.SSLSocket) -> tuple[x509.Certificate, ...]:
    """The chain that a server sent; only its first certificate where this Python can't tell the others."""
    getter = getattr(connection, "get_unverified_chain", None)
    if getter is None:  # public since Python 3.13
        hidden = getattr(connection, "_sslobj", None)
        getter = getattr(hidden, "get_unverified_chain", None)
    found = getter() if getter else None
    if not found:
        found = [connection.getpeercert(binary_form=True)]
    return tuple(x509.load_der_x509_certificate(_der(each)) for each in found if each)


def now_utc() -> datetime:
    """The time that certificates are held against."""
    return datetime.now(UTC)


def _der(each: object) -> bytes:
    if isinstance(each, bytes):
        return each
    encoded = each.public_bytes(ssl._ssl.ENCODING_DER)  # type: ignore[attr-defined]
    return bytes(encoded)


def _issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _leaf_problem(leaf: x509.Certificate) -> str:
    uses = _extension(leaf, x509.ExtendedKeyUsage)
    if uses is not None and not SERVER_USES & set(uses):
        return f"{_short(leaf.subject)} may not be used by a server (extended key usage)"
    return ""


def _issuer_problem(issuer: x509.Certificate, between: int) -> str:
    """Why this certificate may not sign another one; `between` counts the intermediates below it."""
    name = _short(issuer.subject)
    basic = _extension(issuer, x509.BasicConstraints)
    usage = _extension(issuer, x509.KeyUsage)
    old_root = issuer.version is x509.Version.v1 and issuer.subject == issuer.issuer
    if basic is None and not old_root:
        return f"{name} is no authority (no basic constraints)"
    if basic is not None and not basic.ca:
        return f"{name} is no authority (CA:FALSE)"
    if basic is not None and basic.path_length is not None and basic.path_length < between:
        return f"{name} allows {basic.path_length} intermediates below it, and there are {between}"
    if usage is not None and not usage.key_cert_sign:
        return f"{name} may not sign certificates (key usage)"
    return ""


def _broken(last: x509.Certificate, known: Sequence[x509.Certificate]) -> str:
    name, issuer = _short(last.subject), _short(last.issuer)
    if last.subject == last.issuer:
        return f"{name} is self-signed and not in the authority's file"
    if any(each.subject == last.issuer for each in known):
        return f"{issuer} has another key than the one that signed {name}"
    return f"the chain ends at {name}: the certificate of its issuer, {issuer}, is missing"


def _extension(certificate: x509.Certificate, kind: type[E]) -> E | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except (x509.ExtensionNotFound, ValueError):
        return None


def _key(certificate: x509.Certificate) -> tuple[str, int]:
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return "unknown", 0
    if isinstance(key, rsa.RSAPublicKey):
        return "RSA", key.key_size
    if isinstance(key, ec.EllipticCurvePublicKey):
        return "EC", key.curve.key_size
    if isinstance(key, dsa.DSAPublicKey):
        return "DSA", key.key_size
    return type(key).__name__.lstrip("_").removesuffix("PublicKey"), 0


def _hash(certificate: x509.Certificate) -> str:
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return "unknown"
    return algorithm.name.upper() if algorithm else ""


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    return (
        *names.get_values_for_type(x509.DNSName),
        *(str(address) for address in names.get_values_for_type(x509.IPAddress)),
    )


def _short(name: x509.Name) -> str:
    """A name as people say it: its common name, else all of it."""
    common = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return f"“{common[0].value!s}”" if common else f"“{name.rfc4514_string()}”"
