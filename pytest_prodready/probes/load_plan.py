"""From prodready.toml to the generator's plan: stages, mix, and what answers look like at rest."""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterable

from pytest_prodready.generator.answers import shape_of
from pytest_prodready.generator.plan import Ask, Kind, Plan, Shape, Stage
from pytest_prodready.probes.load import AGAIN, SELF_TEST, USUAL, WARM_UP, Part
from pytest_prodready.probes.traffic import BODY_LIMIT, Traffic
from pytest_prodready.settings import LoadSettings, Request, Settings

SELF_TEST_TIMES = 1.5
AT_REST = 3  # answers of each request
ANSWER_WITHIN_S = 5.0
FEWEST_USERS, MOST_USERS = 1000, 20_000  # one takes 11 KB, and 24 KB with a request under way
MOST_WRITES = 50_000


def plan(settings: Settings, service: str, null: str, shapes: dict[str, Shape | None]) -> Plan:
    """All stages, and the declared mix with writes in it."""
    limits = settings.load
    stages = all_stages(limits, service, null)
    return Plan(
        stages=stages,
        asks=tuple(_mix(settings, sum(each.planned for each in stages), shapes)),
        users=limits.users or users_for(limits),
        deadline_s=limits.deadline_s,
        settle_s=limits.settle_s,
        prefix=f"prodready{secrets.token_hex(4)}x",
    )


def users_for(limits: LoadSettings) -> int:
    """As many as are due within the deadline, or, of very many, within the limit of p99.

    Where answers come within it, no more requests than that are under way at once.
    """
    due, held = (
        math.ceil(limits.peak_rps * seconds) + 1 for seconds in (limits.deadline_s, limits.p99_ms / 1000)
    )
    return min(due, max(FEWEST_USERS, held), MOST_USERS)


def mix(made: Plan) -> tuple[Part, ...]:
    """What share of a plan's requests asks for what."""
    whole = sum(each.weight for each in made.asks) or 1.0
    return tuple(
        Part(each.label, f"{each.method} {each.path}", round(each.weight / whole, 4)) for each in made.asks
    )


def multiples(limits: LoadSettings) -> dict[str, float]:
    """Each stage of the service by its name, with how many times the expected rate it has."""
    return {WARM_UP: 1.0, USUAL: 1.0, AGAIN: 1.0} | {_name(each): each for each in _steps(limits)}


def shapes(traffic: Traffic, settings: Settings) -> dict[str, Shape | None]:
    """What the answers to each declared request have in common while there is no load."""
    found: dict[str, Shape | None] = {}
    for label, request in _asked(settings):
        answers = [traffic.send(request, ANSWER_WITHIN_S) for _ in range(AT_REST)]
        bodies = [each.body.encode() for each in answers if each.expected and len(each.body) < BODY_LIMIT]
        found[label] = shape_of(bodies) if len(bodies) == AT_REST else None
    return found


def _asked(settings: Settings) -> Iterable[tuple[str, Request]]:
    """Each request of the mix, by its label."""
    yield from ((_label(each, "request"), each) for each in settings.requests)
    if settings.writes is not None and settings.load.writes:
        yield _label(settings.writes.create, "create"), settings.writes.create
        yield _label(settings.writes.read_back, "read back"), settings.writes.read_back


def _steps(limits: LoadSettings) -> tuple[float, ...]:
    return (*limits.climb, *([limits.multiplier] if limits.multiplier > 1 else []))


def _name(multiple: float) -> str:
    return f"{multiple:g}x"


def all_stages(limits: LoadSettings, service: str, null: str) -> tuple[Stage, ...]:
    """From the self-test to the usual load after the peak."""
    usual = limits.expected_rps or 1.0
    test = Stage(SELF_TEST, null, SELF_TEST_TIMES * limits.peak_rps, limits.self_test_s, null=True)
    return (
        test,
        Stage(WARM_UP, service, usual, limits.warm_up_s),
        Stage(USUAL, service, usual, limits.usual_s),
        *(
            Stage(
                _name(each),
                service,
                usual * each,
                limits.peak_s if each == limits.multiplier else limits.step_s,
                climb=True,
            )
            for each in _steps(limits)
        ),
        Stage(AGAIN, service, usual, limits.again_s),
    )


def _mix(settings: Settings, requests: int, seen: dict[str, Shape | None]) -> Iterable[Ask]:
    whole = sum(each.weight for each in settings.requests)
    share = min(settings.load.writes, MOST_WRITES / requests) if settings.writes is not None else 0.0
    for request in settings.requests:
        yield _ask(request, request.weight, seen)
    if settings.writes is not None and share > 0:
        weight = whole * share / (1 - 2 * share)
        yield _ask(settings.writes.create, weight, seen, "create")
        yield _ask(settings.writes.read_back, weight, seen, "read back")


def _label(request: Request, kind: Kind) -> str:
    return request.label if kind == "request" else f"{kind}: {request.label}"


def _ask(request: Request, weight: float, seen: dict[str, Shape | None], kind: Kind = "request") -> Ask:
    label = _label(request, kind)
    return Ask(
        label=label,
        path=request.path,
        method=request.method,
        headers=request.headers,
        json=request.json_,
        weight=weight,
        expect=request.expect,
        contains=request.contains,
        shape=seen.get(label),
        kind=kind,
    )
