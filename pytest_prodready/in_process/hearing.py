"""Listeners on every SQLAlchemy engine of this process, as long as somebody wants to hear."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Engine, event

Listeners = Mapping[str, Callable[..., Any]]  # by the name of the event


def hear(listeners: Listeners) -> None:
    """Hear of the statements of all engines, those that exist too."""
    for name, listener in listeners.items():
        if not event.contains(Engine, name, listener):
            event.listen(Engine, name, listener)


def hear_no_more(listeners: Listeners) -> None:
    """Hear of nothing any more."""
    for name, listener in listeners.items():
        if event.contains(Engine, name, listener):
            event.remove(Engine, name, listener)
