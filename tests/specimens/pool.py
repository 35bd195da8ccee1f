"""Defects of the pool suite."""

from __future__ import annotations

from tests.specimens import Specimen

SPECIMENS: tuple[Specimen, ...] = ()
