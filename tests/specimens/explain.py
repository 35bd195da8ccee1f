"""One defect for each rule of the explain suite."""

from __future__ import annotations

from tests.specimens import Specimen, explain_indexes

SPECIMENS: tuple[Specimen, ...] = (*explain_indexes.SPECIMENS,)
