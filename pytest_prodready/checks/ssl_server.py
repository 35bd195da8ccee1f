"""Judge what the database server lets happen, and whether the service's connections are encrypted."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from pytest_prodready.catalogue import RULES
from pytest_prodready.findings import Finding
from pytest_prodready.probes import ssl_server
from pytest_prodready.probes.ssl_client import Links
from pytest_prodready.probes.ssl_server import Door, Handshakes, Hba, HbaLine, Plaintext

OLD = ("TLS 1.0", "TLS 1.1")
SAFE_MINIMUM = ("TLSv1.2", "TLSv1.3")
OLD_IN_PG_STAT_SSL = ("SSLv2", "SSLv3", "TLSv1", "TLSv1.1")
WEAK_METHODS = ("trust", "password", "md5", "ident")
ANYWHERE = ("all", "0.0.0.0", "::")  # noqa: S104 (compared with, not listened on)
NAMED = 4  # of a long list, before "and n more"


def plaintext_is_refused(seen: Plaintext) -> Finding:
    """A start-up message without TLS is refused before anything is asked."""
    rule = RULES["ssl.plaintext-refused"]
    if not seen.doors:
        return rule.inconclusive("no role and database is known to knock as")
    tried = f"{_many(len(seen.doors), 'pair')} of role and database"
    opened = [door for door in seen.doors if door.answer in (ssl_server.ADMITTED, ssl_server.ASKED)]
    if opened:
        summary = f"{len(opened)} of {tried} taken on without TLS: {_listed(map(_door, opened))}"
        return rule.failed(summary, limit="refused before authentication")
    if lines := _plain_lines(seen.lines):
        summary = (
            f"pg_hba.conf takes connections without TLS from other addresses: {_listed(map(_line, lines))}"
        )
        return rule.failed(summary, limit="refused before authentication")
    unclear = [door for door in seen.doors if door.answer == ssl_server.UNCLEAR]
    if unclear:
        reasons = _listed(f"{_at(door)}: {door.reason}" for door in unclear)
        return rule.inconclusive(f"{len(unclear)} of {tried} got an answer that tells nothing ({reasons})")
    if not seen.tls_opens:
        return rule.inconclusive(
            f"{_at(seen.doors[0])} is refused with TLS as well, so the refusals without TLS prove nothing"
        )
    known = "" if seen.all_roles else " (only the service's own are known without [postgres] admin_url)"
    left = f"; {seen.left_out} more not tried" if seen.left_out else ""
    return rule.passed(f"{tried} knocked without TLS, all refused{known}{left}")


def tls12_or_newer(seen: Handshakes) -> Finding:
    """Old protocol versions don't get a handshake."""
    rule = RULES["ssl.tls12-or-newer"]
    if not seen.offers_tls:
        return rule.failed("the server declines TLS altogether", change=_SWITCH_TLS_ON)
    accepted = [tried.version for tried in seen.versions if tried.outcome == ssl_server.ACCEPTED]
    untried = [tried for tried in seen.versions if tried.outcome == ssl_server.UNTRIED]
    if old := [version for version in accepted if version in OLD]:
        return rule.failed(f"the server accepts {' and '.join(old)}", limit="TLS 1.2 or newer")
    if not accepted:
        return rule.inconclusive("no handshake succeeded in any version of TLS, so nothing can be told")
    if untried and seen.lowest_setting not in SAFE_MINIMUM:
        setting = seen.lowest_setting or "unknown"
        return rule.inconclusive(
            f"{untried[0].version} can't be tried here ({untried[0].reason}), "
            f"and ssl_min_protocol_version is {setting}"
        )
    how = f"ssl_min_protocol_version is {seen.lowest_setting}" if untried else "older ones are refused"
    return rule.passed(f"the server accepts {' and '.join(accepted)}; {how}")


def ciphers_are_strong(seen: Handshakes) -> Finding:
    """Suites outside Mozilla's intermediate profile don't get a handshake."""
    rule = RULES["ssl.ciphers-strong"]
    if not seen.offers_tls:
        return rule.failed("the server declines TLS altogether", change=_SWITCH_TLS_ON)
    if seen.weak_suites:
        summary = (
            f"the server accepts {len(seen.weak_suites)} of {seen.suites_tried} weak cipher suites: "
            f"{_listed(seen.weak_suites)}"
        )
        return rule.failed(summary, limit="Mozilla's intermediate profile")
    if not seen.suites_tried or not any(each.outcome == ssl_server.ACCEPTED for each in seen.versions):
        return rule.inconclusive("no handshake succeeded with any suite, so nothing can be told")
    return rule.passed(f"{seen.suites_tried} weak cipher suites were offered, none was accepted")


def hba_authenticates(seen: Hba) -> Finding:
    """Each line asks for something that can't be read or replayed."""
    rule = RULES["ssl.hba-authenticates"]
    weak = [line for line in seen.lines if _is_weak(line)]
    if weak:
        return rule.failed(f"{_count(weak)} weak: {_listed(map(_line, weak))}")
    if unreadable := _unreadable(seen):
        return rule.inconclusive(unreadable)
    methods = sorted({line.method for line in seen.lines})
    return rule.passed(f"{_count(seen.lines)} in pg_hba.conf, by {', '.join(methods)}")


def hba_is_narrow(seen: Hba) -> Finding:
    """No line is for everybody, everything and everywhere at once."""
    rule = RULES["ssl.hba-narrow"]
    wide = [line for line in seen.lines if _is_wide(line)]
    if wide:
        return rule.failed(f"{_count(wide)} open to everybody: {_listed(map(_line, wide))}")
    if unreadable := _unreadable(seen):
        return rule.inconclusive(unreadable)
    return rule.passed(f"{_count(seen.lines)} in pg_hba.conf, each narrowed by database, role or address")


def service_is_encrypted(seen: Links) -> Finding:
    """Every backend of the service has TLS, and not an old version of it."""
    rule = RULES["ssl.service-encrypted"]
    remote = [link for link in seen.links if not link.local]
    if not remote:
        what = f"{len(seen.links)} by a Unix socket and none by network" if seen.links else "none"
        return rule.inconclusive(f"connections of the service within {seen.watched_s:.1f} s: {what}")
    links = _many(len(remote), "connection")
    plain = [link for link in remote if not link.encrypted]
    if plain:
        who = _listed(sorted({link.application_name or "unnamed" for link in plain}))
        return rule.failed(f"{len(plain)} of {links} of the service not encrypted ({who})")
    old = [link for link in remote if link.tls in OLD_IN_PG_STAT_SSL]
    if old:
        return rule.failed(f"{len(old)} of {links} of the service with {old[0].tls}")
    versions = " and ".join(sorted({link.tls for link in remote}))
    return rule.passed(f"{links} of the service, all encrypted with {versions}")


_SWITCH_TLS_ON = "Set ssl = on with ssl_cert_file and ssl_key_file in postgresql.conf."


def _is_weak(line: HbaLine) -> bool:
    return line.method in WEAK_METHODS if line.kind.startswith("host") else line.method == "trust"


def _is_wide(line: HbaLine) -> bool:
    everybody = "all" in line.databases and "all" in line.users
    return line.kind.startswith("host") and line.method != "reject" and everybody and _anywhere(line)


def _anywhere(line: HbaLine) -> bool:
    return line.address in ANYWHERE and line.netmask in ("", *ANYWHERE)


def _plain_lines(lines: Sequence[HbaLine]) -> list[HbaLine]:
    """Lines that let connections without TLS in, up to one that rejects them all; loopback is no network."""
    found = []
    for line in lines:
        if line.kind not in ("host", "hostnossl", "hostnogssenc"):
            continue
        if line.method == "reject":
            if "all" in line.databases and "all" in line.users and _anywhere(line):
                break
            continue
        if not _is_loopback(line.address):
            found.append(line)
    return found


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address in ("localhost", "samehost")


def _unreadable(seen: Hba) -> str:
    if not seen.lines:
        return "pg_hba.conf has no line but the gate's own"
    broken = [line for line in seen.lines if line.error]
    return f"line {broken[0].line} of pg_hba.conf can't be parsed: {broken[0].error}" if broken else ""


def _door(door: Door) -> str:
    return f"{_at(door)} ({'let in at once' if door.answer == ssl_server.ADMITTED else door.answer})"


def _at(door: Door) -> str:
    return f"{door.role}@{door.database}"


def _line(line: HbaLine) -> str:
    address = f"{line.address}/{_bits(line.netmask)}" if line.netmask else line.address
    words = (line.kind, ",".join(line.databases), ",".join(line.users), address, line.method)
    return f"line {line.line} “{' '.join(word for word in words if word)}”"


def _bits(netmask: str) -> int | str:
    try:
        return int(ipaddress.ip_address(netmask)).bit_count()
    except ValueError:
        return netmask


def _count(lines: Sequence[HbaLine]) -> str:
    return _many(len(lines), "line")


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _listed(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - NAMED} more" if len(listed) > NAMED else ""
    return ", ".join(listed[:NAMED]) + more
