"""Judge what migrations do: the way up, the way down, and the way up again."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks import migration_current as current
from pytest_prodready.checks.migration_trips import (
    Problem,
    about,
    all_steps,
    concluded,
    counted,
    listed,
    lost,
    name_of,
    said,
    told,
    turns,
)
from pytest_prodready.findings import Finding
from pytest_prodready.probes.migration import RoundTrips, Step, Turn
from pytest_prodready.settings import MigrationSettings

BY_HAND = "Write the revision that is missing by hand (alembic doesn't see this), or change the models."


def single_head(seen: RoundTrips) -> Finding:
    """The history has one end."""
    rule, limit = RULES["migration.single-head"], "1 head"
    heads = seen.history.heads
    if seen.history.doubt or not heads:
        return rule.inconclusive(seen.history.doubt or "the tool told no revisions", limit=limit)
    if len(heads) > 1:
        return rule.failed(f"{len(heads)} heads: {', '.join(heads)}", limit=limit)
    number = len(seen.history.revisions) + seen.history.older
    return rule.passed(f"{counted(number, 'revision')}, one head: {heads[0]}", limit=limit)


def upgrades_from_empty(seen: RoundTrips) -> Finding:
    """Each revision upgrades, and all at once do."""
    rule = RULES["migration.upgrades-from-empty"]
    problems = [(name, said(turn.ran)) for name, turn in turns(seen, _up) if not turn.ran.succeeded]
    problems += [(name_of(step, seen), why) for step in all_steps(seen) if (why := current.stuck(step))]
    rows = max((step.rows for step in all_steps(seen)), default=0)
    well = f"{about(seen)} from an empty database to the newest, with {counted(rows, 'row')} in the end"
    if seen.elsewhere and not problems:
        why = f"[migration] files don't show what upgrade does, which leads elsewhere: {told(seen.elsewhere)}"
        return rule.inconclusive(why, limit="each succeeds")
    return concluded(rule, seen, problems, well, "each succeeds")


def upgrade_keeps_data(seen: RoundTrips) -> Finding:
    """No upgrade loses rows or values of what stays."""
    rule, limit = RULES["migration.upgrade-keeps-data"], "0 rows or values lost"
    problems = []
    for name, turn in [*turns(seen, _up), *turns(seen, _again)]:
        if turn.losses:
            problems.append((name, lost(turn.losses)))
    finding = concluded(rule, seen, problems, f"{about(seen)}: all rows and values kept", limit)
    return _on_rows(_with_rows(finding, seen, all_steps(seen)), seen)


def downgrade_runs(seen: RoundTrips, limits: MigrationSettings) -> Finding:
    """Each revision's downgrade runs."""
    rule = RULES["migration.downgrade-runs"]
    problems = [(name, said(turn.ran)) for name, turn in turns(seen, _down) if not turn.ran.succeeded]
    well = f"{about(seen)} taken back{_declared(limits)}"
    return _on_the_way_down(
        concluded(rule, seen, problems, well, "each succeeds, unless it is declared irreversible"), seen
    )


def downgrade_undoes(seen: RoundTrips, limits: MigrationSettings) -> Finding:
    """After the downgrade the catalogue is what it was before the upgrade."""
    rule = RULES["migration.downgrade-undoes"]
    problems: list[Problem] = []
    for step in all_steps(seen):
        down = step.down
        if down is not None and down.ran.succeeded and down.differences:
            nothing = step.up.changed and not down.changed
            what = told(down.differences)
            words = f"the downgrade changes nothing ({what})" if nothing else what
            problems.append((name_of(step, seen), words))
    problems += [(name_of(step, seen), why) for step in all_steps(seen) if (why := current.not_back(step))]
    well = f"{about(seen)}: the catalogue is the same before and after{_declared(limits)}"
    finding = concluded(rule, seen, problems, well, "the same catalogue by name")
    return _on_the_way_down(finding, seen)


def downgrade_keeps_data(seen: RoundTrips, limits: MigrationSettings) -> Finding:
    """What the older schema has room for is there after the downgrade."""
    rule, limit = RULES["migration.downgrade-keeps-data"], "0 rows or values lost"
    problems = [
        (name, lost(turn.losses)) for name, turn in turns(seen, _down) if turn.ran.succeeded and turn.losses
    ]
    newer = [str(each) for step in seen.steps if step.down and step.before for each in step.down.dropped]
    with_it = f"; with what is new went {listed(newer)}" if newer else ""
    well = f"{about(seen)}: all rows and values kept that there is room for{with_it}{_declared(limits)}"
    finding = concluded(rule, seen, problems, well, limit)
    back = [step for step in all_steps(seen) if step.down is not None]
    return _with_rows(_on_the_way_down(finding, seen), seen, back)


def round_trip(seen: RoundTrips, limits: MigrationSettings) -> Finding:
    """The second upgrade leads where the first one did."""
    rule = RULES["migration.round-trip"]
    problems = []
    for name, turn in turns(seen, _again):
        if not turn.ran.succeeded:
            problems.append((name, f"the second upgrade {said(turn.ran)}"))
        elif turn.differences:
            problems.append((name, told(turn.differences)))
    problems += [(name_of(step, seen), why) for step in all_steps(seen) if (why := current.elsewhere(step))]
    well = f"{about(seen)}: up, down and up again, the same catalogue{_declared(limits)}"
    return _on_the_way_down(concluded(rule, seen, problems, well, "the same catalogue by name"), seen)


def dropped_data_known(seen: RoundTrips) -> Finding:
    """What went with its table or column is listed; without judgement."""
    rule = RULES["migration.dropped-data-known"]
    found = [(name, f"{each} dropped") for name, turn in turns(seen, _up) for each in turn.dropped]
    finding = concluded(rule, seen, found, f"{about(seen)}: nothing is dropped that held rows", "advice")
    return _on_rows(finding, seen)


def twice_is_nothing(seen: RoundTrips) -> Finding:
    """The upgrade where there is nothing to do does nothing."""
    rule, limit = RULES["migration.twice-is-nothing"], "succeeds, same catalogue, same rows"
    if seen.doubt or seen.twice is None:
        return rule.inconclusive(seen.doubt or "the newest revision was not reached", limit=limit)
    if problems := [*_second_time(seen.twice), *filter(None, [current.moved(seen)])]:
        return rule.failed(f"the second time: {listed(problems)}", limit=limit)
    return rule.passed("nothing changed, and it succeeded", limit=limit)


def _second_time(twice: Turn) -> list[str]:
    found = [] if twice.ran.succeeded else [said(twice.ran)]
    found += [told(twice.differences)] if twice.differences else []
    if twice.losses:
        return [*found, lost(twice.losses)]
    more = "more" if twice.added > 0 else "less"
    return [*found, f"{counted(abs(twice.added), 'row')} {more}"] if twice.added else found


def models_match(seen: RoundTrips) -> Finding:
    """The tool finds no difference between the models and the schema."""
    rule, limit = RULES["migration.models-match"], "the check succeeds"
    if seen.doubt or seen.check is None:
        return rule.inconclusive(seen.doubt or "the newest revision was not reached", limit=limit)
    if not seen.check.succeeded:
        return rule.failed(f"the check {said(seen.check)}", limit=limit)
    well, models = "the models are what the newest revision makes", seen.models
    if models is None:
        return rule.passed(well, limit=limit)
    if not models.ran.succeeded:
        alone = f"as far as the check sees; making their tables {said(models.ran)}"
        return rule.passed(f"{well}, {alone}", limit=limit)
    if models.differences:
        summary = f"against what the models say: {told(models.differences)}"
        return rule.failed(summary, limit=limit, change=BY_HAND)
    return rule.passed(f"{well}, with checks, predicates, defaults and values of enums", limit=limit)


def _up(step: Step) -> Turn:
    return step.up


def _down(step: Step) -> Turn | None:
    return step.down


def _again(step: Step) -> Turn | None:
    return step.again


def _declared(limits: MigrationSettings) -> str:
    """What was left out, by whose reason."""
    if not limits.irreversible:
        return ""
    reasons = listed([f"{revision} ({reason})" for revision, reason in limits.irreversible.items()])
    return f"; declared irreversible: {reasons}"


def _on_the_way_down(finding: Finding, seen: RoundTrips) -> Finding:
    """No downgrade at all is no proof of any, and one that fails tells nothing of what it would have done."""
    back = [(step, step.down) for step in all_steps(seen) if step.down is not None]
    if finding.verdict != "passed":
        return finding
    if not back:
        return finding.rule.inconclusive("no revision has been taken back", limit=finding.limit)
    if failing := [name_of(step, seen) for step, down in back if not down.ran.succeeded]:
        return finding.rule.inconclusive(f"the downgrade fails: {listed(failing)}", limit=finding.limit)
    return finding


def _on_rows(finding: Finding, seen: RoundTrips) -> Finding:
    """An upgrade that begins with an empty database loses nothing, whatever it does."""
    if finding.verdict != "passed" or any(step.below for step in all_steps(seen)):
        return finding
    if len(seen.history.revisions) + seen.history.older == 1:
        return finding.rule.passed(
            "the only revision begins with an empty database, where nothing can be lost", limit=finding.limit
        )
    return finding.rule.inconclusive("no upgrade has met rows: all began with none", limit=finding.limit)


def _not_seeded(seen: RoundTrips) -> str:
    """Why the rows of the service's own, which are asked for, weren't there; empty where they were."""
    if seen.seeded is None or seen.seeded.useful:
        return ""
    if not seen.seeded.ran.succeeded:
        return f"the seed {said(seen.seeded.ran)}"
    return "the seed added no rows to the database that the service's variables name"


def _with_rows(finding: Finding, seen: RoundTrips, steps: Sequence[Step]) -> Finding:
    """Without any rows above these steps, nothing can be lost; and what could not be filled is told."""
    rule, limit = finding.rule, finding.limit
    if finding.verdict != "passed":
        return finding
    if why := _not_seeded(seen):
        return rule.inconclusive(why, limit=limit)
    if not any(step.rows for step in steps):
        why = listed(seen.not_filled) or "the tables were empty"
        return rule.inconclusive(f"no rows could be lost: {why}", limit=limit)
    if seen.not_filled:
        return rule.passed(f"{finding.summary}; left empty: {listed(seen.not_filled)}", limit=limit)
    return finding
