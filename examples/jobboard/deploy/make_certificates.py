"""Makes the certificates beside this file, and throws their private keys away."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

HERE = Path(__file__).parent
HOST = "db.jobboard.internal"
LIFE = timedelta(days=30 * 365)

Key = ec.EllipticCurvePrivateKey


def make_certificates(folder: Path) -> None:
    """Write ca.pem, the root, and postgres-chain.pem: the server's certificate and its intermediate."""
    root_key, middle_key, leaf_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    root = _authority("Job board root CA", root_key, None, root_key, path_length=1)
    middle = _authority("Job board database CA", middle_key, root, root_key, path_length=0)
    leaf = _server(leaf_key, middle, middle_key)
    _write(folder / "ca.pem", root)
    _write(folder / "postgres-chain.pem", leaf, middle)


def _authority(
    name: str, key: Key, issuer: x509.Certificate | None, issuer_key: Key, path_length: int
) -> x509.Certificate:
    subject = _name(name)
    return (
        _builder(subject, key, issuer.subject if issuer else subject, issuer_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(issuer_key, hashes.SHA256())
    )


def _server(key: Key, issuer: x509.Certificate, issuer_key: Key) -> x509.Certificate:
    return (
        _builder(_name(HOST), key, issuer.subject, issuer_key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


def _builder(subject: x509.Name, key: Key, issuer: x509.Name, issuer_key: Key) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + LIFE)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(authority, critical=False)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write(path: Path, *certificates: x509.Certificate) -> None:
    pem = serialization.Encoding.PEM
    path.write_bytes(b"".join(certificate.public_bytes(pem) for certificate in certificates))


if __name__ == "__main__":
    make_certificates(HERE)
