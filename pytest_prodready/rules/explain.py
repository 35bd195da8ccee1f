"""The rules of the explain suite: the statements that the service runs, their plans, and its indexes."""

from __future__ import annotations

from pytest_prodready.rules.explain_indexes import INDEXES
from pytest_prodready.rules.explain_statements import STATEMENTS

RULES = (*STATEMENTS, *INDEXES)
