"""Judge a restored database beside the one that it was made from."""

from __future__ import annotations

import re

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.backup_words import NO_ROW, not_compared, passed, things, told
from pytest_prodready.checks.explain_index_words import counted, listed
from pytest_prodready.findings import Finding
from pytest_prodready.probes.backup_facts import BackupRun
from pytest_prodready.probes.contents_differences import ContentDifference, Kind
from pytest_prodready.probes.schema import SchemaDifference

RIGHTS = ("privileges", "default privileges")
OF_ROLES = ("role", "membership", "password")
OWNER = re.compile(r"\bowner \S+")


def rows_equal(seen: BackupRun) -> Finding:
    """Each table holds what it held."""
    rule, limit = RULES["backup.rows-equal"], "the same rows in each table"
    if no := not_compared(rule, seen, limit):
        return no
    source, moved = seen.source, _moved(seen)
    if not source.rows:
        return rule.inconclusive(NO_ROW, limit=limit)
    if found := _contents(seen, "table"):
        summary = f"{len(found)} of {counted(source.tables, 'table')} differ: {_listed(found)}{moved}"
        return rule.failed(summary, limit=limit)
    if len(seen.moved) == source.tables:
        return rule.inconclusive(f"nothing can be compared{moved}", limit=limit)
    summary = f"{counted(source.tables, 'table')} with {counted(source.rows, 'row')}, all the same{moved}"
    return rule.passed(summary, limit=limit)


def sequences_follow(seen: BackupRun) -> Finding:
    """No sequence is missing or behind."""
    words = f"{things(seen.source.sequences, 'sequence', 'no sequence')}, none behind"
    limit = "none behind where it was, or behind its column"
    return _none_differs("backup.sequences-follow", seen, "sequence", limit, words)


def views_populated(seen: BackupRun) -> Finding:
    """Each materialized view that could be read can be read."""
    number = seen.source.views
    words = (
        f"{counted(number, 'materialized view')}, populated" if number else "no materialized view with rows"
    )
    return _none_differs("backup.views-populated", seen, "materialized view", "populated, as before", words)


def large_objects_equal(seen: BackupRun) -> Finding:
    """Large objects are what they were."""
    number = seen.source.large_objects
    words = f"{counted(number, 'large object')}, the same" if number else "no large object"
    return _none_differs("backup.large-objects-equal", seen, "large objects", "the same objects", words)


def schema_equal(seen: BackupRun) -> Finding:
    """The catalogue is what it was, but for rights and settings, which have rules of their own."""
    rule, limit = RULES["backup.schema-equal"], "the same catalogue"
    if no := not_compared(rule, seen, limit):
        return no
    assert seen.compared is not None
    found = [each for each in seen.compared.schema if not _is_right(each) and each.kind != "setting"]
    number = counted(seen.source.things, "thing")
    if found:
        return rule.failed(f"{len(found)} of {number} of the catalogue differ: {told(found)}", limit=limit)
    return passed(rule, seen, f"{number} of the catalogue, all the same", limit=limit)


def roles_and_grants(seen: BackupRun) -> Finding:
    """Roles are there as they were, and own and may what they did."""
    rule, limit = RULES["backup.roles-and-grants"], "the same roles, owners and grants"
    if no := not_compared(rule, seen, limit):
        return no
    assert seen.compared is not None
    found = [each for kind in OF_ROLES for each in seen.compared.cluster if each.kind == kind]
    found += [each for each in seen.compared.cluster if _is_database_owner(each)]
    found += [each for each in seen.compared.schema if _is_right(each)]
    there = f" ({', '.join(seen.provisioned)} had to be there before)" if seen.provisioned else ""
    if found:
        return rule.failed(f"{counted(len(found), 'difference')}: {told(found)}{there}", limit=limit)
    words = counted(seen.source.roles, "role")
    summary = f"{words} with memberships, owners and grants, the same as before{there}"
    return passed(rule, seen, summary, limit=limit)


def settings_kept(seen: BackupRun) -> Finding:
    """What is set for the database and for its roles is set again."""
    rule, limit = RULES["backup.settings-kept"], "the same settings"
    if no := not_compared(rule, seen, limit):
        return no
    assert seen.compared is not None
    found = [each for each in seen.compared.schema if each.kind == "setting"]
    found += [
        each for each in seen.compared.cluster if each.kind not in OF_ROLES and not _is_database_owner(each)
    ]
    if found:
        return rule.failed(told(found), limit=limit, change=_set_again(found))
    words = things(seen.source.settings, "setting", "no setting")
    kept = ", kept" if seen.source.settings else ""
    return passed(rule, seen, f"{words} of the database or its roles{kept}", limit=limit)


def statistics_present(seen: BackupRun) -> Finding:
    """The planner knows the restored tables."""
    rule, limit = RULES["backup.statistics-present"], "statistics of each table with rows"
    if no := not_compared(rule, seen, limit):
        return no
    assert seen.compared is not None
    if names := seen.compared.unanalyzed:
        return rule.failed(f"{counted(len(names), 'table')} without statistics: {listed(names)}", limit=limit)
    if not seen.source.rows:
        return rule.inconclusive(NO_ROW, limit=limit)
    return rule.passed("each table with rows has statistics", limit=limit)


def _none_differs(rule_id: str, seen: BackupRun, kind: Kind, limit: str, words: str) -> Finding:
    """The finding for one kind of contents; `words` say that there is no difference."""
    rule = RULES[rule_id]
    if no := not_compared(rule, seen, limit):
        return no
    if found := _contents(seen, kind):
        return rule.failed(_listed(found), limit=limit)
    return passed(rule, seen, words, limit=limit)


def _contents(seen: BackupRun, kind: Kind) -> list[ContentDifference]:
    assert seen.compared is not None
    return [each for each in seen.compared.contents if each.kind == kind]


def _listed(found: list[ContentDifference]) -> str:
    return listed([str(each) for each in found])


def _moved(seen: BackupRun) -> str:
    if not seen.moved:
        return ""
    return f"; written to while the backup was made, and so not compared: {listed(seen.moved)}"


def _is_right(each: SchemaDifference) -> bool:
    """Whether it is about who owns something or may use it."""
    if each.kind in RIGHTS:
        return True
    return each.how == "changed" and OWNER.sub("", each.before) == OWNER.sub("", each.after)


def _is_database_owner(each: SchemaDifference) -> bool:
    return each.kind == "database" and each.name == "owner"


def _set_again(found: list[SchemaDifference]) -> str:
    lost = [each for each in found if each.kind == "setting" and each.how == "missing"]
    if not lost:
        return ""
    names = ", ".join(each.name for each in lost)
    return f"Restore with pg_restore --create, which sets {names} again; without it, by ALTER DATABASE … SET."
