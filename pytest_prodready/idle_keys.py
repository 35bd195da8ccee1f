"""Keys of [load] that would do nothing as they stand: said at once, since nothing else would tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_prodready.errors import ConfigError
from pytest_prodready.misconfiguration import Document, Key
from pytest_prodready.settings import Settings

OF_A_SCHEDULE = ("users", "writes", "settle_s", "self_test_s")  # what a locustfile has its own way for
OF_A_LOCUSTFILE = ("users_at_1x", "locust_arguments")
NO_WRITE_LOST = "load.no-write-lost"
BY_PROFILE = "or have the locustfile in a profile, whose [load] leaves the rest as it is"


@dataclass(frozen=True, slots=True)
class Layers:
    """[load] as the file, a profile, and then options and variables give it: what is above counts.

    A key is only idle where what makes it so stands beside it or below: a profile or an option may well
    leave others without a meaning for one run.
    """

    document: Document
    profile: str | None
    tables: Sequence[Mapping[str, Any]]  # from the bottom up: of the file, the profile, the rest

    def of(self, key: str) -> int:
        """Which of them gives the key; -1 where none does."""
        return max((number for number, table in enumerate(self.tables) if key in table), default=-1)

    def source(self, key: str) -> str:
        """Where the key was given."""
        place: Key = ("load", key)
        if self.of(key) == 1 and self.profile is not None:
            place = ("profiles", self.profile, *place)
        return self.document.source(place)


def check_idle_keys(layers: Layers, settings: Settings) -> None:
    """Raise ConfigError for keys of [load] that would do nothing, all in one message."""
    found = [*_steps(layers, settings), *_beside_a_locustfile(layers, settings), *_writes(layers, settings)]
    if len(found) == 1:
        raise found[0]
    if found:
        raise ConfigError("\n".join(each.message for each in found))


def _steps(layers: Layers, settings: Settings) -> Iterator[ConfigError]:
    limits = settings.load
    beyond = [step for step in limits.steps if step > limits.multiplier]
    if beyond and layers.of("steps") >= max(0, layers.of("multiplier")):
        yield ConfigError(
            f"load.steps are stages up to multiplier ({limits.multiplier:g}), which these are not",
            value=", ".join(f"{step:g}" for step in beyond),
            source=layers.source("steps"),
            remedy="leave them out, or set multiplier higher",
        )


def _beside_a_locustfile(layers: Layers, settings: Settings) -> Iterator[ConfigError]:
    if settings.load.locustfile is not None:
        for key in OF_A_SCHEDULE:
            if 0 <= layers.of(key) >= layers.of("locustfile"):
                yield ConfigError(
                    f"load.{key} is of the declared requests, which a locustfile takes the place of",
                    value=getattr(settings.load, key),
                    source=layers.source(key),
                    remedy=f"leave it out, {BY_PROFILE}",
                )
    elif layers.of("locustfile") < 0 and not _in_a_profile(layers, "locustfile"):
        for key in OF_A_LOCUSTFILE:
            if layers.of(key) >= 0:
                yield ConfigError(
                    f"load.{key} is of a locustfile, and there is none",
                    value=_counted(getattr(settings.load, key)),
                    source=layers.source(key),
                    remedy="leave it out, or name the locustfile in [load]",
                )


def _writes(layers: Layers, settings: Settings) -> Iterator[ConfigError]:
    """Without writes nothing tells whether one is lost, which has to be taken out with a reason then."""
    loaded = settings.load.expected_rps is not None and settings.load.locustfile is None
    waived = {each.rule for each in settings.waivers}
    accepted = {NO_WRITE_LOST, "load"} & (settings.bypass.keys() | waived) or layers.of("writes") > 0
    if loaded and settings.writes is not None and settings.load.writes == 0 and not accepted:
        yield ConfigError(
            f"load.writes leaves {NO_WRITE_LOST} nothing to judge, though [writes] is declared",
            value=0,
            source=layers.source("writes"),
            remedy=f'leave it out (0.1), or take the rule out: [bypass] "{NO_WRITE_LOST}" = "why"',
        )


def _counted(value: Any) -> Any:
    """A list by its length: arguments may hold a secret."""
    return f"{len(value)} arguments" if isinstance(value, tuple) else value


def _in_a_profile(layers: Layers, key: str) -> bool:
    profiles = layers.document.data.get("profiles", {})
    tables = (each.get("load", {}) for each in profiles.values() if isinstance(each, Mapping))
    return any(key in table for table in tables if isinstance(table, Mapping))
