"""Tests of the migration suite's probes on a real server."""
