"""Defects of backups."""

from __future__ import annotations

from tests.specimens import backup_physical

SPECIMENS = backup_physical.SPECIMENS
