"""From what was captured to the service's distinct statements, each with parameters that stand for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pytest_prodready.errors import ConfigError
from pytest_prodready.probes.capture import Window
from pytest_prodready.probes.plans import Asked, Budget, Explained, Source, Statement
from pytest_prodready.probes.server_log import Planned, Run
from pytest_prodready.probes.statement_text import is_control
from pytest_prodready.settings import QuerySettings

IN_THE_BACKGROUND = "in the background"


@dataclass
class _Seen:
    """All runs of one statement."""

    text: str
    nested: bool
    example: str = ""
    parameters: tuple[str | None, ...] = ()
    slowest_ms: float = -1.0
    prepared: bool = False
    settings: dict[str, str] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    plan: Explained | None = None  # as the server logged it

    def ran(self, source: str, run: Run | Planned) -> None:
        """Count a run; the slowest one's parameters stand for all."""
        self.calls[source] = self.calls.get(source, 0) + 1
        if run.milliseconds > self.slowest_ms:
            self.slowest_ms, self.example, self.parameters = run.milliseconds, run.text, run.parameters

    def statement(self) -> Statement:
        """What is known about it."""
        return Statement(
            text=self.text,
            example=self.example,
            parameters=self.parameters,
            sources=tuple(Source(name, calls) for name, calls in self.calls.items()),
            prepared=self.prepared,
            nested=self.nested,
            settings=self.settings,
            milliseconds=max(0.0, self.slowest_ms),
            plans=() if self.plan is None else (self.plan,),
        )


def statements(windows: Sequence[Window]) -> tuple[Statement, ...]:
    """Every distinct statement, in the order in which they were first seen."""
    seen: dict[str, _Seen] = {}
    for window in windows:
        for run in _sent(window):
            text = window.text_of(run)
            each = seen.setdefault(text, _Seen(text, nested=False))
            each.ran(window.name, run)
            each.prepared |= bool(run.name) or run.query_id in window.prepared
            plan = window.plan_of(run)
            each.settings |= plan.settings if plan is not None else {}
        for inner in (plan for plan in window.planned if plan.nested):
            text = window.text_of(inner)
            each = seen.setdefault(text, _Seen(text, nested=True))
            if inner.milliseconds > each.slowest_ms:
                # What its function gave it isn't always told, so it can't be run again.
                each.plan = Explained("custom", "rows", inner.plan)
            each.ran(window.name, inner)
            each.settings |= inner.settings
    return tuple(each.statement() for each in seen.values())


def declared(queries: Sequence[QuerySettings], folder: Path) -> tuple[Statement, ...]:
    """The statements of [[explain.queries]]; raises ConfigError for a file that can't be read."""
    return tuple(
        Statement(
            text=text,
            example=text,
            parameters=tuple(None if value is None else _as_text(value) for value in query.params),
            sources=(Source(f"query: {query.name}", 1),),
            budget=Budget(query.buffers),
        )
        for query in queries
        for text in [_text(query, folder)]
    )


def _text(query: QuerySettings, folder: Path) -> str:
    if query.file is None:
        return query.sql or ""
    try:
        return (folder / query.file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            "A declared query can't be read.",
            value=f"{folder / query.file}: {error}",
            source=f"[[explain.queries]] {query.name}: file",
            remedy="give a path relative to the folder of prodready.toml",
        ) from None


def _as_text(value: str | float | bool) -> str:
    """A value as PostgreSQL reads it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def asked(windows: Iterable[Window]) -> Iterator[Asked]:
    """The requests, and how much each had the service run."""
    for window in windows:
        if window.answer is not None:
            yield Asked(
                name=window.name,
                status=window.answer.status,
                expected=window.answer.expected,
                statements=len(_sent(window)),
                rows=max((plan.rows for plan in window.planned), default=0),
            )


def _sent(window: Window) -> list[Run]:
    return [run for run in window.runs if not run.fetch and not is_control(run.text)]
