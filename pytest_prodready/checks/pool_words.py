"""How outcomes of requests are told in one line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pytest_prodready.probes.pool_steady import Outcome, Recovery


def told(seen: Iterable[Outcome]) -> str:
    """The outcomes by status with their longest time: "10 got 503 within 1.0 s, 2 got no answer"."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in seen:
        groups.setdefault(_kind(outcome), []).append(outcome)
    parts = [
        f"{len(group)} {kind} {_within(group)}" for kind, group in sorted(groups.items(), key=_most_first)
    ]
    return ", ".join(parts) or "none"


def slowest_s(seen: Sequence[Outcome]) -> float:
    """The longest time of all."""
    return max((outcome.seconds for outcome in seen), default=0.0)


def came_back(back: Recovery) -> str:
    """How the service came back."""
    if not back.alive:
        return "its process had ended"
    if back.served_after_s is None:
        last = f" (last answer: {_kind(back.last).removeprefix('got ')})" if back.last else ""
        return f"it served nothing for {back.watched_s:.1f} s afterwards{last}"
    return f"it served again {back.served_after_s:.1f} s afterwards"


def worse(before: Sequence[Outcome], after: Sequence[Outcome]) -> bool:
    """Whether requests fail that were all served before."""
    return all(each.expected for each in before) and not all(each.expected for each in after)


def never_served(before: Sequence[Outcome]) -> str:
    """Why the same requests afterwards say nothing; empty where they were all served before."""
    if all(each.expected for each in before):
        return ""
    return f"even before, {len(before)} requests at once were not all served: {told(before)}"


def recovered(back: Recovery, within_s: float) -> bool:
    """Whether the same process served again in time."""
    return back.alive and back.served_after_s is not None and back.served_after_s <= within_s


def count(number: int, noun: str) -> str:
    """A number with its noun: "1 request", "2 requests"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _kind(outcome: Outcome) -> str:
    if outcome.status is not None:
        return f"got {outcome.status}"
    return f"got no answer ({outcome.error})" if outcome.error else "got no answer"


def _within(group: Sequence[Outcome]) -> str:
    longest = slowest_s(group)
    return f"within {longest:.1f} s" if longest >= 0.05 else "at once"


def _most_first(item: tuple[str, list[Outcome]]) -> tuple[int, str]:
    return -len(item[1]), item[0]
