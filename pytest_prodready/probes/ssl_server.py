"""What the database server lets happen: clear connections, old protocols, weak suites, wide hba lines."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psycopg

from pytest_prodready.environment.database import Database
from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.postgres_config import OWN_LINE_MARK
from pytest_prodready.environment.postgres_template import SUPERUSER
from pytest_prodready.environment.service import Endpoint
from pytest_prodready.findings import Capability
from pytest_prodready.probes import ssl_dial, ssl_openssl
from pytest_prodready.settings import Settings

DOORS = 300  # roles times databases that are tried; the service's own come first

REFUSED, ASKED, ADMITTED, UNCLEAR = "refused", "asked to authenticate", "admitted", "unclear"
ACCEPTED, UNTRIED = "accepted", "can't be tried"
# Invalid authorization, protocol violation (how poolers refuse), connection rejected.
REFUSALS = ("28", "08")


@dataclass(frozen=True, slots=True)
class Door:
    """How the server answers a role that comes without TLS."""

    role: str
    database: str
    answer: str  # refused, asked to authenticate, admitted, unclear
    reason: str = ""


@dataclass(frozen=True, slots=True)
class HbaLine:
    """One line of pg_hba.conf as the server parsed it."""

    line: int
    kind: str  # local, host, hostssl, hostnossl, …
    databases: tuple[str, ...]
    users: tuple[str, ...]
    address: str
    netmask: str
    method: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class Plaintext:
    """The server's first answers to start-up messages without TLS."""

    doors: tuple[Door, ...]
    all_roles: bool  # False: only the service's own role and database are known
    tls_opens: bool  # with TLS the service's own role gets past pg_hba.conf from here
    lines: tuple[HbaLine, ...] = ()  # of pg_hba.conf, where it can be read
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class VersionTried:
    """Whether the server shakes hands in one protocol version."""

    version: str
    outcome: str  # accepted, refused, can't be tried
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Handshakes:
    """The protocol versions and suites that the server accepts."""

    offers_tls: bool
    versions: tuple[VersionTried, ...] = ()
    weak_suites: tuple[str, ...] = ()
    suites_tried: int = 0
    lowest_setting: str | None = None  # ssl_min_protocol_version, where it can be asked for
    suites_setting: str | None = None  # ssl_ciphers


@dataclass(frozen=True, slots=True)
class Hba:
    """The lines of pg_hba.conf, without the gate's own."""

    lines: tuple[HbaLine, ...]


def plaintext(
    database: Database,
    environment: Environment,
    settings: Settings,
    progress: Callable[[str], None],
) -> Plaintext:
    """Knock without TLS as every role that may log in, at every database."""
    known = Capability.ADMIN in environment.capabilities
    pairs = list(dict.fromkeys(_pairs(database, known)))
    progress(f"knocking without TLS as {len({role for role, _ in pairs})} roles")
    doors = tuple(_knock(database.endpoint, role, name) for role, name in pairs[:DOORS])
    return Plaintext(
        doors,
        all_roles=known,
        tls_opens=_opens_with_tls(database, settings.postgres.server_name if settings.postgres else None),
        lines=_lines_if_readable(database) if known else (),
        left_out=max(0, len(pairs) - DOORS),
    )


def handshakes(
    database: Database,
    environment: Environment,
    settings: Settings,
    progress: Callable[[str], None],
) -> Handshakes:
    """Shake hands in each protocol version on its own, then with all weak suites."""
    name = settings.postgres.server_name if settings.postgres else None
    endpoint = database.endpoint
    progress("shaking hands in every version of TLS")
    try:
        versions = tuple(_try_version(endpoint, name, version) for version in ssl_openssl.VERSIONS)
    except _DeclinedTls:
        return Handshakes(offers_tls=False)
    progress(f"shaking hands with {len(ssl_openssl.weak_suites())} weak suites")
    known = Capability.ADMIN in environment.capabilities
    return Handshakes(
        offers_tls=True,
        versions=versions,
        weak_suites=tuple(_accepted_suites(endpoint, name)),
        suites_tried=len(ssl_openssl.weak_suites()),
        lowest_setting=database.setting("ssl_min_protocol_version") if known else None,
        suites_setting=database.setting("ssl_ciphers") if known else None,
    )


def hba(database: Database) -> Hba:
    """Read pg_hba.conf as the server parsed it."""
    statement = (
        "SELECT line_number, type, database, user_name, address, netmask, auth_method, error "
        "FROM pg_hba_file_rules ORDER BY line_number"
    )
    with database.admin() as admin:
        rows = admin.execute(statement).fetchall()
    lines, ours = [], 0
    for number, kind, databases, users, address, netmask, method, error in rows:
        if database.origin == "gate" and (users == [SUPERUSER] or OWN_LINE_MARK in (databases or ())):
            ours += 1
            continue
        lines.append(
            HbaLine(
                line=number - ours,  # as in the user's file: our own line stands before it
                kind=kind or "",
                databases=tuple(databases or ()),
                users=tuple(users or ()),
                address=address or "",
                netmask=netmask or "",
                method=method or "",
                error=error or "",
            )
        )
    return Hba(tuple(lines))


class _DeclinedTls(Exception):
    """The server answers N to the question for TLS."""


def _pairs(database: Database, known: bool) -> Iterator[tuple[str, str]]:
    yield database.user, database.name
    if not known:
        return
    with database.admin() as admin:
        roles = [
            row[0]
            for row in admin.execute("SELECT rolname FROM pg_roles WHERE rolcanlogin ORDER BY oid DESC")
            if not (database.origin == "gate" and row[0] == SUPERUSER)
        ]
        names = [
            row[0]
            for row in admin.execute(
                "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY oid DESC"
            )
        ]
    yield from ((database.user, name) for name in names)
    yield from ((role, name) for role in roles for name in names)


def _knock(endpoint: Endpoint, role: str, name: str) -> Door:
    try:
        first = ssl_dial.plain_startup(endpoint, role, name)
    except TimeoutError:
        return Door(role, name, UNCLEAR, f"no answer within {ssl_dial.TIMEOUT_S:g} s")
    if first.kind == "R":
        admitted = first.authentication == ssl_dial.AUTHENTICATED
        return Door(role, name, ADMITTED if admitted else ASKED)
    reason = f"{first.sqlstate} {first.message}".strip()
    refused = not first.kind or first.sqlstate.startswith(REFUSALS)
    return Door(role, name, REFUSED if refused else UNCLEAR, reason)


def _opens_with_tls(database: Database, name: str | None) -> bool:
    """Whether the service's own role is asked to authenticate when it comes by TLS."""
    context = ssl_openssl.careless_client("TLS 1.2", "TLS 1.3")
    try:
        with ssl_dial.tls(database.endpoint, context, name) as connection:
            if connection is None:
                return False
            return ssl_dial.startup(connection, database.user, database.name).kind == "R"
    except OSError:
        return False


def _lines_if_readable(database: Database) -> tuple[HbaLine, ...]:
    try:
        return hba(database).lines
    except psycopg.Error:
        return ()


def _try_version(endpoint: Endpoint, name: str | None, version: str) -> VersionTried:
    if not ssl_openssl.speaks(version):
        return VersionTried(version, UNTRIED, f"{ssl.OPENSSL_VERSION} can't speak it")
    agreed = _shake(endpoint, name, ssl_openssl.careless_client(version, version))
    return VersionTried(version, *agreed[:2])


def _accepted_suites(endpoint: Endpoint, name: str | None) -> Iterator[str]:
    """Offer all weak suites; the server picks one; offer the others; and so on until it refuses."""
    offered = list(ssl_openssl.weak_suites())
    while offered:
        context = ssl_openssl.careless_client("TLS 1.2", "TLS 1.2", ":".join([*offered, "@SECLEVEL=0"]))
        outcome, _, suite = _shake(endpoint, name, context)
        if outcome != ACCEPTED or suite not in offered:
            return
        offered.remove(suite)
        yield suite


def _shake(endpoint: Endpoint, name: str | None, context: ssl.SSLContext) -> tuple[str, str, str]:
    """One handshake: its outcome, the reason, the suite; a server that doesn't answer at all is an error."""
    try:
        with ssl_dial.tls(endpoint, context, name) as connection:
            if connection is None:
                raise _DeclinedTls
            return ACCEPTED, "", (connection.cipher() or ("",))[0]
    except TimeoutError:
        raise
    except ssl.SSLError as failure:
        return REFUSED, (failure.reason or type(failure).__name__).lower().replace("_", " "), ""
    except (ConnectionResetError, BrokenPipeError):
        return REFUSED, "the server hung up", ""
