"""The user's locustfile is imported, and what is wrong with it is said in a line."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Any

from locust.util.load_locustfile import load_locustfile

WORDS = 200  # characters of what an exception says


class Refused(Exception):
    """Why a locustfile can't be run."""


def loaded(path: str) -> tuple[dict[str, Any], list[str]]:
    """Its user classes by name, and its shapes; raises Refused where it can't be imported or has no user."""
    try:
        found, shapes = load_locustfile(path)
    except (Exception, SystemExit) as failure:
        traceback.print_exc(file=sys.stderr)
        raise Refused(_told(failure, Path(path).name)) from None
    if not found:
        raise Refused("it has no user class: one derived from HttpUser, FastHttpUser or User")
    return dict(found), [type(each).__name__ for each in shapes]


def place_of(trace: Any, path: str) -> str:
    """Where in the locustfile it was, as file and line; empty where it wasn't there."""
    lines = [each.lineno for each in traceback.extract_tb(trace) if each.filename == path]
    return f"{Path(path).name}, line {lines[-1]}" if lines else ""


def _told(failure: BaseException, name: str) -> str:
    """SyntaxError knows its own place; of others it is the last line of the locustfile that was run."""
    lines = [
        each.lineno
        for each in traceback.extract_tb(failure.__traceback__)
        if Path(each.filename).name == name
    ]
    line = getattr(failure, "lineno", None) or (lines[-1] if lines else None)
    where = f"{name}, line {line}: " if line else ""
    missing = failure.name if isinstance(failure, ModuleNotFoundError) else None
    advice = f"; install {missing} beside pytest, or mend the import" if missing else ""
    return f"{where}{type(failure).__name__}: {failure}"[:WORDS] + advice
