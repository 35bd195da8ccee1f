"""Defects of migrations."""

SPECIMENS = ()
