"""What the service's variables set in each session of its database."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit


def session_options(variables: Mapping[str, str], within_s: float) -> str:
    """The options of a session that sends SQL as the service's tools would: theirs, and our limit.

    Theirs are PGOPTIONS, or else those of the first URL of a Postgres that has some.
    """
    return f"{_theirs(variables)} -c statement_timeout={int(within_s * 1000)}".strip()


def _theirs(variables: Mapping[str, str]) -> str:
    urls = [value for value in variables.values() if value.startswith("postgres")]
    of_urls = (each for url in urls for each in parse_qs(urlsplit(url).query).get("options", ()))
    return variables.get("PGOPTIONS") or next(of_urls, "")
