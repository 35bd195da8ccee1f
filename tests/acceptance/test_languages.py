"""Services in other languages: good ones are ready, and their communities' usual defects are found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_prodready.catalogue import RULES as ALL_RULES
from tests.gate import GateRun, node_ids, run_gate
from tests.languages import LANGUAGES, build, missing
from tests.specimens import Swap

# What a service may do right in another way than the example, and doesn't take long to try.
RULES = (
    "failover.outage-is-survived",
    "failover.stall-is-bounded",
    "failover.no-write-twice",
    "failover.read-only-primary-is-left",
    "failover.redis-loss-is-survived",
    "failover.redis-is-used-again",
    "failover.redis-loss-spares-the-database",
    "failover.cold-cache-is-filled-once",
    "failover.no-count-twice",
    "failover.redis-primary-is-followed",
)
# Those of a service that has accepted no plans yet, and whose own tables are small.
EXPLAIN_RULES = tuple(
    rule
    for rule in ALL_RULES
    if rule.startswith("explain.") and rule not in ("explain.plan-unchanged", "explain.tables-not-scanned")
)
SHORTER = ("failover.outage_s=2", "failover.stall_s=1", "failover.follow_within_s=5")


@dataclass(frozen=True)
class Defect:
    """One that is usual in this language, and the rule that must fail."""

    language: str
    name: str
    breaks: str
    says: str  # what the summary must contain
    swaps: tuple[Swap, ...]
    still_passes: str = "health.liveness-answers"


DEFECTS = (
    Defect(
        "gunicorn",
        "sync-workers",
        breaks="failover.outage-is-survived",
        says="liveness took",
        swaps=(Swap("gunicorn.conf.py", 'worker_class = "gthread"\nthreads = 32\n', ""),),
    ),
    Defect(
        "gunicorn",
        "queue-of-clients-that-gave-up",
        breaks="failover.outage-is-survived",
        says="not served again",
        swaps=(Swap("service.py", "    max_size=8,\n", "    max_size=8,\n    max_waiting=8,\n"),),
    ),
    Defect(
        "go",
        "client-resends",
        breaks="failover.no-count-twice",
        says="twice",
        swaps=(Swap("main.go", "options.MaxRetries = -1 //", "//"),),
    ),
    Defect(
        "go",
        "keeps-a-demoted-primary",
        breaks="failover.read-only-primary-is-left",
        says="no write was served",
        swaps=(Swap("main.go", "s.pool.Reset() //", "//"),),
    ),
    Defect(
        "node",
        "ends-with-an-idle-connection",
        breaks="failover.outage-is-survived",
        says="the process ended",
        swaps=(Swap("server.js", 'pool.on("error", ', 'pool.on("closed", '),),
    ),
    Defect(
        "node",
        "waits-for-redis",
        breaks="failover.redis-loss-is-survived",
        says="Redis silent",
        swaps=(
            Swap(
                "server.js",
                "  commandTimeout: 500,\n  maxRetriesPerRequest: 1,\n",
                "  maxRetriesPerRequest: null,\n",
            ),
        ),
    ),
)


def gate(language: str, folder: Path, *rules: str, swaps: tuple[Swap, ...] = ()) -> GateRun:
    """The gate on a copy of this service."""
    if why := missing(language):
        pytest.skip(f"the {language} service can't be made here: {why}")
    service = build(language, folder, swaps)
    settings = [f"--prodready-set={each}" for each in SHORTER]
    ids = node_ids()
    return run_gate(service, "--prodready-backend=processes", *settings, *(ids[rule] for rule in rules))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_good_service_is_ready(language: str, tmp_path: Path) -> None:
    """What is right in another way than the example is right."""
    run = gate(language, tmp_path, *RULES, *EXPLAIN_RULES)
    assert run.verdicts == dict.fromkeys((*RULES, *EXPLAIN_RULES), "passed"), run.output
    assert run.code == 0, run.output
    # Node's pg prepares nothing; pgx does at once, and psycopg once a connection has run it often.
    prepares = "no statement is prepared" not in run.finding("explain.generic-plan")["summary"]
    assert prepares == (language != "node"), run.output


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: f"{defect.language}-{defect.name}")
def test_a_usual_defect_fails_its_rule(defect: Defect, tmp_path: Path) -> None:
    """The gate names the rule and says what is wrong, and the next rule finds everything intact."""
    run = gate(defect.language, tmp_path, defect.breaks, defect.still_passes, swaps=defect.swaps)
    assert run.verdicts == {defect.breaks: "failed", defect.still_passes: "passed"}, run.output
    assert defect.says in run.finding(defect.breaks)["summary"], run.output
