"""How the database is reached: the URL, checked, and completed with the time limits of production."""

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from jobboard.settings import Settings, SettingsError

# A network that loses every packet is noticed within 11 s when idle and 5 s when data is unacknowledged.
NETWORK_LIMITS = {
    "connect_timeout": "2",
    "keepalives": "1",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "5000",
}


def connection_parameters(settings: Settings) -> dict[str, str]:
    """Return libpq's parameters for the database URL, or refuse a URL that doesn't verify the server."""
    given = _parse(settings.database_url)
    _insist_on_verified_tls(given)
    return {
        "application_name": "jobboard",
        # Without a file of its own authority, the server is verified against those of the system.
        "sslrootcert": "system",
        **NETWORK_LIMITS,
        **given,
        "sslmode": "verify-full",
        # GSSAPI encryption would be tried first and costs a round trip; TLS is what is verified here.
        "gssencmode": "disable",
        "options": f"{_session_options(settings)} {given.get('options', '')}".rstrip(),
    }


def _parse(url: str) -> dict[str, str]:
    if not url.startswith(("postgresql://", "postgres://")):
        raise SettingsError("DATABASE_URL must start with postgresql://")
    # A raw @ or # in a password is no error to libpq: it takes the rest of the password for a host.
    ambiguous = url.count("@") > 1 or "#" in url
    try:
        parameters = {} if ambiguous else conninfo_to_dict(url)
    except ProgrammingError:
        # libpq's message repeats parts of the URL, and with them parts of the password.
        ambiguous = True
    if ambiguous:
        raise SettingsError("DATABASE_URL can't be parsed; are special characters in it %-encoded?")
    return {name: str(value) for name, value in parameters.items() if value is not None}


def _insist_on_verified_tls(given: dict[str, str]) -> None:
    mode = given.get("sslmode", "verify-full")
    if mode != "verify-full":
        raise SettingsError(
            f"DATABASE_URL asks for sslmode={mode}, which accepts an impostor; it must be verify-full"
        )
    hosts = given.get("host", "").split(",")
    if any(not host or host.startswith(("/", "@")) for host in hosts):
        raise SettingsError("DATABASE_URL must name a host: sslmode has no effect on a Unix socket")


def _session_options(settings: Settings) -> str:
    options = {
        "statement_timeout": settings.statement_timeout_ms,
        "lock_timeout": settings.lock_timeout_ms,
        "idle_in_transaction_session_timeout": settings.idle_in_transaction_timeout_ms,
        # A backend whose client is gone ends its query within a second (PostgreSQL 14 and later).
        "client_connection_check_interval": 1_000,
        # Some words are rare in titles and some are common: no one plan suits both.
        "plan_cache_mode": "force_custom_plan",
    }
    return " ".join(f"-c {name}={value}" for name, value in options.items())
