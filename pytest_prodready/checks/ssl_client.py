"""Judge what the service, or its engine, gave to an impostor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_prodready.catalogue import RULES
from pytest_prodready.findings import Finding, Rule
from pytest_prodready.probes.impostor_attempts import Attempt, Stage, tell
from pytest_prodready.probes.impostor_disguises import POSTGRES_CASES, REDIS_CASES, Case
from pytest_prodready.probes.ssl_engine import EngineTrust
from pytest_prodready.probes.ssl_play import CaseSeen, Impersonation

LIMIT = "nothing is sent to a server that can't be verified"
GAVE: Mapping[Stage, str] = {
    Stage.PASSWORD_IN_CLEAR: "sent its password in clear to a server with {case}",
    Stage.PASSWORD_OVER_TLS: "sent its password over TLS to a server with {case}",
    Stage.SPOKE_IN_CLEAR: "began to speak in clear with a server with {case}",
    Stage.SPOKE_OVER_TLS: "began to speak over TLS with a server with {case}",
}


def authority_is_checked(seen: Impersonation) -> Finding:
    """A certificate that nobody known vouches for is refused."""
    return _judged(
        RULES["ssl.client-checks-authority"], "the service", seen, (Case.UNKNOWN_AUTHORITY, Case.SELF_SIGNED)
    )


def name_is_checked(seen: Impersonation) -> Finding:
    """A certificate for another host is refused."""
    return _judged(RULES["ssl.client-checks-name"], "the service", seen, (Case.OTHER_NAME,))


def validity_is_checked(seen: Impersonation) -> Finding:
    """A certificate out of its time is refused."""
    return _judged(
        RULES["ssl.client-checks-validity"], "the service", seen, (Case.EXPIRED, Case.NOT_YET_VALID)
    )


def tls_is_required(seen: Impersonation) -> Finding:
    """A server without TLS is refused."""
    return _judged(RULES["ssl.client-requires-tls"], "the service", seen, (Case.NO_TLS,))


def tls12_is_required(seen: Impersonation) -> Finding:
    """A server with old protocol versions only is refused."""
    return _judged(RULES["ssl.client-requires-tls12"], "the service", seen, (Case.OLD_TLS,))


def engine_verifies_server(seen: EngineTrust) -> Finding:
    """The engine goes to its own server, and to no impostor."""
    rule = RULES["ssl.engine-verifies-server"]
    cases = tuple(case for case in POSTGRES_CASES if case is not Case.CONTROL and _offered(case, seen.met))
    finding = _judged(rule, "the engine", seen.met, cases)
    if not seen.connects and not _given_away(seen.met, cases):
        return rule.inconclusive(
            f"the engine doesn't connect to its own server ({seen.error}), so refusals prove nothing"
        )
    return finding


def redis_is_verified(seen: Impersonation) -> Finding:
    """Redis is reached by TLS, and verified."""
    cases = tuple(case for case in REDIS_CASES if case is not Case.CONTROL)
    return _judged(RULES["ssl.redis-encrypted"], "the service", seen, cases)


def _judged(rule: Rule, who: str, seen: Impersonation, cases: Sequence[Case]) -> Finding:
    if given := _given_away(seen, cases):
        asked = any(attempt.asked_for_tls for each in seen.cases for attempt in each.attempts)
        never = "" if asked else ", and never asked for TLS"
        return rule.failed(f"{who} {'; '.join(given)}{never}", limit=LIMIT)
    if doubt := _doubt(who, seen, cases):
        return rule.inconclusive(doubt, limit=LIMIT)
    refused = "; ".join(f"{case} ({_refusal(_worst(seen.of(case)))})" for case in cases)
    ended = [each.case for each in seen.cases if each.process_ended and each.case in cases]
    died = f"; its process ended at {ended[0]}" if ended else ""
    return rule.passed(f"{who} trusts the good server, and refuses one with {refused}{died}", limit=LIMIT)


def _given_away(seen: Impersonation, cases: Sequence[Case]) -> list[str]:
    found = []
    for case in cases:
        worst = _worst(seen.of(case))
        if worst is not None and worst.stage.trusting:
            found.append(GAVE[worst.stage].format(case=case))
    return found


def _doubt(who: str, seen: Impersonation, cases: Sequence[Case]) -> str:
    """Why refusals prove nothing, or weren't seen."""
    control = _worst(seen.of(Case.CONTROL))
    if control is None or not control.stage.met:
        return f"{who} made no connection to the impostor with a good certificate (the control){_why(seen)}"
    if not control.stage.trusting:
        return (
            f"{who} refused the control as well, a good certificate ({_refusal(control)}): "
            "refusing everybody proves nothing; does it trust {postgres.ca_file}, of a server of the gate?"
        )
    for case in cases:
        if not _offered(case, seen):
            return "this machine's OpenSSL can't offer TLS 1.1, so it couldn't be tried"
        worst = _worst(seen.of(case))
        if worst is None or not worst.stage.met:
            return f"{who} made no connection to a server with {case}{_why(seen)}"
        if not tell(_attempts(seen.of(case))):
            return (
                f"{who} met a server with {case}, and {_unfinished(worst)}: refused, or only out of time?"
                f"{_why(seen)}"
            )
    return ""


def _offered(case: Case, seen: Impersonation) -> bool:
    return case is not Case.OLD_TLS or seen.old_tls_offered


def _why(seen: Impersonation) -> str:
    if seen.stopped:
        return f": {seen.stopped}"
    if any(each.process_ended for each in seen.cases):
        return ": its process ended"
    return ""


def _unfinished(attempt: Attempt) -> str:
    return "hung up once without a word" if attempt.finished else "was still at it when the time was over"


def _attempts(seen: CaseSeen | None) -> tuple[Attempt, ...]:
    return seen.attempts if seen else ()


def _worst(seen: CaseSeen | None) -> Attempt | None:
    return max(_attempts(seen), key=lambda attempt: (attempt.stage.rank, attempt.reason), default=None)


def _refusal(attempt: Attempt | None) -> str:
    if attempt is None:
        return "nothing"
    if attempt.stage is Stage.HANDSHAKE_FAILED:
        return attempt.reason or str(attempt.stage)
    return "hung up" if attempt.stage is Stage.ASKED_FOR_TLS else str(attempt.stage)
