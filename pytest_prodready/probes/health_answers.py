"""What health paths answered: when, how fast, and in which words, with known secrets taken out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_prodready.environment.secrets import forms
from pytest_prodready.probes.traffic import Answer
from pytest_prodready.settings import Request, Settings

BODY_KEPT = 4000
WORDINGS_KEPT = 8  # different ones of each check and phase: numbers alone make no difference
FRAGMENT = 6  # characters; parse errors leak parts of a password around its delimiters


@dataclass(frozen=True, slots=True)
class Asked:
    """One question to a health path; `status` is None when no answer came, `error` then says why."""

    check: str  # liveness, readiness or deep
    at_s: float  # when it was sent, in seconds since the probe began
    seconds: float
    status: int | None
    error: str = ""

    @property
    def up(self) -> bool:
        """Whether it said yes."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def answered_at_s(self) -> float:
        """When its answer, or the lack of one, was known."""
        return self.at_s + self.seconds


@dataclass(frozen=True, slots=True)
class Said:
    """What one health path said, word for word but for the secrets; many equal answers are kept once."""

    check: str
    phase: str  # healthy, refused, silent, healed
    status: int
    body: str
    headers: tuple[tuple[str, str], ...]
    at_s: float = 0.0  # of the first such answer
    secrets: tuple[str, ...] = ()  # names of the known secrets that it held
    cut_off: bool = False  # longer than what is kept; secrets were searched in all of it


@dataclass(frozen=True, slots=True)
class Moment:
    """A part of a probe, by the seconds at which questions were sent."""

    phase: str
    from_s: float


def paths(settings: Settings) -> dict[str, Request]:
    """The health requests that are configured, by the name of their check."""
    health = settings.health
    given = {"liveness": health.liveness, "readiness": health.readiness, "deep": health.deep}
    return {check: Request(name=check, path=path) for check, path in given.items() if path}


def asked(answers: Iterable[Answer], later_s: float = 0.0) -> tuple[Asked, ...]:
    """The answers without their words, in the order in which they were asked for."""
    seen = (
        Asked(a.request, round(a.at_s + later_s, 4), round(a.seconds, 4), a.status, a.error) for a in answers
    )
    return tuple(sorted(seen, key=lambda each: each.at_s))


def heard(
    answers: Iterable[Answer], moments: Sequence[Moment], known: Mapping[str, str], later_s: float = 0.0
) -> tuple[Said, ...]:
    """The different things that were said in each phase, known secrets replaced by their names."""
    kept: dict[tuple[str, str, int, str], Said] = {}
    count: dict[tuple[str, str], int] = {}
    for answer in sorted(answers, key=lambda each: each.at_s):
        if answer.status is None:
            continue
        at_s = answer.at_s + later_s
        phase = next((m.phase for m in reversed(moments) if m.from_s <= at_s), moments[0].phase)
        key = (answer.request, phase, answer.status, re.sub(r"\d+", "0", answer.body))
        if key in kept or count.get(key[:2], 0) >= WORDINGS_KEPT:
            continue
        count[key[:2]] = count.get(key[:2], 0) + 1
        kept[key] = _said(answer, answer.status, phase, at_s, known)
    return tuple(kept.values())


def redact(text: str, known: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """The text with each known secret, and the password in any URL, replaced; the names of those found."""
    found: dict[str, None] = {}
    for name, secret in known.items():
        for form in _forms(secret):
            if form in text:
                text = text.replace(form, f"[{name}]")
                found[name] = None
    return re.sub(r"(://[^\s/:@\"']*):[^\s@\"'\[]+@", r"\1:[a password]@", text), tuple(found)


def _said(answer: Answer, status: int, phase: str, at_s: float, known: Mapping[str, str]) -> Said:
    body, in_body = redact(answer.body, known)
    headers = [(name, redact(value, known)) for name, value in answer.headers]
    found = dict.fromkeys((*in_body, *(each for _, (_, names) in headers for each in names)))
    return Said(
        check=answer.request,
        phase=phase,
        status=status,
        body=body[:BODY_KEPT],
        headers=tuple((name, value) for name, (value, _) in headers),
        at_s=round(at_s, 4),
        secrets=tuple(found),
        cut_off=len(body) > BODY_KEPT,
    )


def _forms(secret: str) -> list[str]:
    """Every usual encoding of the secret, and its longer fragments, longest first."""
    parts = [part for part in re.split(r"[@/#%:?]", secret) if len(part) >= FRAGMENT]
    whole = {secret, *forms(secret)} if "://" not in secret else {secret}
    return sorted({*whole, *(parts if "://" not in secret else ())}, key=len, reverse=True)
