"""Judge that a backup is made, that it can be restored, and that damage would be noticed."""

from __future__ import annotations

import re
from typing import Any

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.backup_words import NO_ROW, ended, passed, said
from pytest_prodready.checks.explain_index_words import counted, listed, megabytes
from pytest_prodready.checks.failover_words import seconds
from pytest_prodready.findings import Finding
from pytest_prodready.probes.backup_controls import Controls
from pytest_prodready.probes.backup_facts import BackupRun, Step
from pytest_prodready.settings import BackupSettings

# What the first error of a restore means, and what to do about it.
MEANINGS = (
    (
        re.compile(r'role "([^"]+)" does not exist'),
        "Back up roles too (pg_dumpall --globals-only), and restore them first: {} is not there.",
    ),
    (
        re.compile(r"permission denied to create extension \"([^\"]+)\""),
        "Restore as superuser ({{postgres.admin_url}}), or create the extension {} with the empty database.",
    ),
    (
        re.compile(r'(?:extension "([^"]+)" is not available|could not open extension control file)'),
        "Install the extension {} on every server that the database may be restored on.",
    ),
    (
        re.compile(r"violates check constraint \"([^\"]+)\""),
        "Rows are there that {} refuses: mend them and VALIDATE it; a CHECK must not ask other tables,"
        " which are not there yet during a restore.",
    ),
    (
        re.compile(r"((?:function|relation|type) \S+) does not exist"),
        "Nothing is found by search_path during a restore: name {} with its schema in the function,"
        " or give the function SET search_path.",
    ),
)


def dump_succeeds(seen: BackupRun, limits: BackupSettings) -> Finding:
    """The backup ended well, there is one, and nothing that it printed says otherwise."""
    rule = RULES["backup.dump-succeeds"]
    details: dict[str, Any] = {
        "limit": f"status 0 within {limits.within_s:g} s, no error printed",
        "limits": {"within_s": limits.within_s},
    }
    last = seen.backup[-1]
    if last.failed:
        return rule.failed(ended(last, limits.within_s), **details)
    if not seen.backup_bytes:
        return rule.failed(f"{last.name} ended with status 0, and there is no backup{said(last)}", **details)
    loud = next((step for step in seen.backup if _complains(step, seen)), None)
    if loud is not None:
        return rule.failed(f"{loud.name} ended with status 0, but printed{said(loud)}", **details)
    source = seen.source
    summary = (
        f"{_names(seen.backup)}: {counted(source.tables, 'table')} with {counted(source.rows, 'row')}"
        f" in {megabytes(seen.backup_bytes)}, within {seconds(seen.backup_s)}"
    )
    return passed(rule, seen, summary, **details)


def restore_succeeds(seen: BackupRun, limits: BackupSettings) -> Finding:
    """The restore ended well, without going on after an error, and left a database."""
    rule = RULES["backup.restore-succeeds"]
    details: dict[str, Any] = {
        "limit": f"status 0 within {limits.within_s:g} s, no error printed",
        "limits": {"within_s": limits.within_s},
    }
    if not seen.restore:
        return rule.inconclusive(seen.why_not, **details)
    last = seen.restore[-1]
    change = _meaning(last)
    if last.failed:
        return rule.failed(ended(last, limits.within_s), change=change, **details)
    loud = next((step for step in seen.restore if step.errors), None)
    if loud is not None:
        number = counted(len(loud.errors), "error")
        summary = f"{loud.name} ended with status 0, but printed {number}{said(loud)}"
        return rule.failed(summary, change=_meaning(loud), **details)
    if seen.compared is None:
        return rule.failed(f"{last.name} ended with status 0, but {seen.why_not}", **details)
    summary = f"{_names(seen.restore)} on a fresh server, within {seconds(seen.restore_s)}"
    return passed(rule, seen, summary, **details)


def damage_is_found(seen: Controls, run: BackupRun) -> Finding:
    """Each damaged backup was found out, by an error or by the comparison."""
    rule = RULES["backup.damage-is-found"]
    limit = "an error, or a difference found by the comparison"
    if not seen.sound:
        return rule.inconclusive("an undamaged backup was not restored as it was", limit=limit)
    if run.halved is not None and not run.halved.noticed:
        summary = (
            f"from a backup cut to half of its length {run.halved.step.name} restored all the same rows, with"
            " no error: it reads something else"
        )
        return rule.failed(summary, limit=limit)
    missed = [control.backup for control in seen.tried if not control.found_by]
    if missed:
        return rule.failed(f"restored as if it were whole: {listed(missed)}", limit=limit)
    if run.by == "commands" and run.halved is None and not run.source.rows:
        return rule.inconclusive(NO_ROW, limit=limit)
    found = ", ".join(f"{control.backup} by {_finder(control.found_by)}" for control in seen.tried)
    own = "; half of the backup was not taken for a whole one" if run.halved is not None else ""
    return rule.passed(f"found: {found}{own}", limit=limit)


def _finder(found_by: str) -> str:
    return "the comparison alone" if found_by == "comparison" else found_by


def _complains(step: Step, seen: BackupRun) -> bool:
    """Whether it says an error; PostgreSQL's own programs say nothing when all is well."""
    return bool(step.errors) or (seen.by == "gate" and bool(step.printed))


def _names(steps: tuple[Step, ...]) -> str:
    return ", ".join(step.name for step in steps)


def _meaning(step: Step) -> str:
    text = "\n".join((*step.errors, step.printed))
    for pattern, advice in MEANINGS:
        if found := pattern.search(text):
            return advice.format(found[1] or "that it names")
    return ""
