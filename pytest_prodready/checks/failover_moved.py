"""Judge a drill in which the database's name moved to another address."""

from __future__ import annotations

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.failover_words import ended, kinds, liveness, recovery, seconds
from pytest_prodready.findings import Finding
from pytest_prodready.probes.drill import Drill
from pytest_prodready.probes.failover_moved import MovedAddress
from pytest_prodready.settings import Settings


def moved_address_is_followed(seen: MovedAddress, settings: Settings) -> Finding:
    """New connections go where the name leads, and requests are served by them."""
    rule, within_s = RULES["failover.moved-address-is-followed"], settings.failover.moved_within_s
    if seen.drill is None:
        return rule.unverified(f"not tried: a name can't be moved for the service here: {seen.unsupported}")
    drill = seen.drill
    if doubt := drill.doubt or _not_felt(seen, drill):
        return rule.inconclusive(doubt)
    wanted = {"moved_within_s": within_s}
    limit = f"connections to the new address, and requests served, within {within_s:g} s of the move"
    told = f"{drill.fault}; {_attempts(seen)}"
    back, not_back = (words.replace("the heal", "the move") for words in recovery(drill, within_s))
    wrong = [
        ended(drill),
        _kept(seen, drill, within_s),
        not_back or _no_write(drill, within_s),
        liveness(drill, settings),
    ]
    if any(wrong):
        summary = f"{told}; {'; '.join(each for each in wrong if each)}"
        return rule.failed(summary, limit=limit, limits=wanted)
    return rule.passed(f"{told}; {back}", limit=limit, limits=wanted)


def _not_felt(seen: MovedAddress, drill: Drill) -> str:
    """Why the move says nothing: nobody had anything to do with that name."""
    if drill.mark("moved") is None:
        return f"{drill.fault}: the name never moved"
    if seen.new_after_s or seen.old_after_s:
        return ""
    if not seen.held:
        return (
            f"{drill.fault}: nobody connected to the database by that name,"
            " so the service has its address from elsewhere than [service] env or command"
        )
    if all(each.expected for each in drill.after()):
        return f"{drill.fault}: every request was served without a new connection to the database"
    return ""


def _attempts(seen: MovedAddress) -> str:
    """How many connections went where."""
    old, new = len(seen.old_after_s), len(seen.new_after_s)
    last = f", the last of them {seconds(max(seen.old_after_s))} after it" if old else ""
    return f"since the move {new} connections to the new address, {old} attempts at the old one{last}"


def _no_write(drill: Drill, within_s: float) -> str:
    """Writes that didn't come back, or late; empty when they did, or none is declared."""
    writes = [each for each in drill.writes if each.at_s >= drill.healed_at_s]
    if not writes:
        return ""
    back = drill.write_recovered_at_s()
    if back is None:
        return f"no write was served after the move: {kinds(writes[-10:])}"
    took = back - drill.healed_at_s
    late = took > within_s + drill.uncertainty_s
    return f"writes were back {seconds(took)} after the move" if late else ""


def _kept(seen: MovedAddress, drill: Drill, within_s: float) -> str:
    """That the old address was still wanted beyond the limit, by all or by some; empty when it wasn't."""
    if not any(at > within_s + drill.uncertainty_s for at in seen.old_after_s):
        return ""
    who = "some of it" if seen.new_after_s else "it"
    return f"{who} kept connecting to the old address"
