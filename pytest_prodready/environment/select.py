"""Which backend runs the servers, and why."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_prodready.environment.capabilities import postgres_origin, redis_origin
from pytest_prodready.errors import ConfigError, ProdreadyError, ServerError
from pytest_prodready.settings import Settings

BACKENDS = ("auto", "containers", "processes", "external")


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen backend and the reason, for the header and the report."""

    backend: str
    reason: str


def choose(option: str, settings: Settings) -> Choice:
    """The backend that the option names; for auto, the one that fits the configuration."""
    if option not in BACKENDS:
        raise ConfigError(
            "There is no such backend.",
            value=option,
            source="--prodready-backend",
            remedy=f"choose one of {', '.join(BACKENDS)}",
        )
    if settings.service.in_container:
        return _for_a_container(option, settings)
    given = _given(settings)
    if option == "external":
        return _external(settings, given)
    if option != "auto":
        engine = f", {_engine()}" if option == "containers" else ""
        return Choice(option, f"chosen by --prodready-backend{engine}")
    if given:
        return Choice("external", f"{' and '.join(given)} {'is' if len(given) == 1 else 'are'} given")
    try:
        return Choice("containers", f"{_engine()} answers")
    except ProdreadyError as reason:
        return Choice("processes", f"no containers: {_why(reason)}")


def _for_a_container(option: str, settings: Settings) -> Choice:
    """Containers, for a service that is one; nothing else will do."""
    key = f"[service] {'image' if settings.service.image else 'build'}"
    if option not in ("auto", "containers"):
        raise ConfigError(
            f"{key} is a container, which the backend {option} doesn't start.",
            value=option,
            source="--prodready-backend",
            remedy="use --prodready-backend=containers, or start the service by [service] command",
        )
    try:
        engine = _engine()
    except ProdreadyError as reason:
        raise ConfigError(
            f"{key} needs a Docker engine: {_why(reason)}.",
            value=reason.value,
            source=reason.source,
            tried=reason.tried,
            remedy="start one and let this user reach it, or start the service by [service] command",
        ) from None
    chosen = f"{key} is given" if option == "auto" else "chosen by --prodready-backend"
    return Choice("containers", f"{chosen}, {engine} answers")


def image_names(settings: Settings) -> list[str]:
    """The images that this target would be started from."""
    from pytest_prodready.environment.containers.images import chosen  # noqa: PLC0415 (an extra)

    wanted = {"postgres": postgres_origin(settings), "redis": redis_origin(settings)}
    images = chosen(settings)
    ours = [str(images[name]) for name, origin in wanted.items() if origin == "gate"]
    service = [settings.service.image] if settings.service.image else []
    return [*service, *ours, *([str(images["toxiproxy"])] if ours else [])]


def _engine() -> str:
    """Which engine would run the containers; raises ProdreadyError when there is none."""
    try:
        from pytest_prodready.environment.containers.engine import connect  # noqa: PLC0415 (an extra)
    except ImportError as failure:
        raise ConfigError(
            "The backend containers needs testcontainers, which isn't installed.",
            value=failure.name,
            source="--prodready-backend",
            remedy="pip install 'pytest-prodready[containers]', or use --prodready-backend=processes",
        ) from None
    try:
        engine = connect()
    except ServerError as reason:
        # Which engine is a matter of configuration: it is known before anything starts.
        raise ConfigError(
            reason.problem,
            value=reason.value,
            source=reason.source,
            tried=reason.tried,
            remedy=reason.remedy,
        ) from None
    engine.close()
    return str(engine)


def _why(reason: ProdreadyError) -> str:
    """The first line of an error as the end of a sentence."""
    text = reason.problem.rstrip(".")
    return text[:1].lower() + text[1:]


def _given(settings: Settings) -> list[str]:
    """The keys that name servers of the user's own."""
    tables = {"service": settings.service, "postgres": settings.postgres, "redis": settings.redis}
    return [f"[{name}] url" for name, table in tables.items() if table is not None and table.url is not None]


def _external(settings: Settings, given: list[str]) -> Choice:
    missing = [
        f"[{name}] url"
        for name, table in (("postgres", settings.postgres), ("redis", settings.redis))
        if table is not None and table.url is None
    ]
    if missing or not given:
        raise ConfigError(
            "The backend external starts no server, but not every address is given.",
            value="external",
            source="--prodready-backend",
            tried=[f"{key} is missing" for key in missing] or ["no url in [service], [postgres] or [redis]"],
            remedy="give the addresses, or use --prodready-backend=processes",
        )
    return Choice("external", "chosen by --prodready-backend")
