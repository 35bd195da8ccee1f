"""What belongs to a database, and is not in it: its roles, and its own properties."""

from __future__ import annotations

from typing import Any

import psycopg

from pytest_prodready.probes.contents_queries import NAME
from pytest_prodready.probes.schema import Thing
from pytest_prodready.probes.schema_sql import ours

# Those that own something, were granted something or have settings here, and all that are tied to them.
CONCERNED = """
    WITH RECURSIVE here AS (
        SELECT oid, datdba FROM pg_database WHERE datname = current_database()
    ), named AS (
        SELECT d.refobjid AS oid FROM pg_shdepend d, here
        WHERE d.refclassid = 'pg_authid'::regclass
          AND (d.dbid = here.oid OR d.classid = 'pg_database'::regclass AND d.objid = here.oid)
        UNION SELECT datdba FROM here
        UNION SELECT s.setrole FROM pg_db_role_setting s, here WHERE s.setdatabase = here.oid
        UNION SELECT oid FROM pg_roles WHERE rolname = %(role)s
    ), tied AS (
        SELECT oid FROM named
        UNION
        SELECT other.oid FROM tied JOIN pg_auth_members m ON tied.oid IN (m.roleid, m.member)
        JOIN pg_roles other ON other.oid IN (m.roleid, m.member) AND other.rolname !~ '^pg_'
    ), concerned AS (
        SELECT r.* FROM pg_roles r WHERE r.oid IN (SELECT oid FROM tied)
        AND r.rolname !~ '^pg_' AND r.rolname <> session_user
    )
"""
ROLES = f"""
    {CONCERNED}
    SELECT 'role', rolname, concat_ws(', ',
        CASE WHEN rolcanlogin THEN 'LOGIN' ELSE 'NOLOGIN' END, CASE WHEN rolsuper THEN 'SUPERUSER' END,
        CASE WHEN rolcreatedb THEN 'CREATEDB' END, CASE WHEN rolcreaterole THEN 'CREATEROLE' END,
        CASE WHEN rolreplication THEN 'REPLICATION' END, CASE WHEN rolbypassrls THEN 'BYPASSRLS' END,
        CASE WHEN NOT rolinherit THEN 'NOINHERIT' END,
        CASE WHEN rolconnlimit >= 0 THEN 'CONNECTION LIMIT ' || rolconnlimit END,
        'VALID UNTIL ' || rolvaliduntil)
    FROM concerned
    UNION ALL
    SELECT 'membership', m.member::regrole || ' in ' || m.roleid::regrole,
           CASE WHEN m.admin_option THEN 'WITH ADMIN OPTION' ELSE 'member' END
    FROM pg_auth_members m WHERE m.member IN (SELECT oid FROM concerned)
    UNION ALL
    SELECT 'role setting', rolname || ' ' || split_part(setting, '=', 1), substr(setting, strpos(setting, '=') + 1)
    FROM concerned JOIN pg_db_role_setting s ON s.setrole = concerned.oid AND s.setdatabase = 0,
         unnest(s.setconfig) setting
"""  # noqa: S608, E501
# Not the verifier itself: what is recorded lies in a file.
PASSWORDS = f"""
    {CONCERNED}
    SELECT 'password', a.rolname, left(md5(a.rolpassword), 6)
    FROM concerned JOIN pg_authid a USING (oid) WHERE a.rolpassword IS NOT NULL
"""  # noqa: S608
PROPERTIES = """
    SELECT 'database', property, value FROM pg_database d, LATERAL (VALUES
        ('encoding', pg_encoding_to_char(d.encoding)), ('collation', d.datcollate), ('character type', d.datctype),
        ('owner', pg_get_userbyid(d.datdba)), ('connection limit', d.datconnlimit::text)
    ) known (property, value) WHERE d.datname = current_database()
"""  # noqa: E501
SEES_PASSWORDS = "SELECT has_table_privilege('pg_authid', 'SELECT')"
UNANALYZED = f"""
    SELECT {NAME} FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'm') AND {ours("n")} AND c.relpersistence <> 't' AND pg_relation_size(c.oid) > 0
      AND NOT EXISTS (SELECT FROM pg_statistic s WHERE s.starelid = c.oid)
      AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                  AND a.attstattarget IS DISTINCT FROM 0)
    ORDER BY 1
"""  # noqa: S608


def cluster(connection: psycopg.Connection[Any], role: str) -> tuple[Thing, ...]:
    """The roles that this database needs, the service's own among them, and the database's properties."""
    found = [Thing(*row) for row in connection.execute(ROLES.encode(), {"role": role})]
    sees = connection.execute(SEES_PASSWORDS).fetchone()
    if sees and sees[0]:
        found += [Thing(*row) for row in connection.execute(PASSWORDS.encode(), {"role": role})]
    found += [Thing(*row) for row in connection.execute(PROPERTIES.encode())]
    return tuple(sorted(found, key=lambda each: (each.kind, each.name)))


def unanalyzed(connection: psycopg.Connection[Any]) -> tuple[str, ...]:
    """Tables and materialized views with rows, of which the planner has no statistics."""
    return tuple(name for (name,) in connection.execute(UNANALYZED.encode()))
