"""Drills from literals, for the tests of the checks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pytest_prodready.probes.drill import Drill, Ledger, Mark, Sent
from pytest_prodready.settings import Settings

SETTINGS = Settings.model_validate({"service": {"name": "x", "command": "x"}})
FAULT_S, HEALED_S, END_S = 1.0, 6.0, 12.0
EVERY_S = 0.1


def stream(from_s: float, to_s: float, **answer: Any) -> tuple[Sent, ...]:
    """A request every so often, all answered alike; 200 within 10 ms unless told otherwise."""
    given = {"seconds": 0.01, "status": 200, "expected": answer.get("status", 200) == 200, **answer}
    request = given.pop("request", "list")
    times = [from_s + number * EVERY_S for number in range(round((to_s - from_s) / EVERY_S))]
    return tuple(Sent(request=request, at_s=at, **given) for at in times)


def drill(during: dict[str, Any] | None = None, after: dict[str, Any] | None = None, **changes: Any) -> Drill:
    """A drill that went well, but for what is told: 503 while the fault held, 200 from its end on."""
    sent = (
        *stream(0.0, FAULT_S),
        *stream(FAULT_S, HEALED_S, **({"status": 503} if during is None else during)),
        *stream(HEALED_S, END_S, **(after or {})),
    )
    return replace(
        Drill(
            name="drill",
            fault="fault for 5 s",
            seconds=END_S,
            every_s=EVERY_S,
            marks=(Mark("fault", FAULT_S), Mark("healing", HEALED_S), Mark("healed", HEALED_S)),
            sent=sent,
            health=tuple(replace(each, request="liveness") for each in stream(0.0, END_S)),
            writes=stream(0.0, FAULT_S, request="create"),
            ledger=Ledger(acknowledged=50, read_from=("database",)),
            same_process=True,
            steady_after=True,
        ),
        **changes,
    )
