"""The questions to the catalogue about tables, views and sequences, and all that hangs on them.

Each answers (kind, name, definition). What hangs on a table has its name before its own, with a dot.
"""

from __future__ import annotations

from pytest_prodready.probes.schema_sql import own, owner

_RELATION = f"""
    relation AS (
        SELECT c.*, format('%I.%I', n.nspname, c.relname) AS name
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S', 'c') AND c.relpersistence <> 't'
          AND {own("pg_class", "c.oid")}
    )
"""  # noqa: S608 (of fixed texts, as all of these)
_COLUMN = f"""
    {_RELATION},
    attribute AS (
        SELECT a.*, r.name || '.' || quote_ident(a.attname) AS name, t.typstorage, t.typcollation, r.relkind
        FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid
        JOIN pg_type t ON t.oid = a.atttypid
        WHERE a.attnum > 0 AND NOT a.attisdropped AND r.relkind NOT IN ('S', 'c')
    )
"""  # noqa: S608

TABLES = f"""
    WITH {_RELATION}
    SELECT CASE r.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' WHEN 'f' THEN 'foreign table'
                WHEN 'v' THEN 'view' ELSE 'materialized view' END,
           r.name,
           concat_ws('; ',
               CASE WHEN r.relpersistence = 'u' THEN 'unlogged' END,
               CASE WHEN r.relkind IN ('v', 'm') THEN pg_get_viewdef(r.oid) END,
               CASE WHEN r.relkind = 'm' AND NOT r.relispopulated THEN 'not populated' END,
               'partitioned by ' || pg_get_partkeydef(r.oid),
               'partition ' || pg_get_expr(r.relpartbound, r.oid),
               (SELECT 'inherits ' || string_agg(h.inhparent::regclass::text, ', ' ORDER BY h.inhseqno)
                FROM pg_inherits h WHERE h.inhrelid = r.oid),
               'of type ' || nullif(r.reloftype, 0)::regtype,
               'access method ' || nullif(am.amname, 'heap'),
               'tablespace ' || (SELECT s.spcname FROM pg_tablespace s WHERE s.oid = r.reltablespace),
               (SELECT 'server ' || quote_ident(s.srvname) || ' ' || coalesce(f.ftoptions::text, '')
                FROM pg_foreign_table f JOIN pg_foreign_server s ON s.oid = f.ftserver
                WHERE f.ftrelid = r.oid),
               {owner("r.relowner")})
    FROM relation r LEFT JOIN pg_am am ON am.oid = r.relam
    WHERE r.relkind NOT IN ('S', 'c')
"""  # noqa: S608

COLUMNS = f"""
    WITH {_COLUMN}
    SELECT 'column', a.name, concat_ws(' ', format_type(a.atttypid, a.atttypmod), a.attfdwoptions::text)
    FROM attribute a
    UNION ALL
    SELECT 'column order', r.name, string_agg(a.attname, ', ' ORDER BY a.attnum)
    FROM relation r JOIN attribute a ON a.attrelid = r.oid GROUP BY r.name
    UNION ALL
    SELECT CASE WHEN a.attgenerated = '' THEN 'default' ELSE 'generated column' END, a.name,
           CASE a.attgenerated WHEN 's' THEN 'stored ' WHEN 'v' THEN 'virtual ' ELSE '' END
               || pg_get_expr(d.adbin, d.adrelid)
    FROM attribute a JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    UNION ALL
    SELECT 'collation', a.name, a.attcollation::regcollation::text
    FROM attribute a WHERE a.attcollation NOT IN (0, a.typcollation) AND a.relkind <> 'v'
    UNION ALL
    SELECT 'column storage', a.name,
           concat_ws(' ', CASE a.attstorage WHEN 'p' THEN 'plain' WHEN 'e' THEN 'external'
                               WHEN 'm' THEN 'main' ELSE 'extended' END,
                     nullif(to_jsonb(a) ->> 'attcompression', ''))
    FROM attribute a
    WHERE a.relkind <> 'v'
      AND (a.attstorage <> a.typstorage OR coalesce(to_jsonb(a) ->> 'attcompression', '') <> '')
    UNION ALL
    SELECT 'column statistics', a.name, concat_ws(' ', nullif(to_jsonb(a) ->> 'attstattarget', '-1'), o.set)
    FROM attribute a CROSS JOIN LATERAL (
        SELECT string_agg(option, ', ' ORDER BY option) AS set FROM unnest(a.attoptions) option
        WHERE option !~ '^pg_'  -- the server's own marks, such as PostgreSQL 17.12's pg_attver
    ) o
    WHERE coalesce(to_jsonb(a) ->> 'attstattarget', '-1') <> '-1' OR o.set IS NOT NULL
"""  # noqa: S608

# A NOT NULL has a name of its own since PostgreSQL 18; nobody chose it, and older servers lose it.
NOT_NULL = f"""
    WITH {_COLUMN}
    SELECT 'not null', a.name, ''
    FROM attribute a WHERE a.attnotnull
"""  # noqa: S608
NOT_NULL_NAMED = f"""
    WITH {_COLUMN}
    SELECT 'not null', a.name,
           concat_ws(' ', CASE WHEN NOT k.convalidated THEN 'not valid' END,
                     CASE WHEN k.connoinherit THEN 'no inherit' END)
    FROM attribute a
    LEFT JOIN pg_constraint k ON k.conrelid = a.attrelid AND k.contype = 'n' AND k.conkey[1] = a.attnum
    WHERE a.attnotnull
"""  # noqa: S608

_SEQUENCE = """
    concat_ws(' ', format_type(s.seqtypid, NULL), 'start', s.seqstart, 'increment', s.seqincrement,
              'from', s.seqmin, 'to', s.seqmax, 'cache', s.seqcache, CASE WHEN s.seqcycle THEN 'cycle' END)
"""
SEQUENCES = f"""
    WITH {_RELATION}
    SELECT 'sequence', r.name,
           concat_ws('; ', {_SEQUENCE}, CASE WHEN r.relpersistence = 'u' THEN 'unlogged' END,
               (SELECT 'owned by ' || pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid)
                FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = r.oid
                  AND d.deptype = 'a' AND d.refclassid = 'pg_class'::regclass),
               {owner("r.relowner")})
    FROM relation r JOIN pg_sequence s ON s.seqrelid = r.oid
    WHERE NOT EXISTS (SELECT FROM pg_depend d
                      WHERE d.classid = 'pg_class'::regclass AND d.objid = r.oid AND d.deptype = 'i')
"""  # noqa: S608
IDENTITIES = f"""
    WITH {_COLUMN}
    SELECT 'identity', a.name,
           concat_ws('; ', CASE a.attidentity WHEN 'a' THEN 'always' ELSE 'by default' END,
                     (SELECT r.name || ' ' || {_SEQUENCE} FROM pg_depend d
                      JOIN pg_sequence s ON s.seqrelid = d.objid JOIN relation r ON r.oid = d.objid
                      WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
                        AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum AND d.deptype = 'i'))
    FROM attribute a WHERE a.attidentity <> ''
"""  # noqa: S608

OPTIONS = f"""
    WITH {_RELATION}
    SELECT 'options', r.name, concat_ws(' ', r.reloptions::text, 'toast ' || toast.reloptions::text)
    FROM relation r LEFT JOIN pg_class toast ON toast.oid = r.reltoastrelid
    WHERE r.reloptions IS NOT NULL OR toast.reloptions IS NOT NULL
    UNION ALL
    SELECT 'replica identity', r.name,
           CASE r.relreplident WHEN 'f' THEN 'full' WHEN 'n' THEN 'nothing' ELSE
               'index ' || (SELECT i.indexrelid::regclass FROM pg_index i
                            WHERE i.indrelid = r.oid AND i.indisreplident) END
    FROM relation r WHERE r.relkind IN ('r', 'p', 'm') AND r.relreplident <> 'd'
    UNION ALL
    SELECT 'row security', r.name,
           concat_ws(', ', CASE WHEN r.relrowsecurity THEN 'enabled' END,
                     CASE WHEN r.relforcerowsecurity THEN 'forced' END)
    FROM relation r WHERE r.relrowsecurity OR r.relforcerowsecurity
"""  # noqa: S608

POLICIES = f"""
    WITH {_RELATION}
    SELECT 'policy', r.name || '.' || quote_ident(p.polname),
           concat_ws(' ', CASE WHEN p.polpermissive THEN 'permissive' ELSE 'restrictive' END,
               'for', CASE p.polcmd WHEN 'r' THEN 'select' WHEN 'a' THEN 'insert' WHEN 'w' THEN 'update'
                           WHEN 'd' THEN 'delete' ELSE 'all' END,
               'to', (SELECT string_agg(CASE WHEN role = 0 THEN 'public' ELSE role::regrole::text END, ', '
                                        ORDER BY role::regrole::text) FROM unnest(p.polroles) role),
               'using ' || pg_get_expr(p.polqual, p.polrelid),
               'check ' || pg_get_expr(p.polwithcheck, p.polrelid))
    FROM relation r JOIN pg_policy p ON p.polrelid = r.oid
"""  # noqa: S608

CONSTRAINTS = f"""
    WITH {_RELATION}
    SELECT CASE k.contype WHEN 'p' THEN 'primary key' WHEN 'u' THEN 'unique constraint'
                WHEN 'f' THEN 'foreign key' WHEN 'x' THEN 'exclusion constraint'
                ELSE 'check constraint' END,
           r.name || '.' || quote_ident(k.conname),
           concat_ws('; ', pg_get_constraintdef(k.oid),
                     CASE WHEN NOT i.indisvalid THEN 'its index is invalid' END,
                     CASE WHEN i.indisclustered THEN 'clustered' END, x.reloptions::text,
                     'tablespace ' || (SELECT s.spcname FROM pg_tablespace s WHERE s.oid = x.reltablespace))
    FROM relation r JOIN pg_constraint k ON k.conrelid = r.oid
    LEFT JOIN pg_index i ON i.indexrelid = k.conindid AND k.contype IN ('p', 'u', 'x')
    LEFT JOIN pg_class x ON x.oid = i.indexrelid
    WHERE k.contype IN ('p', 'u', 'f', 'x', 'c')
"""  # noqa: S608

INDEXES = f"""
    WITH {_RELATION}
    SELECT 'index', r.name || '.' || quote_ident(x.relname),
           concat_ws('; ', pg_get_indexdef(i.indexrelid),
               CASE WHEN NOT (i.indisvalid AND i.indisready AND i.indislive) THEN 'invalid' END,
               CASE WHEN i.indisclustered THEN 'clustered' END,
               'tablespace ' || (SELECT s.spcname FROM pg_tablespace s WHERE s.oid = x.reltablespace),
               (SELECT 'statistics ' || string_agg(a.attnum || '=' || a.attstattarget, ', ' ORDER BY a.attnum)
                FROM pg_attribute a WHERE a.attrelid = x.oid AND a.attstattarget >= 0))
    FROM relation r JOIN pg_index i ON i.indrelid = r.oid JOIN pg_class x ON x.oid = i.indexrelid
    WHERE NOT EXISTS (SELECT FROM pg_constraint k
                      WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
"""  # noqa: S608

TRIGGERS = f"""
    WITH {_RELATION}
    SELECT 'trigger', r.name || '.' || quote_ident(t.tgname),
           concat_ws('; ', pg_get_triggerdef(t.oid),
               CASE t.tgenabled WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'on replicas'
                    WHEN 'A' THEN 'always' END)
    FROM relation r JOIN pg_trigger t ON t.tgrelid = r.oid WHERE NOT t.tgisinternal
    UNION ALL
    SELECT 'rule', r.name || '.' || quote_ident(w.rulename),
           concat_ws('; ', pg_get_ruledef(w.oid),
               CASE w.ev_enabled WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'on replicas'
                    WHEN 'A' THEN 'always' END)
    FROM relation r JOIN pg_rewrite w ON w.ev_class = r.oid WHERE w.rulename <> '_RETURN'
"""  # noqa: S608

STATISTICS = f"""
    SELECT 'statistics object', format('%I.%I', n.nspname, s.stxname),
           concat_ws('; ', pg_get_statisticsobjdef(s.oid),
                     'target ' || nullif(to_jsonb(s) ->> 'stxstattarget', '-1'), {owner("s.stxowner")})
    FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace
    WHERE {own("pg_statistic_ext", "s.oid")}
"""  # noqa: S608

NAMED_NOT_NULLS = 18  # the server's version since which a NOT NULL is a constraint


def relations(version: int) -> tuple[str, ...]:
    """The questions for a server of this version."""
    return (
        TABLES,
        COLUMNS,
        NOT_NULL_NAMED if version >= NAMED_NOT_NULLS else NOT_NULL,
        SEQUENCES,
        IDENTITIES,
        OPTIONS,
        POLICIES,
        CONSTRAINTS,
        INDEXES,
        TRIGGERS,
        STATISTICS,
    )
