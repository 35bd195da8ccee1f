"""Names that users rely on, in one place and without weight."""

from __future__ import annotations

FILE_NAME = "prodready.toml"
VARIABLE_PREFIX = "PRODREADY_"
RULE_MARK = "prodready_rule"
FIXTURE_PREFIX = "prodready_"
SETTINGS_FIXTURE = "prodready_settings"  # the one fixture that starts nothing
SMALLEST_FILE = """\
[service]
name = "jobboard"
command = "uvicorn jobboard.app:app --port {port}"
env = { DATABASE_URL = "{postgres.url}" }
engine = "jobboard.db:make_engine"   # optional, Python only
"""
