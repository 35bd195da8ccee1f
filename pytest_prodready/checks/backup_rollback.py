"""Judge the way back from a migration that failed half-way."""

from __future__ import annotations

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.backup_words import NO_ROW, ended, shortened, told
from pytest_prodready.checks.explain_index_words import counted, listed
from pytest_prodready.findings import Finding
from pytest_prodready.probes.backup_facts import Compared, Step
from pytest_prodready.probes.backup_rollback import RollbackPlan
from pytest_prodready.probes.traffic import Answer
from pytest_prodready.settings import BackupSettings

LIMIT = "the same contents and catalogue, and the same answers"


def rollback_plan(seen: RollbackPlan, limits: BackupSettings) -> Finding:
    """The restored database is the one before, and the service answers on it as before."""
    rule = RULES["backup.rollback-plan"]
    if doubt := _doubt(seen, limits):
        return rule.inconclusive(doubt, limit=LIMIT)
    if wrong := _wrong(seen, limits):
        return rule.failed(wrong, limit=LIMIT)
    if not seen.rows:
        return rule.inconclusive(NO_ROW, limit=LIMIT)
    start = f" from {seen.revision}" if seen.revision else ""
    again = " and was migrated again" if seen.again else ""
    summary = (
        f"a migration{start} failed half-way ({counted(len(seen.noticed), 'difference')}); restored from the "
        f"backup before it, the database is as it was{again}; the service was ready {seen.back_s or 0:.1f} s "
        f"later, and answers {len(seen.answers_after)} requests as before"
    )
    return rule.passed(summary, limit=LIMIT)


def _doubt(seen: RollbackPlan, limits: BackupSettings) -> str:
    """Why nothing can be told; empty when it can."""
    if seen.staged[-1].failed:
        return f"the database could not be copied to a second server: {_ended(seen.staged, limits)}"
    if strange := [answer for answer in seen.answers if not answer.expected]:
        return f"before any migration, on a copy of the database, {_told(strange)}"
    if not seen.answers:
        return "the service was asked nothing before"
    if not seen.backup:
        return seen.why_not
    if not seen.backup[-1].failed and not seen.noticed:
        return "a migration that fails half-way leaves nothing here that could be noticed"
    return ""


def _wrong(seen: RollbackPlan, limits: BackupSettings) -> str:
    """What is wrong with the way back; empty when nothing is."""
    if seen.backup[-1].failed:
        return f"there is no backup to go back to: {_ended(seen.backup, limits)}"
    if seen.restore[-1].failed:
        return f"the restore over a failed migration: {_ended(seen.restore, limits)}"
    if seen.compared is None:
        return shortened(seen.why_not)
    found = [_differences(seen.compared), _again(seen, limits), _service(seen)]
    return "; ".join(each for each in found if each)


def _differences(seen: Compared) -> str:
    """What the restored database holds otherwise; empty when nothing."""
    found = [listed(list(map(str, seen.contents))), told(seen.schema) if seen.schema else ""]
    words = "; ".join(each for each in found if each)
    return f"the restored database isn't the one before: {words}" if words else ""


def _again(seen: RollbackPlan, limits: BackupSettings) -> str:
    """What is wrong with another upgrade of the restored database; empty when nothing."""
    if not seen.again or not seen.again[-1].failed:
        return ""
    return f"the restored database can't be migrated again: {_ended(seen.again, limits)}"


def _service(seen: RollbackPlan) -> str:
    """What is wrong with the service on the restored database; empty when nothing."""
    if seen.not_started:
        return f"the service doesn't start on the restored database: {shortened(seen.not_started)}"
    before = {answer.request: answer.status for answer in seen.answers}
    changed = [answer for answer in seen.answers_after if answer.status != before[answer.request]]
    return f"on the restored database {_told(changed)}" if changed else ""


def _told(answers: list[Answer]) -> str:
    return listed([f"{answer.request} got {answer.status or answer.error}" for answer in answers])


def _ended(steps: tuple[Step, ...], limits: BackupSettings) -> str:
    return ended(steps[-1], limits.within_s)
