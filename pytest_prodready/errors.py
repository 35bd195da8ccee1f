"""Errors that say what failed, the value, where it came from, what was tried and what to do."""

from __future__ import annotations

from collections.abc import Sequence


class ProdreadyError(Exception):
    """A failure of the gate itself, told so that a person can act on it."""

    def __init__(
        self,
        problem: str,
        *,
        value: object | None = None,
        source: str | None = None,
        tried: Sequence[str] = (),
        remedy: str | None = None,
    ) -> None:
        self.problem = problem
        self.value = value
        self.source = source
        self.tried = tuple(tried)
        self.remedy = remedy
        super().__init__(self.message)

    @property
    def message(self) -> str:
        """The whole error as text: a line for the problem, then one for each fact that is known."""
        lines = [self.problem]
        if self.value is not None:
            lines.append(f"  value: {self.value}")
        if self.source is not None:
            lines.append(f"  from: {self.source}")
        lines.extend(f"  tried: {attempt}" for attempt in self.tried)
        if self.remedy is not None:
            lines.append(f"  do: {self.remedy}")
        return "\n".join(lines)


class ConfigError(ProdreadyError):
    """Something in prodready.toml, an option or the environment can't be used as it is."""


class ServerError(ProdreadyError):
    """A server could not be found, started, reached or stopped."""


class ApplicationError(ProdreadyError):
    """The service under test died, or never got ready."""
