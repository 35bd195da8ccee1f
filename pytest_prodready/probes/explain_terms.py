"""Under which settings statements are explained: the service's own, production's, and what is pinned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from pytest_prodready.errors import ConfigError
from pytest_prodready.names import PINNED_SETTINGS, PLANNER_SETTINGS
from pytest_prodready.probes.plans import Data, Statement

Connection = psycopg.Connection[Any]

SESSION_SETTINGS = frozenset(
    {"search_path", "timezone", "datestyle", "intervalstyle", "default_text_search_config", "row_security"}
)
NOT_OURS = ("auto_explain.", "pg_stat_statements.", "plpgsql.")
WITHIN_S = 30.0
OF_THE_ROLE = """
    SELECT setting FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) AS setting
    LEFT JOIN pg_roles r ON r.oid = s.setrole LEFT JOIN pg_database d ON d.oid = s.setdatabase
    WHERE (s.setrole = 0 OR r.rolname = %s) AND (s.setdatabase = 0 OR d.datname = current_database())
    ORDER BY s.setrole <> 0, s.setdatabase <> 0
"""  # from the most general to the most special
KNOWN = """
    SELECT name, current_setting(name), setting IS DISTINCT FROM boot_val FROM pg_settings
    WHERE name = ANY(%s)
"""


@dataclass(frozen=True, slots=True)
class Terms:
    """How statements are explained: as whom, under which settings, on which data, for how long at most."""

    role: str
    own: Mapping[str, str] = field(default_factory=dict)  # of the role, by ALTER ROLE and ALTER DATABASE
    production: Mapping[str, str] = field(default_factory=dict)  # [explain] settings
    base: Mapping[str, str] = field(
        default_factory=dict
    )  # what the planner's settings are without the latter
    effective: Mapping[str, str] = field(default_factory=dict)  # what differs from PostgreSQL's defaults
    data: Data = "rows"
    within_s: float = WITHIN_S

    def settings_for(self, statement: Statement) -> dict[str, str]:
        """What is set while this statement is explained; what the service's session changed comes last."""
        changed = {
            name: value
            for name, value in statement.settings.items()
            if name.lower() in PLANNER_SETTINGS | SESSION_SETTINGS and self.base.get(name.lower()) != value
        }
        return {**self.own, **self.production, **changed, **PINNED_SETTINGS}


def terms(
    connection: Connection,
    role: str,
    production: Mapping[str, Any],
    data: Data = "rows",
    within_s: float = WITHIN_S,
) -> Terms:
    """What holds for every statement of this role; raises ConfigError for a value that PostgreSQL refuses."""
    own = _own(connection, role)
    given = {name: as_text(value) for name, value in production.items()}
    base = _in_force(connection, own)
    effective = _in_force(connection, {**own, **given, **PINNED_SETTINGS})
    return Terms(
        role=role,
        own=own,
        production=given,
        base={name: value for name, (value, _) in base.items()},
        effective={
            name: value for name, (value, changed) in effective.items() if changed or name in PINNED_SETTINGS
        },
        data=data,
        within_s=within_s,
    )


def as_text(value: object) -> str:
    """A value of prodready.toml as PostgreSQL writes it."""
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


def apply(connection: Connection, settings: Mapping[str, str]) -> None:
    """Set all of it until the transaction ends; raises ConfigError for what PostgreSQL refuses."""
    for name, value in settings.items():
        try:
            connection.execute(
                sql.SQL("SELECT set_config({}, {}, true)").format(sql.Literal(name), sql.Literal(value))
            )
        except psycopg.Error as error:
            raise ConfigError(
                f"PostgreSQL refuses a planner setting: {error.diag.message_primary}",
                value=f"{name} = {value}",
                source="[explain] settings, or the service's own session",
                remedy=f"give {name} a value that this version of PostgreSQL takes, or remove it",
            ) from error


def _own(connection: Connection, role: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for (setting,) in connection.execute(OF_THE_ROLE, (role,)):
        name, _, value = str(setting).partition("=")
        if _counts(name.lower()):
            found[name] = value
    return found


def _counts(name: str) -> bool:
    """Whether a setting may change a plan, or the result of a statement."""
    named = name in PLANNER_SETTINGS | SESSION_SETTINGS
    return named or ("." in name and not name.startswith(NOT_OURS))


def _in_force(connection: Connection, settings: Mapping[str, str]) -> dict[str, tuple[str, bool]]:
    names = sorted(PLANNER_SETTINGS | PINNED_SETTINGS.keys())
    with connection.transaction(force_rollback=True):
        apply(connection, settings)
        rows = connection.execute(KNOWN, (names,)).fetchall()
    return {str(name): (str(value), bool(changed)) for name, value, changed in rows}
