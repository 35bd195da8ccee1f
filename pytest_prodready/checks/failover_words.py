"""What the checks of the failover suite have in common: doubts, health, recovery, and words for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pytest_prodready.findings import Rule
from pytest_prodready.probes.drill import Drill, Sent, counted
from pytest_prodready.settings import Settings

FEW = 0.02  # of the answers may be late on a busy machine
FEWEST_WRITES = 5
CAPTURED = (
    "Liveness waited as well: every worker was held by a request that waits. Let each wait less, bound how "
    "many may wait (a semaphore), and have more threads than that (gunicorn: --worker-class gthread "
    "--threads 32)."
)
TRIES_SELDOM = (
    "Connect again with pauses of a few seconds at most: an exponential backoff without a ceiling stays away "
    "as long again as the outage lasted (psycopg_pool: reconnect_timeout=1, and no max_waiting beside it: "
    "clients that gave up fill its queue, and then nobody connects any more; others: a maximum)."
)


def seconds(value: float) -> str:
    """A time for people: 80 ms, 1.5 s."""
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def around(at_s: float, failure_at_s: float) -> str:
    """When something was, by the failure: 80 ms before, 1.5 s after."""
    return f"{seconds(abs(failure_at_s - at_s))} {'before' if at_s <= failure_at_s else 'after'}"


def busy(seen: Drill) -> str:
    """That the machine, and not only the service, was late."""
    return f"but the machine was busy: requests were sent up to {seconds(seen.behind_s)} late"


def kinds(answers: Iterable[Sent]) -> str:
    """How many answers of each kind: 180 x 503, 2 x connection refused."""
    return ", ".join(f"{count} x {kind}" for kind, count in counted(answers).items()) or "none"


def slowest(answers: Iterable[Sent]) -> str:
    """The longest that one of them took."""
    return seconds(max((each.seconds for each in answers), default=0.0))


def late(answers: Sequence[Sent], limit_s: float, behind_s: float = 0.0) -> list[Sent]:
    """Answers beyond the limit, unless they are as few as a busy machine makes late.

    `behind_s` is how late that machine was by its own schedule: what it did to us, it did to the service.
    """
    slow = [each for each in answers if each.seconds > limit_s + behind_s]
    few = max(2.0, FEW * len(answers))
    return slow if len(slow) > few or any(each.seconds > 3 * limit_s + behind_s for each in slow) else []


def impolite(answers: Iterable[Sent]) -> list[Sent]:
    """Answers that are neither what was declared nor a 503 or 429."""
    return [each for each in answers if not each.expected and not each.refused_politely]


def ended(seen: Drill) -> str:
    """That the process ended, with its last words; empty when it lives, or nobody can know."""
    if seen.same_process is not False:
        return ""
    words = seen.last_words
    return f"the process ended{f' ({words[:120]})' if words else ''}"


def liveness(seen: Drill, settings: Settings) -> str:
    """What is wrong with liveness: an orchestrator would restart a healthy process; empty when nothing is."""
    answers = seen.of_health("liveness")
    bad = [each for each in answers if not each.expected]
    if bad:
        return f"liveness said {kinds(bad)} meanwhile: an orchestrator would restart it"
    hung = late(answers, settings.health.liveness_within_s, seen.behind_s)
    return f"liveness took {slowest(hung)} meanwhile" if hung else ""


def remedy(rule: Rule, seen: Drill, settings: Settings, own: str = "") -> str:
    """What to change: the rule's remedy, or a more exact one; and workers, where liveness had none."""
    answers = seen.of_health("liveness")
    silent = [each for each in answers if each.status is None and each.error.startswith("no answer")]
    hung = silent or late(answers, settings.health.liveness_within_s, seen.behind_s)
    alive = not ended(seen) and seen.recovered_at_s() is not None
    return f"{own or rule.remedy} {CAPTURED}" if hung and alive else own


def readiness(seen: Drill, within_s: float) -> str:
    """What is wrong with readiness while nothing could be served; empty when nothing is, or can't be told.

    It has to fall once requests are refused for longer than this. What was answered after the heal had begun
    may be true.
    """
    healing = seen.mark("healing") or seen.healed_at_s
    answers = [each for each in seen.of_health("readiness") if each.ended_at_s < healing]
    late_ones = [each for each in answers if each.at_s >= seen.fault_at_s + within_s]
    served = [each for each in seen.during(within_s) if each.expected]
    if not late_ones or served or any(not each.expected for each in late_ones):
        return ""
    return f"readiness said {kinds(late_ones)} while no request was served"


def recovery(seen: Drill, within_s: float) -> tuple[str, str]:
    """In words how service came back, and what is wrong with it (empty when it came back in time)."""
    took = seen.rto_from_heal_s
    watched = seen.seconds - seen.healed_at_s
    if took is None:
        return "", f"not served again {seconds(watched)} after the heal: {kinds(seen.after()[-20:])}"
    words = f"served again {seconds(took)} (± {seconds(seen.uncertainty_s)}) after the heal"
    if took > within_s + seen.uncertainty_s:
        return words, words
    if not seen.steady_after:
        return words, f"{words}, and then not for good: {seen.unsteady}"
    return words, ""
