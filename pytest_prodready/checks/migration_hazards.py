"""Judge what squawk says about a migration: its rules about hazards, and ours that measure the same."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.migration_words import Judgement, shortened
from pytest_prodready.findings import Finding
from pytest_prodready.probes.migration_squawk import Hazard
from pytest_prodready.probes.migration_traffic import Step, Traffic
from pytest_prodready.settings.migration_traffic import MigrationTrafficSettings

INSTALL = "pip install 'pytest-prodready[migrations]'"
# Each with the rule that measures it, and so knows how large the table is; empty: the text alone tells.
HAZARDS: Mapping[str, str] = MappingProxyType(
    {
        "adding-field-with-default": "migration.no-table-rewrite",
        "adding-foreign-key-constraint": "migration.constraints-validated-apart",
        "adding-not-nullable-field": "migration.constraints-validated-apart",
        "adding-required-field": "",
        "adding-serial-primary-key-field": "migration.indexes-built-concurrently",
        "ban-alter-domain-with-add-constraint": "",
        "ban-create-domain-with-constraint": "",
        "ban-drop-column": "",
        "ban-drop-database": "",
        "ban-drop-table": "",
        "ban-truncate-cascade": "",
        "changing-column-type": "migration.no-table-rewrite",
        "constraint-missing-not-valid": "migration.constraints-validated-apart",
        "disallowed-unique-constraint": "migration.indexes-built-concurrently",
        "renaming-column": "",
        "renaming-table": "",
        "require-concurrent-index-creation": "migration.indexes-built-concurrently",
        "require-concurrent-index-deletion": "",
    }
)


def static_hazards(seen: Traffic, limits: MigrationTrafficSettings) -> Finding:
    """The statements of a migration hold nothing that squawk knows as a hazard."""
    rule, found = RULES["migration.static-hazards"], Judgement()
    details = {"limit": f"none of {len(HAZARDS)} hazards", "limits": {"accepted": list(limits.squawk_accept)}}
    if not seen.squawk and not seen.doubt:
        return rule.unverified(f"squawk is not installed: {INSTALL}", change=INSTALL, **details)
    for step in seen.steps:
        if step.remarks.doubt:
            found.doubts.append(f"{step.revision}: {step.remarks.doubt}")
        for each in step.remarks.hazards:
            if _counts(step, each, limits.squawk_accept):
                found.problems.append(f"{step.revision}: {each.rule} ({shortened(each.statement)})")
    return found.conclude(rule, seen, f"squawk {seen.squawk} finds no hazard", details)


def _counts(step: Step, hazard: Hazard, accepted: tuple[str, ...]) -> bool:
    """Whether nothing but the text can tell, and nobody has accepted it: `rule`, or `revision:rule`."""
    if hazard.rule not in HAZARDS or {hazard.rule, f"{step.revision}:{hazard.rule}"} & {*accepted}:
        return False
    measured = bool(HAZARDS[hazard.rule]) and not step.doubt
    return not measured
