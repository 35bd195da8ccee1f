"""The rules of the backup suite."""

from __future__ import annotations

from pytest_prodready.rules import backup_physical

RULES = backup_physical.RULES
