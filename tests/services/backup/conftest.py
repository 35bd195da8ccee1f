"""One server, and a fresh database on it for each test."""

from __future__ import annotations

from tests.services.explain.conftest import admin, server

__all__ = ["admin", "server"]
