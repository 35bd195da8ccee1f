"""One defect for each rule of the explain suite."""

from __future__ import annotations

from tests.specimens import Specimen, explain_indexes, explain_orm, explain_statements

SPECIMENS: tuple[Specimen, ...] = (
    *explain_statements.SPECIMENS,
    *explain_orm.SPECIMENS,
    *explain_indexes.SPECIMENS,
)
