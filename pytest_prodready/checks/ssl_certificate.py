"""Judge the server's certificate: its life, its names, and the way to its authority."""

from __future__ import annotations

import ipaddress

from pytest_prodready.catalogue import RULES
from pytest_prodready.findings import Finding
from pytest_prodready.probes.ssl_certificate import ServerCertificate
from pytest_prodready.probes.ssl_chain import CertificateFacts
from pytest_prodready.settings import SslSettings

WEAK_HASHES = ("MD5", "SHA1", "UNKNOWN")
RSA_BITS = 2048
EC_BITS = 224


def certificate_lasts(seen: ServerCertificate, limits: SslSettings) -> Finding:
    """No certificate of the chain is out of its time, or soon will be."""
    rule = RULES["ssl.certificate-lasts"]
    chain = tuple(dict.fromkeys((*seen.sent, *(each for each in seen.way if each.anchor))))
    if not chain:
        return rule.inconclusive(f"{seen.source} holds no certificate")
    told = {
        "limit": f"valid for {limits.certificate_days} days more",
        "limits": {"certificate_days": limits.certificate_days},
    }
    if early := [each for each in chain if each.days_until_valid > 0]:
        begin = early[0].not_before[:10]
        return rule.failed(f"{seen.source}: {early[0].subject} isn't valid before {begin}", **told)
    first = min(chain, key=lambda each: each.days_left)
    end = first.not_after[:10]
    if first.days_left < 0:
        return rule.failed(
            f"{seen.source}: {first.subject} expired {-first.days_left:.1f} days ago ({end})", **told
        )
    summary = f"{seen.source}: {first.subject} expires in {first.days_left:.0f} days ({end})"
    return (rule.failed if first.days_left < limits.certificate_days else rule.passed)(summary, **told)


def certificate_names_server(seen: ServerCertificate) -> Finding:
    """The leaf has the name under which clients know the server."""
    rule = RULES["ssl.certificate-names-server"]
    if not seen.name:
        return rule.inconclusive(
            "it isn't known under which name clients connect: set [postgres] server_name"
        )
    if not seen.sent:
        return rule.inconclusive(f"{seen.source} holds no certificate")
    names = seen.sent[0].names
    limit = f"the name {seen.name}"
    if not names:
        summary = f"{seen.source}: {seen.sent[0].subject} has no subject alternative name at all"
        return rule.failed(summary, limit=limit)
    if any(_matches(name, seen.name) for name in names):
        return rule.passed(f"{seen.source} carries the name {seen.name}", limit=limit)
    summary = f"{seen.source} is for {', '.join(names)}, and clients connect to {seen.name}"
    return rule.failed(summary, limit=limit)


def certificate_chain_verifies(seen: ServerCertificate) -> Finding:
    """The chain leads to the authority, and nothing in it can be forged."""
    rule = RULES["ssl.certificate-chain-verifies"]
    if seen.authority_file is None:
        return rule.inconclusive("no authority is declared to verify the chain against: set [postgres] ca")
    if not seen.way:
        return rule.inconclusive(f"{seen.source} holds no certificate")
    limit = f"verifies against {seen.authority_file}"
    if seen.problem:
        return rule.failed(f"{seen.source}: {seen.problem}", limit=limit)
    if weak := [reason for each in seen.way if (reason := _weakness(each))]:
        return rule.failed(f"{seen.source}: {'; '.join(weak)}", limit=limit)
    way = " ← ".join(f"{each.subject} ({_strength(each)})" for each in seen.way)
    return rule.passed(f"{seen.source}: {way}", limit=limit)


def _weakness(each: CertificateFacts) -> str:
    if each.key_kind == "RSA" and each.key_bits < RSA_BITS:
        return f"{each.subject} has an RSA key of {each.key_bits} bits"
    if each.key_kind == "EC" and each.key_bits < EC_BITS:
        return f"{each.subject} has an EC key of {each.key_bits} bits"
    if each.key_kind in ("DSA", "unknown"):
        return f"{each.subject} has a key of kind {each.key_kind}"
    # Nobody verifies an authority's signature on itself: it is trusted by its file.
    if each.signature_hash in WEAK_HASHES and not each.anchor:
        return f"{each.subject} is signed with {each.signature_hash}"
    return ""


def _strength(each: CertificateFacts) -> str:
    return f"{each.key_kind} {each.key_bits}".removesuffix(" 0")


def _matches(pattern: str, name: str) -> bool:
    """Whether a name of a certificate covers the host (RFC 6125: one star, for the whole leftmost label)."""
    try:
        return ipaddress.ip_address(name) == ipaddress.ip_address(pattern)
    except ValueError:
        pass
    pattern, name = pattern.lower().rstrip("."), name.lower().rstrip(".")
    if not pattern.startswith("*."):
        return pattern == name
    _, _, parent = name.partition(".")
    return parent == pattern[2:] and "." in parent
