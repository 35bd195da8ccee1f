"""Tests of a migration under traffic on a real server."""
