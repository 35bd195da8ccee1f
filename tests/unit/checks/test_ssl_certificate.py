"""Verdicts on the server's certificate, from literals."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_prodready.checks import ssl_certificate as checks
from pytest_prodready.findings import Verdict
from pytest_prodready.probes.ssl_certificate import ServerCertificate
from pytest_prodready.probes.ssl_chain import CertificateFacts
from pytest_prodready.settings import SslSettings

LIMITS = SslSettings(certificate_days=21)
LEAF = CertificateFacts(
    subject="“db.example.com”",
    issuer="“Issuing CA”",
    not_before="2026-01-01T00:00:00+00:00",
    not_after="2027-01-01T00:00:00+00:00",
    days_until_valid=-100.0,
    days_left=90.0,
    key_kind="EC",
    key_bits=256,
    signature_hash="SHA256",
    names=("db.example.com",),
    self_signed=False,
)
MIDDLE = replace(LEAF, subject="“Issuing CA”", issuer="“Root CA”", names=())
ROOT = replace(MIDDLE, subject="“Root CA”", self_signed=True, anchor=True)
GOOD = ServerCertificate("chain.pem", "db.example.com", (LEAF, MIDDLE), "ca.pem", (LEAF, MIDDLE, ROOT))


def test_life() -> None:
    """Long enough passes, and the summary names the certificate that ends first."""
    finding = checks.certificate_lasts(GOOD, LIMITS)
    assert finding.verdict is Verdict.PASSED
    assert finding.summary == "chain.pem: “db.example.com” expires in 90 days (2027-01-01)"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"days_left": 20.0}, "expires in 20 days"),
        ({"days_left": -2.5}, "expired 2.5 days ago"),
        ({"days_until_valid": 3.0}, "isn't valid before 2026-01-01"),
    ],
)
@pytest.mark.parametrize("which", [0, 1])
def test_life_over_or_nearly(changes: dict[str, float], says: str, which: int) -> None:
    """Too little life in the leaf or in an intermediate fails, with the days."""
    sent = [LEAF, MIDDLE]
    sent[which] = replace(sent[which], **changes)  # type: ignore[arg-type]
    finding = checks.certificate_lasts(replace(GOOD, sent=tuple(sent)), LIMITS)
    assert finding.verdict is Verdict.FAILED
    assert says in finding.summary
    assert finding.limits == {"certificate_days": 21}


def test_life_of_the_authority() -> None:
    """An authority that ends takes every certificate with it."""
    way = (LEAF, MIDDLE, replace(ROOT, days_left=1.0))
    assert checks.certificate_lasts(replace(GOOD, way=way), LIMITS).verdict is Verdict.FAILED


def test_life_of_nothing() -> None:
    """Without a certificate there is nothing to judge."""
    seen = replace(GOOD, sent=(), way=())
    assert checks.certificate_lasts(seen, LIMITS).verdict is Verdict.INCONCLUSIVE
    assert checks.certificate_names_server(seen).verdict is Verdict.INCONCLUSIVE
    assert checks.certificate_chain_verifies(seen).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("names", "name"),
    [
        (("db.example.com",), "db.example.com"),
        (("other", "DB.example.COM"), "db.Example.com"),
        (("*.example.com",), "db.example.com"),
        (("10.0.0.5",), "10.0.0.5"),
        (("2001:db8::1",), "2001:DB8:0::1"),
    ],
)
def test_names_that_match(names: tuple[str, ...], name: str) -> None:
    """Names are compared without case; a star stands for one label; addresses by value."""
    seen = replace(GOOD, sent=(replace(LEAF, names=names), MIDDLE), name=name)
    assert checks.certificate_names_server(seen).verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("names", "name"),
    [
        (("db.example.com",), "db2.example.com"),
        (("*.example.com",), "a.db.example.com"),
        (("*.example.com",), "example.com"),
        (("*.com",), "example.com"),
        (("d*.example.com",), "db.example.com"),
        (("10.0.0.5",), "10.0.0.6"),
        ((), "db.example.com"),
    ],
)
def test_names_that_do_not_match(names: tuple[str, ...], name: str) -> None:
    """Another host, a star for more or less than a label, a star for a top-level domain, no name at all."""
    seen = replace(GOOD, sent=(replace(LEAF, names=names), MIDDLE), name=name)
    finding = checks.certificate_names_server(seen)
    assert finding.verdict is Verdict.FAILED
    assert finding.limit == f"the name {name}"


def test_name_not_declared() -> None:
    """Without the name that clients use, nothing can be matched."""
    finding = checks.certificate_names_server(replace(GOOD, name=None))
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "server_name" in finding.summary


def test_chain() -> None:
    """A way to the authority with strong keys passes, and is shown."""
    finding = checks.certificate_chain_verifies(GOOD)
    assert finding.verdict is Verdict.PASSED
    assert "“db.example.com” (EC 256) ← “Issuing CA” (EC 256) ← “Root CA” (EC 256)" in finding.summary


def test_chain_broken() -> None:
    """What is wrong with the way is said."""
    seen = replace(GOOD, way=(LEAF,), problem="the chain ends at “db.example.com”")
    finding = checks.certificate_chain_verifies(seen)
    assert finding.verdict is Verdict.FAILED
    assert "the chain ends at" in finding.summary


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"signature_hash": "SHA1"}, "signed with SHA1"),
        ({"signature_hash": "MD5"}, "signed with MD5"),
        ({"key_kind": "RSA", "key_bits": 1024}, "an RSA key of 1024 bits"),
        ({"key_kind": "EC", "key_bits": 192}, "an EC key of 192 bits"),
        ({"key_kind": "DSA", "key_bits": 2048}, "a key of kind DSA"),
    ],
)
def test_chain_weak(changes: dict[str, object], says: str) -> None:
    """A weak link in the chain fails, by name."""
    weak = replace(MIDDLE, **changes)  # type: ignore[arg-type]
    finding = checks.certificate_chain_verifies(replace(GOOD, way=(LEAF, weak, ROOT)))
    assert finding.verdict is Verdict.FAILED
    assert f"“Issuing CA” {'is' if 'signed' in says else 'has'} {says}" in finding.summary


@pytest.mark.parametrize(
    "fine",
    [
        {"key_kind": "RSA", "key_bits": 2048},
        {"key_kind": "Ed25519", "key_bits": 0, "signature_hash": ""},
        {"signature_hash": "SHA512"},
    ],
)
def test_chain_strong_in_another_way(fine: dict[str, object]) -> None:
    """RSA of 2048 bits and Ed25519 are as good."""
    other = replace(LEAF, **fine)  # type: ignore[arg-type]
    assert checks.certificate_chain_verifies(replace(GOOD, way=(other, ROOT))).verdict is Verdict.PASSED


def test_chain_to_an_old_root() -> None:
    """A root's signature on itself is verified by nobody: SHA-1 there is no weakness."""
    old = replace(ROOT, signature_hash="SHA1")
    assert checks.certificate_chain_verifies(replace(GOOD, way=(LEAF, old))).verdict is Verdict.PASSED


def test_chain_without_authority() -> None:
    """Without a declared authority, nothing can be verified."""
    finding = checks.certificate_chain_verifies(replace(GOOD, authority_file=None, way=()))
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "[postgres] ca" in finding.summary
