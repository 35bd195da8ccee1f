"""Verdicts on what the service gave to an impostor, from literals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from pytest_prodready.checks import ssl_client as checks
from pytest_prodready.findings import Finding, Verdict
from pytest_prodready.probes.impostor_attempts import HUNG_UP as SILENTLY
from pytest_prodready.probes.impostor_attempts import Attempt, Stage
from pytest_prodready.probes.impostor_disguises import POSTGRES_CASES, REDIS_CASES, Case
from pytest_prodready.probes.ssl_engine import EngineTrust
from pytest_prodready.probes.ssl_play import CaseSeen, Impersonation

TRUSTED = Attempt(Stage.PASSWORD_OVER_TLS, 0.1, asked_for_tls=True, tls="TLSv1.3")
REFUSED = Attempt(Stage.HANDSHAKE_FAILED, 0.1, asked_for_tls=True, reason="alert unknown ca")
HUNG_UP = Attempt(Stage.ASKED_FOR_TLS, 0.1, asked_for_tls=True)
WORDLESS = Attempt(Stage.HANDSHAKE_FAILED, 0.1, asked_for_tls=True, reason=SILENTLY)
UNDER_WAY = Attempt(Stage.ASKED_FOR_TLS, 0.1, asked_for_tls=True, finished=False)
IN_CLEAR = Attempt(Stage.PASSWORD_IN_CLEAR, 0.2)
CONNECTED = Attempt(Stage.CONNECTED, 0.2)

Check = Callable[[Impersonation], Finding]
RULES: dict[Check, tuple[Case, ...]] = {
    checks.authority_is_checked: (Case.UNKNOWN_AUTHORITY, Case.SELF_SIGNED),
    checks.name_is_checked: (Case.OTHER_NAME,),
    checks.validity_is_checked: (Case.EXPIRED, Case.NOT_YET_VALID),
    checks.tls_is_required: (Case.NO_TLS,),
    checks.tls12_is_required: (Case.OLD_TLS,),
    checks.redis_is_verified: REDIS_CASES[1:],
    lambda met: checks.engine_verifies_server(EngineTrust(True, "", met)): POSTGRES_CASES[1:],
}
EACH_RULE = pytest.mark.parametrize(("check", "cases"), RULES.items())


def played(
    changes: Mapping[Case, tuple[Attempt, ...]] | None = None, cases: tuple[Case, ...] = POSTGRES_CASES
) -> Impersonation:
    """A service that trusts the control and refuses all else, with these changes."""
    seen: dict[Case, tuple[Attempt, ...]] = dict.fromkeys(cases, (REFUSED,))
    seen |= {Case.CONTROL: (TRUSTED,), **(changes or {})}
    return Impersonation(tuple(CaseSeen(case, seen[case], 0.4) for case in cases))


@EACH_RULE
def test_refused(check: Check, cases: tuple[Case, ...]) -> None:
    """Trusting the control and refusing the rest passes, with the reason that the client gave."""
    finding = check(played())
    assert finding.verdict is Verdict.PASSED
    assert "alert unknown ca" in finding.summary
    assert all(case in finding.summary for case in cases)


@EACH_RULE
def test_hung_up_without_a_word(check: Check, cases: tuple[Case, ...]) -> None:
    """Who hangs up once may have been too slow; twice, or once with a reason, it has refused."""
    for case in cases:
        finding = check(played({case: (WORDLESS,)}))
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert f"met a server with {case}, and hung up once without a word" in finding.summary
        assert check(played({case: (WORDLESS, WORDLESS)})).verdict is Verdict.PASSED
        assert check(played({case: (WORDLESS, REFUSED)})).verdict is Verdict.PASSED
        assert check(played({case: (WORDLESS, TRUSTED)})).verdict is Verdict.FAILED


@EACH_RULE
def test_still_under_way(check: Check, cases: tuple[Case, ...]) -> None:
    """Who has not decided when the time is over has refused nothing."""
    for case in cases:
        finding = check(played({case: (UNDER_WAY,)}))
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert "was still at it when the time was over" in finding.summary


@EACH_RULE
def test_trusted(check: Check, cases: tuple[Case, ...]) -> None:
    """Each case alone breaks its rule, and the summary says what was given to whom."""
    for case in cases:
        finding = check(played({case: (REFUSED, TRUSTED)}))
        assert finding.verdict is Verdict.FAILED
        assert f"sent its password over TLS to a server with {case}" in finding.summary


@EACH_RULE
def test_another_rules_case_does_not_matter(check: Check, cases: tuple[Case, ...]) -> None:
    """What another rule judges leaves this one alone."""
    others = {case: (TRUSTED,) for case in POSTGRES_CASES if case not in cases}
    assert check(played(others)).verdict is Verdict.PASSED


def test_fallen_back() -> None:
    """A second attempt in clear after a refused handshake is what counts."""
    finding = checks.tls12_is_required(played({Case.OLD_TLS: (REFUSED, IN_CLEAR)}))
    assert finding.verdict is Verdict.FAILED
    assert finding.summary == "the service sent its password in clear to a server with TLS 1.1 at most"


@pytest.mark.parametrize(
    ("stage", "says"),
    [
        (Stage.SPOKE_OVER_TLS, "began to speak over TLS with a server with"),
        (Stage.SPOKE_IN_CLEAR, "began to speak in clear with a server with"),
    ],
)
def test_spoken_without_a_password(stage: Stage, says: str) -> None:
    """Role and database alone are too much already."""
    finding = checks.name_is_checked(played({Case.OTHER_NAME: (replace(TRUSTED, stage=stage),)}))
    assert finding.verdict is Verdict.FAILED
    assert says in finding.summary


def test_never_asked_for_tls() -> None:
    """A client without any TLS fails, and that is said."""
    finding = checks.tls_is_required(played(dict.fromkeys(Case, (IN_CLEAR,))))
    assert finding.verdict is Verdict.FAILED
    assert finding.summary.endswith("and never asked for TLS")


def test_hung_up_at_no() -> None:
    """Hanging up when TLS is declined is the right answer."""
    finding = checks.tls_is_required(played({Case.NO_TLS: (HUNG_UP,)}))
    assert finding.verdict is Verdict.PASSED
    assert "no TLS (hung up)" in finding.summary


@EACH_RULE
def test_control_refused(check: Check, cases: tuple[Case, ...]) -> None:
    """A client that refuses the good server too proves nothing by refusing the bad."""
    finding = check(played({Case.CONTROL: (REFUSED,)}))
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "the control" in finding.summary


@EACH_RULE
@pytest.mark.parametrize("attempts", [(), (CONNECTED,)], ids=["nobody came", "nobody spoke"])
def test_nothing_seen(check: Check, cases: tuple[Case, ...], attempts: tuple[Attempt, ...]) -> None:
    """Without an attempt in the control, or in one of the rule's cases, nothing can be told."""
    for case in (Case.CONTROL, cases[-1]):
        assert check(played({case: attempts})).verdict is Verdict.INCONCLUSIVE


def test_trust_outweighs_a_missing_control() -> None:
    """What was given away was given away, control or not."""
    seen = played({Case.CONTROL: (), Case.SELF_SIGNED: (TRUSTED,)})
    assert checks.authority_is_checked(seen).verdict is Verdict.FAILED


def test_stopped_early() -> None:
    """When the service didn't get ready again, the rest is unknown, and why is said."""
    seen = replace(played(cases=(Case.CONTROL,)), stopped="The service was not ready after 30.0 s")
    finding = checks.name_is_checked(seen)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "not ready after 30.0 s" in finding.summary


def test_process_ended() -> None:
    """A service that refuses and then ends itself has refused; that it ended is said."""
    cases = tuple(replace(each, process_ended=each.case is Case.OTHER_NAME) for each in played().cases)
    finding = checks.name_is_checked(Impersonation(cases))
    assert finding.verdict is Verdict.PASSED
    assert "its process ended" in finding.summary


def test_process_ended_unseen() -> None:
    """A service that ends without having connected has shown nothing."""
    seen = played({Case.OTHER_NAME: ()})
    cases = tuple(replace(each, process_ended=each.case is Case.OTHER_NAME) for each in seen.cases)
    finding = checks.name_is_checked(Impersonation(cases))
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "its process ended" in finding.summary


WITHOUT_OLD_TLS = replace(played(cases=POSTGRES_CASES[:-1]), old_tls_offered=False)


def test_old_tls_can_not_be_offered() -> None:
    """Where OpenSSL can't play a server with TLS 1.1, that rule can't be told."""
    finding = checks.tls12_is_required(WITHOUT_OLD_TLS)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "OpenSSL can't offer TLS 1.1" in finding.summary


def test_engine_without_old_tls() -> None:
    """The engine's rule goes by the cases that could be played."""
    assert checks.engine_verifies_server(EngineTrust(True, "", WITHOUT_OLD_TLS)).verdict is Verdict.PASSED


def test_engine_that_never_connects() -> None:
    """An engine that can't reach its own server either proves nothing, unless it gave something away."""
    finding = checks.engine_verifies_server(EngineTrust(False, "OperationalError", played()))
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "OperationalError" in finding.summary
    trusting = played({Case.SELF_SIGNED: (TRUSTED,)})
    assert checks.engine_verifies_server(EngineTrust(False, "X", trusting)).verdict is Verdict.FAILED
