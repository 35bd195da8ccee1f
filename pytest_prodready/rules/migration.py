"""The rules of the migration suite."""

from __future__ import annotations

from pytest_prodready.findings import Capability as Needs

CHECKLIST = "8. Migrations, with a backup first and a way back"
NEEDS = frozenset({Needs.SERVICE, Needs.PROCESS, Needs.DATABASE, Needs.DESTRUCTIVE, Needs.MIGRATION})
