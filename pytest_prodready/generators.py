"""Which processes generate the load, as options say: one, several of this machine, or of other hosts."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest

from pytest_prodready.errors import ConfigError
from pytest_prodready.generator.messages import PORT

MOST, WAIT_S = 1000, 60.0
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Generators:
    """The processes that generate the load."""

    workers: int = 1  # of this machine
    expected: int = 0  # that others start; then there is none of ours
    wait_s: float = WAIT_S  # for these
    host: str = LOOPBACK  # where they are listened for
    port: int = PORT

    @property
    def count(self) -> int:
        """How many there are."""
        return self.expected or self.workers

    @property
    def alone(self) -> bool:
        """Whether one process of ours is all."""
        return self.workers == 1 and not self.expected

    @property
    def as_arguments(self) -> tuple[str, ...]:
        """The command-line arguments that repeat these options (those that differ from the defaults)."""
        return tuple(
            f"--prodready-load-{each.name}={getattr(self, each.field)}"
            for each in _OPTIONS
            if getattr(self, each.field) != getattr(ONE, each.field)
        )


ONE = Generators()


class _Option(NamedTuple):
    name: str  # after --prodready-load-
    field: str
    metavar: str
    help: str


_OPTIONS = (
    _Option("workers", "workers", "N", "generate the load in N processes of this machine"),
    _Option(
        "expect-workers", "expected", "N", "wait for N workers of other hosts, and let them generate the load"
    ),
    _Option("expect-workers-max-wait", "wait_s", "SECONDS", f"wait no longer for them ({WAIT_S:g})"),
    _Option("bind-host", "host", "ADDRESS", f"listen for workers at this address ({LOOPBACK})"),
    _Option("bind-port", "port", "PORT", f"listen for workers at this port ({PORT})"),
)


def add_options(group: Any) -> None:
    """Register the options; they also come as PRODREADY_LOAD_WORKERS and so on."""
    for each in _OPTIONS:
        group.addoption(f"--prodready-load-{each.name}", default=None, metavar=each.metavar, help=each.help)


def read_generators(config: pytest.Config, env: Mapping[str, str]) -> Generators:
    """The options in force; raises ConfigError for what can't be."""
    told = {each.field: _found(config, env, each.name) for each in _OPTIONS}
    made = Generators(
        workers=_count(told["workers"], 1),
        expected=_count(told["expected"], 0),
        wait_s=_seconds(told["wait_s"]),
        host=_address(told["host"]),
        port=_port(told["port"]),
    )
    if made.expected and told["workers"].value is not None:
        raise ConfigError(
            "the load comes from workers of this machine, or from those of others",
            value=f"--prodready-load-workers={made.workers} --prodready-load-expect-workers={made.expected}",
            source=told["workers"].source,
            remedy="leave one of the two out; on this machine a worker can be started by hand as well",
        )
    for each in (told["host"], told["port"], told["wait_s"]):
        if not made.expected and each.value is not None and each.source.startswith("--"):
            raise _wrong(
                "nobody is waited for", each, "add --prodready-load-expect-workers=N, or leave it out"
            )
    return made


class _Told(NamedTuple):
    value: str | None
    source: str


def _found(config: pytest.Config, env: Mapping[str, str], name: str) -> _Told:
    variable = f"PRODREADY_LOAD_{name.replace('-', '_').upper()}"
    value = config.getoption(f"prodready_load_{name.replace('-', '_')}")
    if value is None and env.get(variable):
        return _Told(env[variable], f"environment variable {variable}")
    return _Told(value, f"--prodready-load-{name}")


def _count(told: _Told, usual: int) -> int:
    if told.value is None:
        return usual
    if told.value.isdecimal() and 1 <= int(told.value) <= MOST:
        return int(told.value)
    raise _wrong("there is no such number of workers", told, f"give a whole number from 1 to {MOST}")


def _seconds(told: _Told) -> float:
    try:
        seconds = WAIT_S if told.value is None else float(told.value)
    except ValueError:
        seconds = 0.0
    if 0 < seconds <= 86_400:
        return seconds
    raise _wrong("nobody can wait so long", told, "give a number of seconds, up to a day")


def _port(told: _Told) -> int:
    if told.value is None:
        return PORT
    if told.value.isdecimal() and 1 <= int(told.value) <= 65_535:
        return int(told.value)
    raise _wrong("there is no such port", told, "give a number from 1 to 65535")


def _address(told: _Told) -> str:
    """An address of this machine, where a port can be listened on."""
    host = told.value if told.value is not None else LOOPBACK
    try:
        family, kind, _, _, where = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as trying:
            trying.bind(where)
    except (OSError, UnicodeError) as error:
        words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise _wrong(
            f"this machine can't listen there: {words}",
            told,
            "give one of its own addresses, or 0.0.0.0 for all of them",
        ) from None
    return host


def _wrong(problem: str, told: _Told, remedy: str) -> ConfigError:
    return ConfigError(problem, value=told.value, source=told.source, remedy=remedy)
