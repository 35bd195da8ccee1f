"""Judge the health paths of a service whose database was refused, silent, or kept busy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.health_body import State, dependencies, is_json, tells_of
from pytest_prodready.checks.health_words import late, of, outcomes, seconds, too_many_late, worst_s
from pytest_prodready.findings import Finding, Rule
from pytest_prodready.probes.health_answers import Asked, Said
from pytest_prodready.probes.health_full import Busy
from pytest_prodready.probes.health_loss import Loss
from pytest_prodready.settings import HealthSettings

BACK_IN_A_ROW = 3


def readiness_follows_database(seen: Loss, limits: HealthSettings) -> Finding:
    """Readiness falls with the database and comes back with it, in the same process."""
    rule = RULES["health.readiness-follows-database"]
    if doubt := _doubt(seen, "readiness"):
        return rule.inconclusive(doubt)
    wanted = {"fall_within_s": limits.fall_within_s, "recover_within_s": limits.recover_within_s}
    limit = f"fallen within {limits.fall_within_s:g} s, back within {limits.recover_within_s:g} s"
    during, after = of("readiness", seen.during), of("readiness", seen.after)
    gone_s = seconds(seen.healed_at_s - seen.lost_at_s)
    if seen.same_process is False:
        return rule.failed(f"the process ended while its database was gone for {gone_s}", limit=limit)
    fallen_s = _fallen_s(seen)
    if fallen_s is None:
        return _never_fell(rule, seen, during, gone_s, limit)
    back_s = _back_s(after, seen.healed_at_s)
    if back_s is None:
        watched = seconds(seen.watched_until_s - seen.healed_at_s)
        summary = f"readiness fell after {seconds(fallen_s)} and was not back {watched} after the database"
        change = (
            "Let the pool connect again: pre-ping or a reset of dead connections, a retry with a ceiling."
        )
        return rule.failed(f"{summary}: {outcomes(after[-5:])}", limit=limit, limits=wanted, change=change)
    summary = (
        f"readiness fell {seconds(fallen_s)} after the database was gone, back {seconds(back_s)} after it"
    )
    if fallen_s > limits.fall_within_s or back_s > limits.recover_within_s:
        return rule.failed(summary, limit=limit, limits=wanted)
    return rule.passed(summary, limit=limit, limits=wanted)


def readiness_never_hangs(seen: Loss, limits: HealthSettings) -> Finding:
    """Readiness answers, yes or no, in bounded time while the database is silent."""
    rule = RULES["health.readiness-never-hangs"]
    if doubt := _doubt(seen, "readiness"):
        return rule.inconclusive(doubt)
    answers = of("readiness", seen.during)
    if not answers:
        return rule.inconclusive("readiness was not asked while the database was silent")
    limit = f"an answer within {limits.answer_within_s:g} s"
    wanted = {"answer_within_s": limits.answer_within_s}
    silent_s = seconds(seen.healed_at_s - seen.lost_at_s)
    summary = f"database silent for {silent_s}, readiness asked {len(answers)} times: "
    if seen.same_process is False:
        return rule.failed(f"{summary}the process ended", limit=limit, limits=wanted)
    hung = late(answers, limits.answer_within_s)
    if hung:
        return rule.failed(f"{summary}{len(hung)} hung ({outcomes(hung)})", limit=limit, limits=wanted)
    return rule.passed(
        f"{summary}{outcomes(answers)}, slowest {worst_s(answers)}", limit=limit, limits=wanted
    )


def liveness_ignores_database(refused: Loss, silent: Loss, limits: HealthSettings) -> Finding:
    """Liveness stays 200 and fast while the database is refused, and while it is silent."""
    rule = RULES["health.liveness-ignores-database"]
    parts: list[str] = []
    bad: list[str] = []
    for seen in (refused, silent):
        if doubt := _doubt(seen, "liveness", connected=False):
            return rule.inconclusive(doubt)
        answers = of("liveness", seen.during)
        if not answers:
            return rule.inconclusive(f"liveness was not asked while the database was {seen.kind}")
        part = f"database {seen.kind} for {seconds(seen.healed_at_s - seen.lost_at_s)}: {_told(answers)}"
        parts.append(part)
        if seen.same_process is False:
            bad.append(f"{part}, the process ended")
        elif _dead_or_slow(answers, limits.liveness_within_s):
            bad.append(part)
    limit = f"200 within {limits.liveness_within_s:g} s"
    wanted = {"liveness_within_s": limits.liveness_within_s}
    if bad:
        return rule.failed(f"liveness with the {'; '.join(bad)}", limit=limit, limits=wanted)
    return rule.passed(f"liveness with the {'; '.join(parts)}", limit=limit, limits=wanted)


def deep_names_dependency(seen: Loss, limits: HealthSettings) -> Finding:
    """The deep check's answer differs for the database, and not for everything alike."""
    rule = RULES["health.deep-names-dependency"]
    if doubt := _doubt(seen, "deep"):
        return rule.inconclusive(doubt)
    limit = f"the database, and not Redis, reported as failing within {limits.fall_within_s:g} s"
    wanted = {"fall_within_s": limits.fall_within_s}
    # A question asked just before the fault may be answered after it: the best answer was the healthy one.
    well = sorted((s for s in seen.said if s.check == "deep" and s.phase == "healthy"), key=_badness)
    gone = [s for s in seen.said if s.check == "deep" and s.phase == seen.kind]
    if not well or not gone:
        what = outcomes(of("deep", seen.during)) or "it was not asked"
        return rule.failed(
            f"deep gave no answer while the database was gone: {what}", limit=limit, limits=wanted
        )
    told = [_Told.compared(well[0], each) for each in gone]
    named = [each for each in told if each.fallen]
    if not named:
        return _unnamed(rule, gone, limit)
    first = named[0]
    after_s = max(0.0, first.at_s - seen.lost_at_s)
    summary = f"deep said {', '.join(first.fallen)} {seconds(after_s)} after the database was gone"
    blames_all = all(each.blames_all for each in named)
    if blames_all or after_s > limits.fall_within_s:
        alike = ": every dependency at once" if blames_all else ""
        return rule.failed(f"{summary}{alike}", limit=limit, limits=wanted)
    kept = f" ({', '.join(first.kept)} stayed)" if first.kept else ""
    return rule.passed(f"{summary}{kept}", limit=limit, limits=wanted)


def liveness_survives_full_pool(seen: Busy, limits: HealthSettings) -> Finding:
    """Liveness stays 200 and fast while every connection of the pool is busy."""
    rule = RULES["health.liveness-survives-full-pool"]
    limit = f"200 within {limits.liveness_within_s:g} s"
    wanted = {"liveness_within_s": limits.liveness_within_s}
    if not seen.sent:
        return rule.inconclusive("no declared request takes a database connection each time it is sent")
    if not seen.before or not all(each.up for each in seen.before):
        return rule.inconclusive(f"liveness answered {outcomes(seen.before)} before the pool was full")
    summary = (
        f"{seen.holding} of {seen.sent} requests held the pool of {seen.capacity} for {seconds(seen.seconds)}"
        f", liveness meanwhile: {_told(seen.during)}"
    )
    if _dead_or_slow(seen.during, limits.liveness_within_s):
        return rule.failed(summary, limit=limit, limits=wanted)
    # Who gives up a silent connection soon holds none in the end; every one of its requests was refused then.
    full = seen.holding >= seen.capacity or (
        seen.refused > 0 and (seen.holding > 0 or seen.refused == seen.sent)
    )
    if not seen.during or not full:
        return rule.inconclusive(f"{summary}; the pool was not seen to be full")
    return rule.passed(summary, limit=limit, limits=wanted)


@dataclass(frozen=True, slots=True)
class _Told:
    """What the deep check said differently from when all was well."""

    at_s: float
    fallen: tuple[str, ...]  # "database failing"
    kept: tuple[str, ...]
    blames_all: bool  # Redis too, though it was never touched

    @staticmethod
    def compared(well: Said, gone: Said) -> _Told:
        before, now = dependencies(well.body), dependencies(gone.body)
        order = list(State)
        worse = {
            name: state
            for name, state in now.items()
            if state in (State.FAILING, State.DEGRADED)
            and order.index(state) > order.index(before.get(name, State.OK))
        }
        return _Told(
            at_s=gone.at_s,
            fallen=tuple(f"{name} {state}" for name, state in worse.items()),
            kept=tuple(f"{name} {state}" for name, state in now.items() if name not in worse),
            blames_all=len(worse) > 1
            and len(worse) == len(now)
            and any(tells_of("redis", name) for name in worse),
        )


def _badness(said: Said) -> int:
    """How many dependencies an answer complains of."""
    return sum(state is not State.OK for state in dependencies(said.body).values())


def _unnamed(rule: Rule, gone: Sequence[Said], limit: str) -> Finding:
    last = gone[-1]
    if not is_json(last.body):
        what = f"deep answered {last.status} and no JSON"
    elif told := dependencies(last.body):
        what = f"deep answered {last.status} and still {', '.join(f'{n} {s}' for n, s in told.items())}"
    else:
        what = f"deep answered {last.status} without naming any dependency"
    return rule.failed(f"{what} while the database was gone", limit=limit)


def _doubt(seen: Loss, check: str, *, connected: bool = True) -> str:
    """Why the measurement can't tell; empty when it can."""
    if not seen.tried:
        return "the database could not be taken away"
    before = of(check, seen.before)
    if not before:
        return f"{check} was not asked before the database was gone"
    # The first answers may be a cold start's; the last one says how it was at the fault.
    if not before[-1].up:
        return f"{check} answered {outcomes(before)} already before the database was gone"
    if connected and seen.connected is False:
        return "the service made no connection through the fault proxy; does it use {postgres.url}?"
    return ""


def _fallen_s(seen: Loss) -> float | None:
    """Seconds until readiness had fallen for good; None when it still said yes at the end.

    A yes that came when the database was back says nothing of the time before, whenever it was asked for.
    """
    known = [
        each for each in of("readiness", seen.during) if not each.up or each.answered_at_s <= seen.healed_at_s
    ]
    if not known or known[-1].up:
        return None
    first = len(known)
    while first and not known[first - 1].up:
        first -= 1
    return known[first].answered_at_s - seen.lost_at_s


def _never_fell(rule: Rule, seen: Loss, during: Sequence[Asked], gone_s: str, limit: str) -> Finding:
    if not during:
        return rule.inconclusive("readiness was not asked while the database was gone")
    if seen.connected is None:
        change = "See that the service uses {postgres.url}, and let readiness ask the database."
        return rule.failed(
            f"readiness never fell in {gone_s}: {outcomes(during)}", limit=limit, change=change
        )
    return rule.failed(
        f"readiness never fell while the database was gone for {gone_s}: {outcomes(during)}", limit=limit
    )


def _back_s(after: Sequence[Asked], healed_at_s: float) -> float | None:
    """Seconds until the first of several yeses in a row."""
    for index in range(len(after) - BACK_IN_A_ROW + 1):
        if all(each.up for each in after[index : index + BACK_IN_A_ROW]):
            return after[index].answered_at_s - healed_at_s
    return None


def _told(answers: Sequence[Asked]) -> str:
    return f"{outcomes(answers)}, slowest {worst_s(answers)}"


def _dead_or_slow(answers: Sequence[Asked], within_s: float) -> bool:
    return any(not each.up and each.status is not None for each in answers) or too_many_late(
        answers, within_s
    )
