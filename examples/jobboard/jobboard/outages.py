"""Which errors of the database pass by themselves: those are answered with 503, never with 500."""

from sqlalchemy import exc

# Classes of SQLSTATE: connection, transaction to be repeated, resources, locks, operator, system.
PASSING_CLASSES = frozenset({"08", "40", "53", "55", "57", "58"})
READ_ONLY_TRANSACTION = "25006"
PASSING_STATES = frozenset({READ_ONLY_TRANSACTION, "25P03"})


# Why a connection failed, for the log. The rest of such a message may hold parts of the database URL.
REASONS = (
    "certificate verify failed",
    "does not match host name",
    "server does not support SSL",
    "password authentication failed",
    "no pg_hba.conf entry",
    "too many connections",
    "the database system is",
    "Connection refused",
    "timeout expired",
    "failed to resolve host",
    "server closed the connection unexpectedly",
    "the last attempt to connect has just failed",
)


class Unavailable(Exception):
    """The database can't serve this request now; the same request may succeed later."""

    def __init__(self, cause: str, error: exc.DBAPIError | None = None) -> None:
        super().__init__(cause)
        self.cause = cause
        self.state = sqlstate(error)
        self.reason = next((reason for reason in REASONS if reason in str(error)), None)
        self.connection_lost = error is not None and error.connection_invalidated


def sqlstate(error: BaseException | None) -> str | None:
    """Return the five characters with which PostgreSQL names an error, if it was PostgreSQL's."""
    state = getattr(getattr(error, "orig", error), "sqlstate", None)
    return state if isinstance(state, str) else None


def as_outage(error: exc.SQLAlchemyError) -> Unavailable | None:
    """Return what to raise instead of an error that passes, or None for one that doesn't."""
    if isinstance(error, exc.TimeoutError):
        return Unavailable("PoolExhausted")
    if not isinstance(error, exc.DBAPIError):
        return None
    state = sqlstate(error) or ""
    passing = (
        error.connection_invalidated
        or isinstance(error, exc.OperationalError | exc.InterfaceError)
        or state[:2] in PASSING_CLASSES
        or state in PASSING_STATES
    )
    return Unavailable(type(error.orig).__name__, error) if passing else None
