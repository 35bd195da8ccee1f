"""The impostor against real clients: what each of them gives away, as a table."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import ssl
import struct
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import psycopg
import pytest
import redis

from pytest_prodready.environment.certificates import Authority
from pytest_prodready.environment.service import Endpoint
from pytest_prodready.probes import impostor_postgres, impostor_redis, ssl_openssl
from pytest_prodready.probes.impostor import Impostor, impostor
from pytest_prodready.probes.impostor_attempts import Attempt, Stage
from pytest_prodready.probes.impostor_disguises import Case, Wardrobe, wardrobe

PASSWORD = "opensesame-4711"
REFUSED = None
PW = Stage.PASSWORD_OVER_TLS
PLAIN = Stage.PASSWORD_IN_CLEAR
BY_SERVER = (Case.UNKNOWN_AUTHORITY, Case.SELF_SIGNED, Case.OTHER_NAME, Case.EXPIRED, Case.NOT_YET_VALID)

Client = Callable[[Endpoint, Path], None]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority that the clients trust."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def clothes(authority: Authority) -> Iterator[Wardrobe]:
    """What the impostor can wear."""
    with wardrobe(authority, ("localhost",)) as made:
        yield made


@pytest.fixture(scope="module")
def postgres(clothes: Wardrobe) -> Iterator[Impostor]:
    """An impostor that speaks PostgreSQL."""
    with impostor(impostor_postgres.receive, clothes.disguise(Case.CONTROL)) as server:
        yield server


@pytest.fixture(scope="module")
def cache(clothes: Wardrobe) -> Iterator[Impostor]:
    """An impostor that speaks Redis."""
    with impostor(impostor_redis.receive, clothes.disguise(Case.CONTROL)) as server:
        yield server


def libpq(**parameters: str) -> Client:
    """A client of libpq with these parameters; `sslrootcert=ca` stands for the authority's file."""

    def connect(endpoint: Endpoint, ca_file: Path) -> None:
        given = {key: str(ca_file) if value == "ca" else value for key, value in parameters.items()}
        given.setdefault("sslrootcert", "/nonexistent/root.crt")
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(
                host="localhost",
                port=endpoint.port,
                user="app",
                password=PASSWORD,
                dbname="app",
                connect_timeout=5,
                **given,  # type: ignore[arg-type]
            )

    return connect


def asyncpg_with(choose: Callable[[Path], ssl.SSLContext | str | None]) -> Client:
    """A client of asyncpg with this value of its `ssl` argument."""

    def connect(endpoint: Endpoint, ca_file: Path) -> None:
        async def attempt() -> None:
            await asyncpg.connect(
                host="localhost",
                port=endpoint.port,
                user="app",
                password=PASSWORD,
                database="app",
                ssl=choose(ca_file),
                timeout=5,
            )

        with warnings.catch_warnings():
            # asyncpg may leave the transport of a failed attempt to the garbage collector.
            warnings.simplefilter("ignore", ResourceWarning)
            with pytest.raises((OSError, asyncpg.PostgresError, asyncpg.InternalClientError)):
                asyncio.run(attempt())
            gc.collect()

    return connect


def a_context(ca_file: Path) -> ssl.SSLContext:
    """A context that verifies all there is."""
    return ssl.create_default_context(cafile=str(ca_file))


def timeless(ca_file: Path) -> ssl.SSLContext:
    """A context that ignores dates."""
    context = a_context(ca_file)
    context.verify_flags |= ssl.VerifyFlags(0x200000)  # X509_V_FLAG_NO_CHECK_TIME
    return context


POSTGRES_CLIENTS: dict[str, tuple[Client, dict[Case, Stage]]] = {
    "libpq disable": (libpq(sslmode="disable"), dict.fromkeys(Case, PLAIN)),
    "libpq prefer": (
        libpq(sslmode="prefer"),
        {**dict.fromkeys(BY_SERVER, PW), Case.NO_TLS: PLAIN, Case.OLD_TLS: PLAIN},
    ),
    "libpq require": (libpq(sslmode="require"), dict.fromkeys(BY_SERVER, PW)),
    "libpq require with a root": (libpq(sslmode="require", sslrootcert="ca"), {Case.OTHER_NAME: PW}),
    "libpq verify-ca": (libpq(sslmode="verify-ca", sslrootcert="ca"), {Case.OTHER_NAME: PW}),
    "libpq verify-full": (libpq(sslmode="verify-full", sslrootcert="ca"), {}),
    "libpq verify-full, TLS at once": (
        libpq(sslmode="verify-full", sslrootcert="ca", sslnegotiation="direct"),
        {},
    ),
    "asyncpg default": (
        asyncpg_with(lambda _: None),
        {**dict.fromkeys(BY_SERVER, PW), Case.NO_TLS: PLAIN, Case.OLD_TLS: PLAIN},
    ),
    "asyncpg require": (asyncpg_with(lambda _: "require"), dict.fromkeys(BY_SERVER, PW)),
    "asyncpg with a context": (asyncpg_with(a_context), {}),
    "asyncpg without dates": (
        asyncpg_with(timeless),
        {Case.EXPIRED: PW, Case.NOT_YET_VALID: PW},
    ),
}
VERIFYING = tuple(
    name for name, (_, given) in POSTGRES_CLIENTS.items() if Case.UNKNOWN_AUTHORITY not in given
)


def meet(server: Impostor, wardrobe: Wardrobe, case: Case, client: Client) -> tuple[Attempt, ...]:
    """Let a client meet the impostor in one disguise."""
    book = server.wear(wardrobe.disguise(case))
    client(server.endpoint, wardrobe.authority.ca_file)
    if not book.settled(within_s=0.2, quiet_s=0.05):  # it hung up without a word
        client(server.endpoint, wardrobe.authority.ca_file)
        assert book.settled(within_s=3, quiet_s=0.05)
    return book.attempts()


def given_away(attempts: tuple[Attempt, ...]) -> Stage | None:
    """The worst that a client gave, if it gave anything."""
    worst = max((attempt.stage for attempt in attempts), key=lambda stage: stage.rank)
    return worst if worst.trusting else None


@pytest.mark.parametrize("case", [case for case in Case if case is not Case.CONTROL])
@pytest.mark.parametrize("name", POSTGRES_CLIENTS)
def test_what_a_client_of_postgres_gives_away(
    name: str, case: Case, postgres: Impostor, clothes: Wardrobe
) -> None:
    """Each client gives away what the table says, and nothing else."""
    client, gives = POSTGRES_CLIENTS[name]
    attempts = meet(postgres, clothes, case, client)
    assert given_away(attempts) == gives.get(case, REFUSED), attempts


@pytest.mark.parametrize("name", [name for name in POSTGRES_CLIENTS if name != "libpq disable"])
def test_every_client_trusts_the_control(name: str, postgres: Impostor, clothes: Wardrobe) -> None:
    """Behind a good certificate every client that speaks TLS goes as far as its password."""
    attempts = meet(postgres, clothes, Case.CONTROL, POSTGRES_CLIENTS[name][0])
    assert given_away(attempts) == PW


def test_the_reason_for_a_refusal_is_noted(postgres: Impostor, clothes: Wardrobe) -> None:
    """The alert that a verifying client sends is what the report can quote."""
    client = POSTGRES_CLIENTS["libpq verify-full"][0]
    reasons = {
        case: meet(postgres, clothes, case, client)[0].reason
        for case in (Case.UNKNOWN_AUTHORITY, Case.EXPIRED)
    }
    assert reasons == {Case.UNKNOWN_AUTHORITY: "alert unknown ca", Case.EXPIRED: "alert certificate expired"}


def redis_with(**arguments: object) -> Client:
    """A client of redis-py; `ssl_ca_certs="ca"` stands for the authority's file."""

    def connect(endpoint: Endpoint, ca_file: Path) -> None:
        given = {key: str(ca_file) if value == "ca" else value for key, value in arguments.items()}
        client = redis.Redis(
            host="localhost",
            port=endpoint.port,
            password=PASSWORD,
            socket_timeout=2,
            retry=redis.retry.Retry(redis.backoff.NoBackoff(), 0),
            **given,  # type: ignore[arg-type]
        )
        with pytest.raises(redis.RedisError), client:
            client.ping()

    return connect


REDIS_CLIENTS: dict[str, tuple[Client, dict[Case, Stage]]] = {
    "without TLS": (redis_with(), dict.fromkeys(Case, PLAIN)),
    "verifying": (redis_with(ssl=True, ssl_ca_certs="ca", ssl_check_hostname=True), {Case.CONTROL: PW}),
    "any host": (
        redis_with(ssl=True, ssl_ca_certs="ca", ssl_check_hostname=False),
        {Case.CONTROL: PW, Case.OTHER_NAME: PW},
    ),
    "not verifying": (
        redis_with(ssl=True, ssl_cert_reqs="none", ssl_check_hostname=False),
        {Case.CONTROL: PW, Case.OTHER_NAME: PW, Case.UNKNOWN_AUTHORITY: PW},
    ),
}


@pytest.mark.parametrize("case", [Case.CONTROL, Case.UNKNOWN_AUTHORITY, Case.OTHER_NAME, Case.NO_TLS])
@pytest.mark.parametrize("name", REDIS_CLIENTS)
def test_what_a_client_of_redis_gives_away(name: str, case: Case, cache: Impostor, clothes: Wardrobe) -> None:
    """A client of Redis is told apart by what it verifies."""
    client, gives = REDIS_CLIENTS[name]
    attempts = meet(cache, clothes, case, client)
    assert given_away(attempts) == gives.get(case, REFUSED), attempts


def test_a_password_is_never_kept(postgres: Impostor, clothes: Wardrobe) -> None:
    """What the impostor notes holds no byte of what it was told."""
    book = postgres.wear(clothes.disguise(Case.NO_TLS))
    libpq(sslmode="disable")(postgres.endpoint, clothes.authority.ca_file)
    assert book.settled(within_s=3, quiet_s=0.05)
    assert PASSWORD not in repr((book.attempts(), vars(book), vars(postgres)))


@pytest.mark.parametrize("encrypted", [True, False])
def test_a_cancel_request_settles_nothing(encrypted: bool, postgres: Impostor, clothes: Wardrobe) -> None:
    """A driver that cancels a statement of a lost connection, over TLS as newer ones do, is still to come."""
    book = postgres.wear(clothes.disguise(Case.CONTROL))
    where = (postgres.endpoint.host, postgres.endpoint.port)
    with socket.create_connection(where, timeout=3) as plain, contextlib.ExitStack() as closed:
        connection = plain
        if encrypted:
            plain.sendall(struct.pack("!ii", 8, impostor_postgres.SSL_REQUEST))
            assert plain.recv(1) == b"S"
            context = a_context(clothes.authority.ca_file)
            connection = closed.enter_context(context.wrap_socket(plain, server_hostname="localhost"))
        connection.sendall(struct.pack("!iiii", 16, impostor_postgres.CANCEL_REQUEST, 1, 2))
        assert connection.recv(1) == b""
    assert not book.settled(within_s=0.2, quiet_s=0.01)
    assert [attempt.stage for attempt in book.attempts()] == [Stage.CANCELLED]


def test_a_slow_client_settles_nothing(postgres: Impostor, clothes: Wardrobe) -> None:
    """One that is at it, or hung up without a word, may have no time; a second one tells that it refuses."""
    book = postgres.wear(clothes.disguise(Case.OTHER_NAME))
    for number in (1, 2):
        with socket.create_connection((postgres.endpoint.host, postgres.endpoint.port), timeout=3) as slow:
            slow.sendall(struct.pack("!ii", 8, impostor_postgres.SSL_REQUEST))
            assert slow.recv(1) == b"S"
            assert not book.settled(within_s=0.1, quiet_s=0.01)
        assert book.settled(within_s=3 if number == 2 else 0.1, quiet_s=0.01) == (number == 2)
    assert all(attempt.wordless for attempt in book.attempts())


def test_nobody_came(postgres: Impostor, clothes: Wardrobe) -> None:
    """Without a visitor nothing is settled."""
    assert not postgres.wear(clothes.disguise(Case.CONTROL)).settled(within_s=0.05, quiet_s=0.01)


def test_closing_ends_open_connections(clothes: Wardrobe) -> None:
    """A client that stays silent doesn't keep the impostor from closing."""
    disguise = clothes.disguise(Case.CONTROL)
    with impostor(impostor_postgres.receive, disguise) as server, contextlib.ExitStack() as closed:
        book = server.wear(disguise)
        silent = closed.enter_context(
            socket.create_connection((server.endpoint.host, server.endpoint.port), timeout=3)
        )
        book.wait(bool, within_s=3)
        server.close()
        assert silent.recv(1) == b""


@pytest.mark.parametrize("version", ssl_openssl.VERSIONS)
def test_this_openssl_is_asked_what_it_speaks(version: str) -> None:
    """The modern versions are always there; the old ones are a property of the OpenSSL in use."""
    assert ssl_openssl.speaks(version) or version in ssl_openssl.OLD_VERSIONS
