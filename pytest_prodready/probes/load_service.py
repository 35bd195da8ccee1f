"""What is known of the service itself around a load: whether it is the same, and what its log says."""

from __future__ import annotations

import re

from pytest_prodready.environment.environment import Environment
from pytest_prodready.probes.drill import last_words

LOG_LINES = 5000
# As loggers write it: the word in capitals, or a level in any case (level=error, "level":"error", [error]).
ERROR = re.compile(
    r"""\b(ERROR|CRITICAL|FATAL|Traceback)\b|\bpanic:|^fail:
    |(?i:\b(log_?)?(level|severity|lvl)["']?\s*[=:]\s*["']?(error|err|critical|fatal|panic|alert|emerg)\b)
    |"level":\s*[56]0\b|"@l":\s*"(Error|Fatal)"
    |(?i:\[(error|crit|critical|fatal|alert|emerg)\s*\])""",
    re.VERBOSE,
)
COLOUR = re.compile(r"\x1b\[[\d;]*m")


def same_process(environment: Environment, process: int) -> bool:
    """Whether its process is still this one."""
    application = environment.application
    return application is not None and application.alive and application.pid == process


def log_mark(environment: Environment) -> float:
    """Where the service's log has come to by now."""
    return environment.application.log_mark() if environment.application is not None else 0.0


def log_errors(environment: Environment, since: float) -> int:
    """How many lines of the service's log speak of an error, after that place."""
    application = environment.application
    return 0 if application is None else sum(map(tells_of_error, application.log_since(since)))


def tells_of_error(line: str) -> bool:
    """Whether a line of a log is about an error."""
    return ERROR.search(COLOUR.sub("", line)) is not None


def last_words_of(environment: Environment) -> str:
    """What it said last."""
    application = environment.application
    return last_words(application.log_tail(LOG_LINES)) if application is not None else ""
