"""Which backend runs the servers, and why."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_prodready.errors import ConfigError
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
    if option == "containers":
        raise ConfigError(
            "The backend containers is not available yet in this version.",
            value=option,
            source="--prodready-backend",
            remedy="use processes (local servers, no Docker needed), or external with url = … in each table",
        )
    given = _given(settings)
    if option == "external":
        return _external(settings, given)
    if option == "processes":
        return Choice("processes", "chosen by --prodready-backend")
    if given:
        return Choice("external", f"{' and '.join(given)} {'is' if len(given) == 1 else 'are'} given")
    return Choice("processes", "nothing external is given, and containers aren't available in this version")


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
