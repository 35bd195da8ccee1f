"""The service's own rows, made by its seed in the newest schema."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytest_prodready.environment.ran import Ran
from pytest_prodready.probes.migration_state import State


@dataclass(frozen=True, slots=True)
class Seeded:
    """How the seed ended, and how many rows it has added."""

    ran: Ran
    rows: int = 0

    @property
    def useful(self) -> bool:
        """Whether there is anything that a migration could lose."""
        return self.ran.succeeded and self.rows > 0


def seeded(run: Callable[[], Ran], state: Callable[[], State]) -> Seeded:
    """Run the seed, and count what it adds."""
    before = state().total
    ran = run()
    return Seeded(ran, state().total - before)
