"""Logs: one JSON object a line, and nothing in it that could be a secret."""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any

from jobboard.outages import sqlstate

# What every record has; anything else on one was given by the caller as `extra`.
ORDINARY = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}
OWN = ("jobboard", "__main__")


class JsonFormatter(logging.Formatter):
    """Writes a record as JSON, with the class, state and place of an exception instead of its text.

    The messages of database and cache libraries may hold fragments of a URL, and with them of a password.
    For the same reason the records of libraries are written without their arguments.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line."""
        own = record.name.split(".")[0] in OWN
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage() if own else _first_line(record.msg),
        }
        if own:
            line |= {name: value for name, value in vars(record).items() if name not in ORDINARY}
        if record.exc_info and record.exc_info[1]:
            line["exception"] = _described(record.exc_info[1])
        return json.dumps(line, default=lambda value: type(value).__name__)


class Sparing(logging.Filter):
    """Lets each warning through once a second: an outage is worth a line, not one for each request."""

    def __init__(self, pause_s: float = 1.0) -> None:
        super().__init__()
        self._pause_s = pause_s
        self._last: dict[tuple[Any, ...], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether to write the record."""
        if record.levelno != logging.WARNING:
            return True
        kind = (
            record.name,
            record.msg,
            *(getattr(record, name, None) for name in ("error", "sqlstate", "reason")),
        )
        if record.created - self._last.get(kind, float("-inf")) < self._pause_s:
            return False
        self._last[kind] = record.created
        return True


def configure() -> None:
    """Send every log of the process to standard output as JSON."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(Sparing())
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)


def _first_line(message: object) -> str:
    return message.strip().partition("\n")[0] if isinstance(message, str) else type(message).__name__


def _described(error: BaseException) -> dict[str, Any]:
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "jobboard" in frame.filename] or frames[-1:]
    return {
        "class": f"{type(error).__module__}.{type(error).__qualname__}",
        "sqlstate": sqlstate(error),
        "at": [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in own],
    }
