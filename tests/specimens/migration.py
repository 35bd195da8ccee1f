"""One defect for each rule of the migration suite."""

from __future__ import annotations

from tests.specimens import Specimen, migration_traffic

SPECIMENS: tuple[Specimen, ...] = (*migration_traffic.SPECIMENS,)
