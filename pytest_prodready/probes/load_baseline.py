"""An earlier run to hold a load against: what is kept of it, and what two runs have to have in common."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from pytest_prodready.generator.plan import Plan
from pytest_prodready.probes.load import SELF_TEST, Interval, Load, Part, Stage, Topology
from pytest_prodready.probes.load_limits import disturbed, doubts
from pytest_prodready.probes.load_plan import mix
from pytest_prodready.records import of_schema

SCHEMA = "prodready-load/1"
PERCENTILES = ("p50", "p95", "p99")


@dataclass(frozen=True, slots=True)
class KeptStage:
    """One stage: what was sent, and percentiles of the response time; none where nothing was answered."""

    name: str
    rate: float  # requests a second
    requests: int
    response: Mapping[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Baseline:
    """A run that others are held against."""

    service: str = ""
    topology: Topology = field(default_factory=Topology)
    mix: tuple[Part, ...] = ()
    stages: tuple[KeptStage, ...] = ()
    found: bool = True
    path: str = ""
    kept: str = ""  # the file that this run was written to
    unkept: str = ""  # why it was not

    def response(self, stage: str) -> Mapping[str, Interval]:
        """The response times of the stage of this name."""
        return next((each.response for each in self.stages if each.name == stage), {})


def measured(seen: Load, service: str = "", path: str = "") -> Baseline:
    """What is kept of a run."""
    stages = tuple(KeptStage(each.name, each.rate, each.planned, _response(each)) for each in seen.stages)
    return Baseline(service, seen.topology, seen.mix, stages, path=path)


def planned(made: Plan, service: str, topology: Topology) -> Baseline:
    """The run that is to come, as far as it is known before."""
    stages = tuple(KeptStage(each.name, each.rate, each.planned) for each in made.stages)
    return Baseline(service, topology, mix(made), stages)


def unfit(seen: Load) -> str:
    """Why nothing should be held against this run; empty where nothing speaks against it."""
    if seen.doubt or seen.lacking or not seen.climb:
        return seen.doubt or seen.lacking or "no request was sent at the usual load"
    if seen.ended or seen.peak is None:
        return f"the {seen.cut} was ended in stage {seen.ended_in}, since {seen.ended}"
    tested = seen.stage(SELF_TEST)
    if tested is None or tested.response is None:
        return "nothing tells how quick the machine was: no server that does nothing was loaded"
    return doubts(seen.generator) or next(filter(None, (disturbed(seen, each) for each in seen.climb)), "")


def differences(before: Baseline, now: Baseline, *, whole: bool = True) -> Iterator[str]:
    """In what the second run isn't the first one's like; less than `whole`, it may lack stages."""
    if now.topology != before.topology:
        yield f"{_from(now.topology)}, not {_from(before.topology)}"
    sent = {each.name: _sent(each) for each in now.stages}
    wanted = {each.name: _sent(each) for each in before.stages}
    if not whole:
        wanted = {name: words for name, words in wanted.items() if name in sent}
    yield from _unlike("stage", wanted, sent)
    yield from _unlike("request", _asked(before.mix), _asked(now.mix))


def as_text(baseline: Baseline) -> str:
    """The file: a line for each request of the mix and for each stage; percentiles with their confidence."""
    facts = {"schema": SCHEMA, "service": baseline.service, **asdict(baseline.topology)}
    lines = [f" {json.dumps(name)}: {json.dumps(value)}" for name, value in facts.items()]
    mix_lines = _list("mix", [asdict(each) for each in baseline.mix])
    stages = _list("stages", [_told(each) for each in baseline.stages])
    return "{\n" + ",\n".join([*lines, mix_lines, stages]) + "\n}\n"


def parsed(text: str, path: str) -> Baseline:
    """The file read back; raises ValueError for what isn't one."""
    data = of_schema(text, SCHEMA)
    try:
        return Baseline(
            service=str(data["service"]),
            topology=Topology(**{name: int(data[name]) for name in asdict(Topology())}),
            mix=tuple(
                Part(str(each["request"]), str(each["asks"]), float(each["share"])) for each in data["mix"]
            ),
            stages=tuple(_parsed(each) for each in data["stages"]),
            path=path,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _response(stage: Stage) -> Mapping[str, Interval]:
    times = stage.response
    return {} if times is None else {name: getattr(times, name) for name in PERCENTILES}


def _told(stage: KeptStage) -> dict[str, Any]:
    response = {f"{name}_ms": [each.ms, each.low_ms, each.high_ms] for name, each in stage.response.items()}
    return {"stage": stage.name, "per_s": stage.rate, "requests": stage.requests, **response}


def _parsed(told: Mapping[str, Any]) -> KeptStage:
    answered = any(f"{name}_ms" in told for name in PERCENTILES)
    response = {name: _interval(told[f"{name}_ms"]) for name in PERCENTILES} if answered else {}
    return KeptStage(str(told["stage"]), float(told["per_s"]), int(told["requests"]), response)


def _interval(told: Sequence[Any]) -> Interval:
    ms, low, high = (float(value) for value in told)
    if not all(0 <= value < math.inf for value in (ms, low, high)):
        raise ValueError(f"{told} are no times in milliseconds")
    return Interval(ms, low, high)


def _list(name: str, entries: Sequence[Mapping[str, Any]]) -> str:
    rows = ",\n".join(f"  {json.dumps(each, ensure_ascii=False)}" for each in entries)
    return f" {json.dumps(name)}: [\n{rows}\n ]"


def _from(topology: Topology) -> str:
    return ", ".join(f"{name} {count}" for name, count in asdict(topology).items())


def _sent(stage: KeptStage) -> str:
    return f"{stage.requests} at {stage.rate:g}/s"


def _asked(parts: Sequence[Part]) -> dict[str, str]:
    return {each.request: f"{each.asks} in {each.share:.1%}" for each in parts}


def _unlike(what: str, before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name in {**before, **now}:
        if before.get(name) != now.get(name):
            yield f"{what} {name} is {now.get(name, 'not there')}, not {before.get(name, 'there at all')}"
