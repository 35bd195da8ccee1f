"""Passwords: making them, and keeping them out of every text."""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

REDACTED = "[redacted]"
SHORTEST = 4  # shorter ones would redact half of every text


def new_password() -> str:
    """A password of letters and digits, so that no encoding of a URL changes it."""
    return secrets.token_hex(20)


class Redactor:
    """Knows the passwords of a run and replaces them, in any usual encoding, in any text."""

    def __init__(self, passwords: Iterable[str] = ()) -> None:
        self._known: dict[str, None] = {}
        self._pattern: re.Pattern[str] | None = None
        self.add(*passwords)

    def add(self, *passwords: str | None) -> None:
        """Learn passwords; the empty and the very short are left alone."""
        for password in passwords:
            if password and len(password) >= SHORTEST:
                self._known.update(dict.fromkeys(forms(password)))
        longest_first = sorted(self._known, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def __call__(self, text: str) -> str:
        """The text without any of the passwords."""
        return text if self._pattern is None else self._pattern.sub(REDACTED, text)

    def finds(self, text: str) -> bool:
        """Whether the text gives one of the passwords away."""
        return self._pattern is not None and self._pattern.search(text) is not None

    def __repr__(self) -> str:
        return f"<Redactor of {len(self._known)} forms>"


def forms(password: str) -> Iterator[str]:
    """The password as it may appear in a text: raw, URL-quoted, JSON-escaped, hex, base64 at any offset."""
    raw = password.encode()
    yield password
    yield quote(password, safe="")
    yield quote_plus(password)
    yield json.dumps(password)[1:-1]
    yield raw.hex()
    yield raw.hex().upper()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for offset in range(3):
            coded = encode(b"\0" * offset + raw).decode()
            # Six bits a character: the first and the last may also encode neighbours.
            fixed = coded[-(-8 * offset // 6) : 8 * (offset + len(raw)) // 6]
            if len(fixed) >= SHORTEST:
                yield fixed
