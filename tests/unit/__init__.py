"""Tests of single pieces, from literals."""
