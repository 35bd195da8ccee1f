"""What is known of the service itself around a load: whether it is the same, and what its log says."""

from __future__ import annotations

from pytest_prodready.environment.environment import Environment
from pytest_prodready.probes.drill import last_words

LOG_LINES = 5000
ERROR_WORDS = ("ERROR", "CRITICAL", "FATAL", "Traceback", "panic:")


def same_process(environment: Environment, process: int) -> bool:
    """Whether its process is still this one."""
    application = environment.application
    return application is not None and application.alive and application.pid == process


def log_errors(environment: Environment) -> int:
    """How many lines of the service's log speak of an error."""
    application = environment.application
    text = application.log(LOG_LINES) if application is not None else ""
    return sum(any(word in line for word in ERROR_WORDS) for line in text.splitlines())


def last_words_of(environment: Environment) -> str:
    """What it said last."""
    application = environment.application
    return last_words(application.log_tail(LOG_LINES)) if application is not None else ""
