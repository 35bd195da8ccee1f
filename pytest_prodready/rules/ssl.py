"""The rules of the ssl suite: the server's side, then what the service itself insists on."""

from __future__ import annotations

from pytest_prodready.findings import Capability as Needs
from pytest_prodready.findings import Level, Rule

CHECKLIST = "1. TLS with certificate checks"

_IMPOSTOR = frozenset({Needs.SERVICE, Needs.DATABASE, Needs.FAULT_PROXY, Needs.READINESS, Needs.DESTRUCTIVE})
_IMPOSTOR_HOW = (
    "An impostor takes the database's place behind the proxy and records how far the service goes with it; "
    "an impostor with a good certificate is the control."
)

RULES = (
    Rule(
        id="ssl.plaintext-refused",
        claim="The server refuses a connection without TLS for every role and database that the service uses.",
        why="One client with a forgotten sslmode sends passwords and rows in clear for anyone on the path to read.",
        how="A start-up message without TLS is sent for each login role and each database, and the first answer is read; "
        "pg_hba.conf, where it can be read, tells the same for other addresses.",
        remedy="Use only hostssl lines in pg_hba.conf (or add `hostnossl all all all reject` first); "
        "on a managed service, turn on its force-SSL parameter (rds.force_ssl=1).",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=frozenset({Needs.DATABASE, Needs.SERVER_HBA}),
    ),
    Rule(
        id="ssl.tls12-or-newer",
        claim="The server speaks TLS 1.2 or newer and nothing older.",
        why="TLS 1.0 and 1.1 are broken and deprecated (RFC 8996); an attacker on the path can force the older one.",
        how="A handshake is tried with each protocol version on its own, down to TLS 1.0.",
        remedy="Set ssl_min_protocol_version = 'TLSv1.2' (PostgreSQL's default) in postgresql.conf.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=frozenset({Needs.DATABASE, Needs.SERVER_SETTINGS}),
    ),
    Rule(
        id="ssl.ciphers-strong",
        claim="The server accepts only cipher suites with forward secrecy and authenticated encryption.",
        why="Without forward secrecy, a key stolen later decrypts every recorded session; CBC, 3DES, RC4 and NULL "
        "suites have practical attacks or no secrecy at all.",
        how="A TLS 1.2 handshake is tried with each suite outside Mozilla's intermediate profile that this OpenSSL knows.",
        remedy="Set ssl_ciphers to Mozilla's intermediate profile, for example "
        "'ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:!aNULL'.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=frozenset({Needs.DATABASE, Needs.SERVER_SETTINGS}),
    ),
    Rule(
        id="ssl.hba-authenticates",
        claim="No pg_hba.conf line lets a client in by trust, clear-text password, md5 or ident.",
        why="trust asks for nothing, password sends it in clear to whoever answers, and an md5 hash can be replayed.",
        how="pg_hba_file_rules is read as the server parsed it; lines for local sockets count only for trust.",
        remedy="Use scram-sha-256 (or cert) on every host line, with password_encryption = scram-sha-256.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=frozenset({Needs.DATABASE, Needs.ADMIN, Needs.SERVER_HBA}),
    ),
    Rule(
        id="ssl.hba-narrow",
        claim="No pg_hba.conf line admits every user to every database from every address.",
        why="With one line for all, any leaked password of any role opens any database from anywhere that can connect.",
        how="pg_hba_file_rules is read for lines with database all, user all and an address of all, 0.0.0.0/0 or ::/0.",
        remedy="Name the database, the role and the network, for example "
        "`hostssl jobboard jobboard 10.0.0.0/16 scram-sha-256`.",
        level=Level.SHOULD,
        checklist=CHECKLIST,
        needs=frozenset({Needs.DATABASE, Needs.ADMIN, Needs.SERVER_HBA}),
    ),
    Rule(
        id="ssl.certificate-lasts",
        claim="The server's certificate is valid now and for weeks to come.",
        why="An expired certificate takes down every client that verifies it, all at once, usually at night.",
        how="The validity of each certificate in the chain (served, or from the declared file) is compared with the clock.",
        remedy="Renew the certificate, and automate the renewal (cert-manager, ACME, or the provider's rotation).",
        level=Level.SHOULD,
        checklist=CHECKLIST,
        needs=frozenset({Needs.SERVER_CERTIFICATE}),
        limits="[ssl] certificate_days",
    ),
    Rule(
        id="ssl.certificate-names-server",
        claim="The server's certificate carries the name that clients connect to, as a subject alternative name.",
        why="Clients that verify the host refuse it otherwise, and people then turn verification off.",
        how="The subject alternative names of the leaf are matched with [postgres] server_name by RFC 6125 rules.",
        remedy="Issue the certificate with that DNS name (or IP address) as a subject alternative name.",
        level=Level.SHOULD,
        checklist=CHECKLIST,
        needs=frozenset({Needs.SERVER_CERTIFICATE}),
    ),
    Rule(
        id="ssl.certificate-chain-verifies",
        claim="The chain leads from the server's certificate to the declared authority, with strong keys and signatures.",
        why="A missing intermediate works on one machine and fails on the next; weak keys and SHA-1 can be forged.",
        how="The chain (served, or from the declared file) is verified against [postgres] ca with X.509 rules.",
        remedy="Serve leaf and intermediates in one file, signed with SHA-256 or better, RSA keys of 2048 bits or more.",
        level=Level.SHOULD,
        checklist=CHECKLIST,
        needs=frozenset({Needs.SERVER_CERTIFICATE}),
    ),
    Rule(
        id="ssl.service-encrypted",
        claim="Every connection of the service to its database is encrypted with TLS 1.2 or newer.",
        why="A single connection without TLS carries the same rows and the same password as the encrypted ones.",
        how="pg_stat_ssl is read for every backend of the service while its requests run.",
        remedy="Connect with sslmode=verify-full in every DSN of the service, its workers and its jobs.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=frozenset({Needs.SERVICE, Needs.DATABASE, Needs.ADMIN}),
    ),
    Rule(
        id="ssl.client-checks-authority",
        claim="The service refuses a server whose certificate comes from an unknown authority or from itself.",
        why="Encryption without verification protects from nobody who can get between: they present any certificate.",
        how=_IMPOSTOR_HOW,
        remedy="Use sslmode=verify-full with sslrootcert (libpq, pgx), an ssl context with cafile (asyncpg), "
        "or ssl: { ca, rejectUnauthorized: true } and no ssl parameter in the URL (node-postgres).",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_IMPOSTOR,
    ),
    Rule(
        id="ssl.client-checks-name",
        claim="The service refuses a server whose good certificate is for another host.",
        why="With verify-ca, anyone who holds any certificate of the same authority can pose as the database.",
        how=_IMPOSTOR_HOW,
        remedy="Use sslmode=verify-full instead of verify-ca; keep check_hostname on in an ssl context, and "
        "rejectUnauthorized and checkServerIdentity as they are in node-postgres.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_IMPOSTOR,
    ),
    Rule(
        id="ssl.client-checks-validity",
        claim="The service refuses a server certificate that has expired or isn't valid yet.",
        why="Validity is what bounds the use of a stolen key; a client that ignores it trusts the key for ever.",
        how=_IMPOSTOR_HOW,
        remedy="Leave the verification of dates on: no VERIFY flags that skip the time, no custom verify callback.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_IMPOSTOR,
    ),
    Rule(
        id="ssl.client-requires-tls",
        claim="The service refuses a server that declines TLS.",
        why="With sslmode=prefer, an attacker only has to answer N, and gets the password in clear.",
        how=_IMPOSTOR_HOW,
        remedy="Use sslmode=verify-full; never prefer, allow or disable.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_IMPOSTOR,
    ),
    Rule(
        id="ssl.client-requires-tls12",
        claim="The service refuses a server that offers TLS 1.1 at most.",
        why="A client that falls back lets an attacker choose the weakest protocol, or none.",
        how=_IMPOSTOR_HOW,
        remedy="Keep the client's minimum at TLS 1.2 (libpq: ssl_min_protocol_version=TLSv1.2, its default).",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_IMPOSTOR,
    ),
    Rule(
        id="ssl.engine-verifies-server",
        claim="The engine that the service builds refuses every impostor, and connects to the real server.",
        why="Jobs, migrations and scripts use the same factory; what it accepts, they all accept.",
        how="The engine's factory is called with the impostor's address in its environment, once for each impostor.",
        remedy="Put sslmode=verify-full (or a verifying ssl context) into the factory itself, so that no caller can forget.",
        level=Level.SHOULD,  # only a Python service can be looked at in process
        checklist=CHECKLIST,
        needs=frozenset({Needs.ENGINE, Needs.DATABASE}),
    ),
    Rule(
        id="ssl.redis-encrypted",
        claim="The service reaches Redis by TLS only, and refuses a Redis that it can't verify.",
        why="Sessions, tokens and cached rows travel on this connection, and its password with them.",
        how="An impostor with a good certificate takes Redis' place (the control), then one with an unknown authority, "
        "one for another host, and one without TLS.",
        remedy="Use rediss:// with the CA file, ssl_cert_reqs=required and ssl_check_hostname=True (redis-py), "
        "or tls: { ca } (ioredis).",
        level=Level.SHOULD,
        checklist=CHECKLIST,
        needs=frozenset({Needs.SERVICE, Needs.REDIS, Needs.REDIS_TLS, Needs.FAULT_PROXY, Needs.DESTRUCTIVE}),
    ),
)
