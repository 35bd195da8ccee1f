"""Judge what a migration does under its locks: rewrites, builds of indexes, searches of tables."""

from __future__ import annotations

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.migration_words import (
    Judgement,
    failed_itself,
    mode_words,
    not_watched,
    shortened,
    tried,
)
from pytest_prodready.findings import Finding
from pytest_prodready.probes.migration_traffic import Built, Traffic, Validated
from pytest_prodready.probes.migration_watch import IN_THE_WAY
from pytest_prodready.settings.migration_traffic import MigrationTrafficSettings

MIB = 1024 * 1024


def no_table_rewrite(seen: Traffic, limits: MigrationTrafficSettings) -> Finding:
    """No step writes all rows of a table anew while nobody may use it."""
    rule, found = RULES["migration.no-table-rewrite"], _doubtful(seen)
    for step, _ in tried(seen):
        for each in step.defined.rewritten:
            if each.rows >= limits.small_rows:
                found.problems.append(
                    f"{step.revision} writes {each.table} anew, here {each.rows:,} rows"
                    f" of {each.bytes / MIB:,.1f} MB"
                )
    return found.conclude(rule, seen, "no table is written anew", _large(limits))


def indexes_built_concurrently(seen: Traffic, limits: MigrationTrafficSettings) -> Finding:
    """Indexes of tables in use are built beside the writes, and are valid in the end."""
    rule, found, number = RULES["migration.indexes-built-concurrently"], _doubtful(seen), 0
    for step, _ in tried(seen):
        number += len(step.defined.built)
        for built in step.defined.built:
            if built.mode and built.rows >= limits.small_rows:
                found.problems.append(
                    f"{step.revision} builds {built.index} on {built.table} ({built.rows:,} rows here)"
                    f" under {mode_words(built.mode)}"
                )
                found.changes.append(_concurrently(built))
        for index in step.defined.invalid:
            found.problems.append(f"{step.revision} leaves {index} invalid")
            found.changes.append(
                f"DROP INDEX CONCURRENTLY {index} before it is built again, and fail on errors"
            )
    well = f"{number} index{'' if number == 1 else 'es'} of tables in use, none built under a lock"
    return found.conclude(rule, seen, well, _large(limits))


def constraints_validated_apart(seen: Traffic, limits: MigrationTrafficSettings) -> Finding:
    """Rows are searched for what a new constraint forbids under a lock that lets others work."""
    rule, found, number = RULES["migration.constraints-validated-apart"], _doubtful(seen), 0
    for step, _ in tried(seen):
        for each in step.defined.validated:
            number += 1
            if each.mode in IN_THE_WAY and each.rows >= limits.small_rows:
                found.problems.append(
                    f"{step.revision} searches {each.table} ({each.rows:,} rows here) for {each.what}"
                    f" under {mode_words(each.mode)}"
                )
                found.changes.append(_apart(each))
    well = f"{number} constraint{'' if number == 1 else 's'} of tables in use, none searched for under a lock"
    return found.conclude(rule, seen, well, _large(limits))


def nothing_more_under_access_exclusive(seen: Traffic, limits: MigrationTrafficSettings) -> Finding:
    """A session that has locked a table out does nothing else that takes time before it commits."""
    rule = RULES["migration.nothing-more-under-access-exclusive"]
    found, limit_ms = Judgement(), limits.exclusive_ms
    for step, run in tried(seen):
        long = [each for each in step.defined.meanwhile if each.seconds * 1000 > limit_ms]
        words = [
            f"{step.revision} runs {shortened(each.statement) or 'nothing'} for {each.seconds * 1000:,.0f} ms"
            f" while it holds ACCESS EXCLUSIVE on {', '.join(each.tables)}"
            for each in long
        ]
        longest_ms = max((each.seconds * 1000 for each in long), default=0.0)
        if words and longest_ms < 2 * run.machine_ms:
            found.doubts.append(f"{words[0]}, on a machine that stalls for {run.machine_ms:,.0f} ms")
        else:
            found.problems += words
        if why := failed_itself(run) or (not_watched(run) if run.gap_ms > limit_ms else ""):
            found.doubts.append(f"{step.revision}: {why}")
    details = {"limit": f"at most {limit_ms:g} ms", "limits": {"exclusive_ms": limit_ms}}
    return found.conclude(rule, seen, "nothing that takes time is run under ACCESS EXCLUSIVE", details)


def _doubtful(seen: Traffic) -> Judgement:
    """A judgement that begins with the steps that didn't come to their end."""
    ended = [(step, failed_itself(run)) for step, run in tried(seen)]
    return Judgement(doubts=[f"{step.revision}: {why}" for step, why in ended if why])


def _large(limits: MigrationTrafficSettings) -> dict[str, object]:
    return {
        "limit": f"none on a table of {limits.small_rows:,} rows or more",
        "limits": {"small_rows": limits.small_rows},
    }


def _concurrently(built: Built) -> str:
    if built.constraint:
        return (
            f"CREATE UNIQUE INDEX CONCURRENTLY … ON {built.table} first, then ALTER TABLE {built.table}"
            " ADD CONSTRAINT … USING INDEX …"
        )
    return f"CREATE INDEX CONCURRENTLY {built.index} ON {built.table}, outside of a transaction"


def _apart(validated: Validated) -> str:
    table = validated.table
    if validated.kind == "not null":
        column = validated.what.removeprefix("NOT NULL of ")
        return (
            f"ALTER TABLE {table} ADD CONSTRAINT … CHECK ({column} IS NOT NULL) NOT VALID, then"
            " VALIDATE CONSTRAINT in another transaction, then SET NOT NULL, which is quick by then"
        )
    name = validated.what.removeprefix("constraint ")
    return (
        f"ALTER TABLE {table} ADD CONSTRAINT {name} … NOT VALID, then VALIDATE CONSTRAINT {name} in another"
        " transaction"
    )
