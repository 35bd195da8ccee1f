"""What an impostor can pose as: one server that deserves trust, and seven that don't."""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from pytest_prodready.environment.certificates import Authority, Certificate, self_signed
from pytest_prodready.probes import ssl_openssl
from pytest_prodready.probes.impostor import Disguise

OTHER_HOST = "another-host.prodready.invalid"
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
ALPN = ["postgresql"]  # PostgreSQL 17's clients insist on it when they start with TLS at once


class Case(StrEnum):
    """Each disguise, in the words that end "a server with …"."""

    CONTROL = "a good certificate"
    UNKNOWN_AUTHORITY = "a certificate of an unknown authority"
    SELF_SIGNED = "a self-signed certificate"
    OTHER_NAME = "a certificate for another host"
    EXPIRED = "an expired certificate"
    NOT_YET_VALID = "a certificate that isn't valid yet"
    NO_TLS = "no TLS"
    OLD_TLS = "TLS 1.1 at most"


POSTGRES_CASES = tuple(Case)
REDIS_CASES = (Case.CONTROL, Case.UNKNOWN_AUTHORITY, Case.OTHER_NAME, Case.NO_TLS)


def postgres_cases() -> tuple[Case, ...]:
    """The cases that this machine's OpenSSL can play."""
    return tuple(case for case in POSTGRES_CASES if case is not Case.OLD_TLS or ssl_openssl.speaks("TLS 1.1"))


@dataclass(frozen=True, slots=True)
class Wardrobe:
    """Makes the disguises, with certificates for the names under which clients know the real server."""

    authority: Authority
    folder: Path
    names: tuple[str, ...]

    def disguise(self, case: Case) -> Disguise:
        """The impostor in this case."""
        if case is Case.NO_TLS:
            return Disguise(case, None)
        context = _context(self._certificate(case))
        if case is Case.OLD_TLS:
            context.set_ciphers(ssl_openssl.EVERY_SUITE)
            ssl_openssl.limit_versions(context, "TLS 1.0", "TLS 1.1")
        return Disguise(case, context)

    def _certificate(self, case: Case) -> Certificate:
        now, name = datetime.now(UTC), case.name.lower()
        if case is Case.SELF_SIGNED:
            return self_signed(self.folder, *self.names, file_name=name)
        if case is Case.UNKNOWN_AUTHORITY:
            unknown = Authority(self.folder, name="unknown-authority")
            return unknown.issue(self.folder, *self.names, file_name=name)
        if case is Case.OTHER_NAME:
            return self.authority.issue(self.folder, OTHER_HOST, file_name=name)
        lives = {
            Case.EXPIRED: (now - timedelta(days=30), now - timedelta(days=1)),
            Case.NOT_YET_VALID: (now + timedelta(days=1), now + timedelta(days=30)),
        }
        begin, end = lives.get(case, (None, None))
        return self.authority.issue(self.folder, *self.names, not_before=begin, not_after=end, file_name=name)


@contextmanager
def wardrobe(authority: Authority, hosts: Sequence[str]) -> Iterator[Wardrobe]:
    """A wardrobe whose keys are deleted at the end of the block."""
    names = tuple(dict.fromkeys((*hosts, *LOOPBACK_NAMES)))
    # Beside the authority: whoever sweeps up after a run that was killed takes these along.
    with tempfile.TemporaryDirectory(prefix="impostor-", dir=authority.ca_file.parent) as folder:
        yield Wardrobe(authority, Path(folder), names)


def _context(certificate: Certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.cert_file, certificate.key_file)
    context.set_alpn_protocols(ALPN)
    # A client that resumes a session of an earlier disguise would not look at the certificate again.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    return context
