"""How what isn't ours is printed: configuration and errors without secrets, paths as they are typed."""

from __future__ import annotations

import re
from pathlib import Path

PLAIN = re.compile(r"[\w./+-]*")  # a number, a word, a path
SECRETS = ("url", "password", "secret", "token", "key")  # in the name of what may hold one
_CREDENTIALS = re.compile(r"://[^/@\s]*@")
_PASSWORD = re.compile(r"(?i)\b(password|passwd|pwd)([\"']?\s*[=:]\s*)[^\s,;)}\]]+")


def may_be_secret(name: str) -> bool:
    """Whether what has this name may be a secret, or hold one."""
    return any(word in name.lower() for word in SECRETS)


def without_secret(assignment: str) -> str:
    """An assignment as it may be printed: with its value only where that surely holds no secret."""
    key, equals, value = assignment.partition("=")
    # An address of the service is none without a user; the service's variables, commands and tables may be.
    address = key == "service.url" and re.fullmatch(r"https?://[^\s@?]+", value)
    hidden = key.startswith("service.env") or may_be_secret(key) or not PLAIN.fullmatch(value)
    return f"{key}{equals}…" if hidden and not address else assignment


def without_credentials(text: str) -> str:
    """A text of somebody else's, such as an exception's, without what stands where passwords stand."""
    return _PASSWORD.sub(r"\1\2…", _CREDENTIALS.sub("://…@", text))


def shown(path: Path) -> str:
    """A path as the user would type it."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
