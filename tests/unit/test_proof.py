"""The page of proofs is complete."""

from __future__ import annotations

from tests.proof import PAGE, rows_of
from tests.specimens import all_specimens


def test_the_page_shows_every_specimen() -> None:
    """docs/proof.md has a row for each specimen, in their order; `make proof` writes it."""
    assert rows_of(PAGE.read_text()) == [(specimen.name, specimen.breaks) for specimen in all_specimens()]
