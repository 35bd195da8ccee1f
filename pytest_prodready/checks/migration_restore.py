"""Judge the way back by a restore."""

from __future__ import annotations

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.migration_trips import counted, listed, said, told
from pytest_prodready.findings import Finding
from pytest_prodready.probes.migration_restore import WayBack


def restore_leads_back(seen: WayBack) -> Finding:
    """After the restore the database is what it was before the upgrade, and can be upgraded again."""
    rule = RULES["migration.restore-leads-back"]
    limit = "the same rows and catalogue as before, and the upgrade runs again"
    if seen.doubt:
        return rule.inconclusive(seen.doubt, limit=limit)
    if seen.upgrade is not None and not seen.upgrade.succeeded:
        return rule.inconclusive(f"the upgrade {said(seen.upgrade)}", limit=limit)
    if problems := _problems(seen):
        return rule.failed(listed(problems), limit=limit)
    if seen.upgrade is None:
        return rule.inconclusive("no upgrade was taken back", limit=limit)
    if not seen.rows:
        return rule.inconclusive("the database was empty, so that nothing could come back", limit=limit)
    where = f"at {seen.before}" if seen.before else "at the newest revision"
    changed = f"{counted(seen.upgraded, 'thing')} changed by the upgrade"
    again = ", and upgraded again" if seen.again is not None else ""
    rows = counted(seen.rows, "row")
    return rule.passed(f"backed up {where} with {rows}, {changed}, restored as it was{again}", limit=limit)


def _problems(seen: WayBack) -> list[str]:
    found = [str(ran) for ran in seen.programs if ran.status != 0]
    found += [str(each) for each in seen.contents]
    found += [told([each]) for each in seen.schema]
    if seen.again is not None and not seen.again.succeeded:
        found.append(f"the upgrade of the restored database {said(seen.again)}")
    if seen.differences:
        found.append(f"the upgrade of the restored database leads elsewhere: {told(seen.differences)}")
    return found
