"""Verdicts on what the database server lets happen, from literals."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_prodready.checks import ssl_server as checks
from pytest_prodready.findings import Verdict
from pytest_prodready.probes.ssl_client import Link, Links
from pytest_prodready.probes.ssl_server import (
    Door,
    Handshakes,
    Hba,
    HbaLine,
    Plaintext,
    VersionTried,
)

REFUSED = Door("app", "app", "refused", "28000 no pg_hba.conf entry")
CLOSED = Plaintext((REFUSED, Door("job", "app", "refused")), all_roles=True, tls_opens=True)
STRICT = HbaLine(3, "hostssl", ("app",), ("app",), "10.0.0.0", "255.255.0.0", "scram-sha-256")
MODERN = Handshakes(
    offers_tls=True,
    versions=(
        VersionTried("TLS 1.0", "refused", "unsupported protocol"),
        VersionTried("TLS 1.1", "refused", "unsupported protocol"),
        VersionTried("TLS 1.2", "accepted"),
        VersionTried("TLS 1.3", "accepted"),
    ),
    suites_tried=80,
    lowest_setting="TLSv1.2",
)
LINK = Link("app", local=False, encrypted=True, tls="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384")


def line(kind: str = "hostssl", method: str = "scram-sha-256", **changes: object) -> HbaLine:
    """A line for one database and role, with these changes."""
    return replace(STRICT, kind=kind, method=method, **changes)  # type: ignore[arg-type]


def test_plaintext_refused_everywhere() -> None:
    """All doors closed, and the service's own opens with TLS."""
    finding = checks.plaintext_is_refused(CLOSED)
    assert finding.verdict is Verdict.PASSED
    assert "2 pairs" in finding.summary


@pytest.mark.parametrize(
    ("answer", "says"), [("asked to authenticate", "asked to authenticate"), ("admitted", "let in at once")]
)
def test_plaintext_taken_on(answer: str, says: str) -> None:
    """One open door is enough to fail, and it is named."""
    finding = checks.plaintext_is_refused(replace(CLOSED, doors=(REFUSED, Door("job", "app", answer))))
    assert finding.verdict is Verdict.FAILED
    assert finding.summary == f"1 of 2 pairs of role and database taken on without TLS: job@app ({says})"


@pytest.mark.parametrize("kind", ["host", "hostnossl"])
def test_plaintext_from_another_address(kind: str) -> None:
    """A line for a network that the gate isn't in can't be knocked at, but it can be read."""
    finding = checks.plaintext_is_refused(replace(CLOSED, lines=(line(kind),)))
    assert finding.verdict is Verdict.FAILED
    assert f"line 3 “{kind} app app 10.0.0.0/16 scram-sha-256”" in finding.summary


@pytest.mark.parametrize(
    "lines",
    [
        (line("hostssl"), line("local")),
        (line("host", address="127.0.0.1", netmask="255.255.255.255"),),
        (
            line("hostnossl", "reject", databases=("all",), users=("all",), address="all", netmask=""),
            line("host"),
        ),
    ],
    ids=["no plain lines", "loopback only", "rejected before"],
)
def test_plaintext_lines_that_admit_nobody(lines: tuple[HbaLine, ...]) -> None:
    """Loopback is no network, and a line behind a rejection of all is never reached."""
    assert checks.plaintext_is_refused(replace(CLOSED, lines=lines)).verdict is Verdict.PASSED


def test_plaintext_rejection_of_a_few_is_no_rejection_of_all() -> None:
    """A reject line for one role leaves the others in."""
    lines = (line("hostnossl", "reject"), line("host"))
    assert checks.plaintext_is_refused(replace(CLOSED, lines=lines)).verdict is Verdict.FAILED


@pytest.mark.parametrize(
    "seen",
    [
        replace(CLOSED, doors=()),
        replace(CLOSED, doors=(REFUSED, Door("job", "app", "unclear", "53300 too many clients"))),
        replace(CLOSED, tls_opens=False),
    ],
    ids=["nobody to knock as", "an answer that tells nothing", "refused with TLS as well"],
)
def test_plaintext_can_not_be_told(seen: Plaintext) -> None:
    """Without a clear answer, or a control that opens, nothing is proven."""
    assert checks.plaintext_is_refused(seen).verdict is Verdict.INCONCLUSIVE


def test_plaintext_says_what_it_does_not_know() -> None:
    """Without an admin connection only the service's own role is known; the summary says so."""
    seen = replace(CLOSED, all_roles=False, left_out=3)
    assert "only the service's own" in checks.plaintext_is_refused(seen).summary
    assert "3 more not tried" in checks.plaintext_is_refused(seen).summary


def test_versions_modern() -> None:
    """TLS 1.2 and 1.3 alone are what is wanted."""
    finding = checks.tls12_or_newer(MODERN)
    assert finding.verdict is Verdict.PASSED
    assert finding.summary == "the server accepts TLS 1.2 and TLS 1.3; older ones are refused"


def test_versions_only_the_newest() -> None:
    """A server with TLS 1.3 alone is stricter than asked for."""
    versions = (*(replace(v, outcome="refused") for v in MODERN.versions[:3]), MODERN.versions[3])
    seen = replace(MODERN, versions=versions)
    assert checks.tls12_or_newer(seen).verdict is Verdict.PASSED
    assert checks.ciphers_are_strong(seen).verdict is Verdict.PASSED


def test_versions_old_accepted() -> None:
    """An old version that gets a handshake fails, by name."""
    seen = replace(MODERN, versions=(VersionTried("TLS 1.0", "accepted"), *MODERN.versions[1:]))
    finding = checks.tls12_or_newer(seen)
    assert finding.verdict is Verdict.FAILED
    assert finding.summary == "the server accepts TLS 1.0"


def test_versions_without_tls() -> None:
    """A server that declines TLS fails both rules, and is told how to switch it on."""
    for check in (checks.tls12_or_newer, checks.ciphers_are_strong):
        finding = check(Handshakes(offers_tls=False))
        assert finding.verdict is Verdict.FAILED
        assert "ssl = on" in finding.remedy


UNTRIED = replace(
    MODERN, versions=(VersionTried("TLS 1.0", "can't be tried", "OpenSSL 4"), *MODERN.versions[1:])
)


def test_versions_untried_but_set() -> None:
    """What can't be tried, the server's own setting answers."""
    assert checks.tls12_or_newer(UNTRIED).verdict is Verdict.PASSED
    assert "ssl_min_protocol_version is TLSv1.2" in checks.tls12_or_newer(UNTRIED).summary


@pytest.mark.parametrize("setting", [None, "TLSv1"])
def test_versions_untried(setting: str | None) -> None:
    """What can't be tried, and isn't set either, can't be told."""
    finding = checks.tls12_or_newer(replace(UNTRIED, lowest_setting=setting))
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "TLS 1.0 can't be tried" in finding.summary


def test_versions_none_accepted() -> None:
    """A server that shakes hands with nobody proves nothing."""
    seen = replace(MODERN, versions=tuple(replace(each, outcome="refused") for each in MODERN.versions))
    assert checks.tls12_or_newer(seen).verdict is Verdict.INCONCLUSIVE
    assert checks.ciphers_are_strong(seen).verdict is Verdict.INCONCLUSIVE


def test_suites() -> None:
    """None accepted passes; some accepted fail, and are named and counted."""
    assert checks.ciphers_are_strong(MODERN).verdict is Verdict.PASSED
    weak = tuple(f"WEAK-{number}" for number in range(6))
    finding = checks.ciphers_are_strong(replace(MODERN, weak_suites=weak))
    assert finding.verdict is Verdict.FAILED
    assert finding.summary.endswith("6 of 80 weak cipher suites: WEAK-0, WEAK-1, WEAK-2, WEAK-3 and 2 more")


def test_suites_none_to_try() -> None:
    """An OpenSSL that knows no weak suite can't try any."""
    assert checks.ciphers_are_strong(replace(MODERN, suites_tried=0)).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    "good", [line(), line("local", "peer"), line("hostssl", "cert"), line("host", "reject")]
)
def test_hba_methods_that_prove_something(good: HbaLine) -> None:
    """SCRAM, certificates, peer on a socket and rejection are fine."""
    assert checks.hba_authenticates(Hba((good,))).verdict is Verdict.PASSED


@pytest.mark.parametrize(
    "weak",
    [
        line("hostssl", "trust"),
        line("host", "password"),
        line("hostssl", "md5"),
        line("host", "ident"),
        line("local", "trust"),
    ],
)
def test_hba_methods_that_prove_nothing(weak: HbaLine) -> None:
    """One weak line among good ones fails, with its number and text."""
    finding = checks.hba_authenticates(Hba((STRICT, weak)))
    assert finding.verdict is Verdict.FAILED
    assert f"line 3 “{weak.kind} app app 10.0.0.0/16 {weak.method}”" in finding.summary


@pytest.mark.parametrize(
    ("address", "netmask"),
    [("all", ""), ("0.0.0.0", "0.0.0.0"), ("::", "::")],  # noqa: S104
    ids=["all", "IPv4", "IPv6"],
)
def test_hba_open_to_everybody(address: str, netmask: str) -> None:
    """All databases, all users, all addresses: one line of that is too many."""
    wide = line(databases=("all",), users=("all",), address=address, netmask=netmask)
    finding = checks.hba_is_narrow(Hba((STRICT, wide)))
    assert finding.verdict is Verdict.FAILED
    assert "1 line open to everybody" in finding.summary


@pytest.mark.parametrize(
    "narrow",
    [
        line(databases=("all",), users=("all",)),
        line(databases=("all",), address="all", netmask=""),
        line(users=("all",), address="all", netmask=""),
        line("local", databases=("all",), users=("all",), address="", netmask=""),
        line("hostnossl", "reject", databases=("all",), users=("all",), address="all", netmask=""),
    ],
    ids=["a network", "a role", "a database", "a socket", "a rejection"],
)
def test_hba_narrowed_by_one_thing(narrow: HbaLine) -> None:
    """A line that is narrowed by anything passes."""
    assert checks.hba_is_narrow(Hba((narrow,))).verdict is Verdict.PASSED


@pytest.mark.parametrize(
    "seen", [Hba(()), Hba((STRICT, HbaLine(4, "", (), (), "", "", "", "invalid CIDR mask")))]
)
def test_hba_that_can_not_be_read(seen: Hba) -> None:
    """No lines, or one that the server can't parse, prove nothing."""
    assert checks.hba_authenticates(seen).verdict is Verdict.INCONCLUSIVE
    assert checks.hba_is_narrow(seen).verdict is Verdict.INCONCLUSIVE


def test_links_encrypted() -> None:
    """All encrypted, by network: passed."""
    finding = checks.service_is_encrypted(Links((LINK, LINK), watched_s=0.5))
    assert finding.verdict is Verdict.PASSED
    assert finding.summary == "2 connections of the service, all encrypted with TLSv1.3"


def test_links_one_in_clear() -> None:
    """One connection in clear fails, and whose it is."""
    plain = Link("worker", local=False, encrypted=False, tls="", cipher="")
    finding = checks.service_is_encrypted(Links((LINK, plain), watched_s=0.5))
    assert finding.verdict is Verdict.FAILED
    assert finding.summary == "1 of 2 connections of the service not encrypted (worker)"


def test_links_with_old_tls() -> None:
    """An old version of TLS is as bad."""
    seen = Links((replace(LINK, tls="TLSv1.1"),), watched_s=0.5)
    assert checks.service_is_encrypted(seen).verdict is Verdict.FAILED


@pytest.mark.parametrize(
    "links", [(), (replace(LINK, local=True, encrypted=False),)], ids=["none", "sockets"]
)
def test_links_that_prove_nothing(links: tuple[Link, ...]) -> None:
    """Without a connection by network there is nothing to judge."""
    assert checks.service_is_encrypted(Links(links, watched_s=5.0)).verdict is Verdict.INCONCLUSIVE
