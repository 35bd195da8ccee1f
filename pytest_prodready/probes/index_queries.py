"""The questions to the catalogue that an audit of indexes asks."""

from __future__ import annotations

# As the server picks it: the role's in this database, the role's, the database's, its own.
SEARCH_PATH = """
    SELECT coalesce(
        (SELECT substr(setting, 13) FROM pg_db_role_setting s
         LEFT JOIN pg_roles r ON r.oid = s.setrole LEFT JOIN pg_database d ON d.oid = s.setdatabase,
         unnest(s.setconfig) setting
         WHERE setting LIKE 'search_path=%%'
           AND (s.setrole = 0 OR r.rolname = %(role)s)
           AND (s.setdatabase = 0 OR d.datname = current_database())
         ORDER BY s.setrole = 0, s.setdatabase = 0 LIMIT 1),
        (SELECT boot_val FROM pg_settings
         WHERE name = 'search_path' AND source IN ('database', 'user', 'client')),
        (SELECT reset_val FROM pg_settings WHERE name = 'search_path'))
"""

# Without system objects, temporary tables, those of extensions, and those that the service may not touch.
OWN = """
    own AS (
        SELECT c.oid, c.oid::regclass::text AS name, c.relkind, c.reltuples, c.relispartition
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'm') AND c.relpersistence <> 't'
          AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%%'
          AND NOT EXISTS (SELECT FROM pg_depend d
                          WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
          AND NOT EXISTS (SELECT FROM pg_depend d
                          WHERE d.classid = 'pg_namespace'::regclass AND d.objid = n.oid AND d.deptype = 'e')
          AND (NOT EXISTS (SELECT FROM pg_roles WHERE rolname = %(role)s)
               OR EXISTS (SELECT FROM pg_roles r, coalesce(pg_partition_root(c.oid)::oid, c.oid) root
                          WHERE r.rolname = %(role)s
                            AND (has_table_privilege(r.oid, root, 'DELETE')
                                 OR has_any_column_privilege(r.oid, root, 'SELECT, INSERT, UPDATE'))))
    )
"""

TABLES = f"""
    WITH {OWN}
    SELECT o.name,
           CASE WHEN o.reltuples >= 0 THEN o.reltuples::bigint
                ELSE coalesce(nullif(pg_stat_get_live_tuples(o.oid), 0), -1) END AS rows,
           o.relkind = 'p' AS partitioned,
           CASE WHEN o.relispartition
                THEN (SELECT h.inhparent::regclass::text FROM pg_inherits h WHERE h.inhrelid = o.oid)
                ELSE '' END AS parent,
           coalesce(pg_stat_get_numscans(o.oid), 0) AS seq_scans,
           coalesce((SELECT sum(pg_stat_get_numscans(i.indexrelid)) FROM pg_index i
                     WHERE i.indrelid = o.oid), 0)::bigint AS index_scans
    FROM own o ORDER BY o.name
"""  # noqa: S608 (of fixed texts)

INDEXES = f"""
    WITH {OWN}
    SELECT i.indexrelid::regclass::text AS name, o.name AS "table", am.amname AS method,
        (SELECT json_agg(json_build_object(
                'text', pg_get_indexdef(i.indexrelid, k, true),
                'column', coalesce(quote_ident(a.attname), ''),
                'opclass', concat_ws('.', nullif(opc.opcnamespace::regnamespace::text, 'pg_catalog'),
                                     opc.opcname) || coalesce(' ' || own_a.attoptions::text, ''),
                'collation', CASE WHEN i.indcollation[k - 1] = coalesce(a.attcollation, 0) THEN ''
                                  ELSE i.indcollation[k - 1]::regcollation::text END,
                'descending', i.indoption[k - 1] & 1 = 1,
                'nulls_first', i.indoption[k - 1] & 2 = 2) ORDER BY k)
         FROM generate_series(1, i.indnkeyatts) k
         JOIN pg_opclass opc ON opc.oid = i.indclass[k - 1]
         JOIN pg_attribute own_a ON own_a.attrelid = i.indexrelid AND own_a.attnum = k
         LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k - 1] AND a.attnum > 0
        ) AS keys,
        ARRAY(SELECT pg_get_indexdef(i.indexrelid, k, true)
              FROM generate_series(i.indnkeyatts + 1, i.indnatts) k ORDER BY k) AS included,
        coalesce(pg_get_expr(i.indpred, i.indrelid), '') AS predicate,
        i.indisunique AS "unique",
        coalesce((SELECT min(conname) FROM pg_constraint
                  WHERE conindid = i.indexrelid AND contype IN ('p', 'u', 'x')), '') AS "constraint",
        i.indisreplident AS replica_identity,
        i.indisvalid AND i.indisready AND i.indislive AS usable,
        EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid) AS building,
        c.relkind = 'I' AS partitioned,
        coalesce((SELECT h.inhparent::regclass::text FROM pg_inherits h
                  WHERE h.inhrelid = i.indexrelid), '') AS parent,
        coalesce(pg_relation_size(i.indexrelid), 0) AS size_bytes,
        coalesce(pg_stat_get_numscans(i.indexrelid), 0) AS scans
    FROM own o JOIN pg_index i ON i.indrelid = o.oid
    JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am am ON am.oid = c.relam
    ORDER BY o.name, i.indexrelid::regclass::text
"""  # noqa: S608 (of fixed texts)

# Those of and to partitions follow from their parents'. PostgreSQL 18 has some that it doesn't enforce.
FOREIGN_KEYS = f"""
    WITH {OWN}
    SELECT quote_ident(f.conname) AS name, o.name AS "table",
           ARRAY(SELECT quote_ident(a.attname) FROM unnest(f.conkey) WITH ORDINALITY k(number, place)
                 JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.number ORDER BY k.place)
           AS columns,
           f.confrelid::regclass::text AS "references"
    FROM own o JOIN pg_constraint f ON f.conrelid = o.oid
    WHERE f.contype = 'f' AND f.conparentid = 0
      AND coalesce((to_jsonb(f) ->> 'conenforced')::boolean, true)
    ORDER BY o.name, f.conname
"""  # noqa: S608 (of fixed texts)

# With each column that takes its numbers from it: as its owner, or by its default.
SEQUENCES = f"""
    WITH {OWN}, used AS (
        SELECT d.objid AS sequence, d.refobjid AS relation, d.refobjsubid::int AS number,
               d.deptype = 'i' AS identity
        FROM pg_depend d JOIN pg_sequence q ON q.seqrelid = d.objid
        WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
          AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
        UNION
        SELECT d.refobjid, f.adrelid, f.adnum::int, false
        FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid JOIN pg_sequence q ON q.seqrelid = d.refobjid
        WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass
    )
    SELECT DISTINCT ON (1, "table", "column") q.seqrelid::regclass::text AS name,
           CASE WHEN has_sequence_privilege(q.seqrelid, 'SELECT, USAGE')
                THEN pg_sequence_last_value(q.seqrelid) END AS last,
           NOT has_sequence_privilege(q.seqrelid, 'SELECT, USAGE') AS hidden,
           q.seqmin AS minimum, q.seqmax AS maximum, q.seqincrement AS increment, q.seqcycle AS cycles,
           o.name AS "table", quote_ident(a.attname) AS "column", format_type(t.oid, NULL) AS type,
           u.identity
    FROM used u JOIN own o ON o.oid = u.relation JOIN pg_sequence q ON q.seqrelid = u.sequence
    JOIN pg_attribute a ON a.attrelid = u.relation AND a.attnum = u.number
    JOIN pg_type named ON named.oid = a.atttypid
    JOIN pg_type t ON t.oid = coalesce(nullif(named.typbasetype, 0), named.oid)
    WHERE NOT o.relispartition
    ORDER BY 1, "table", "column", u.identity DESC
"""  # noqa: S608 (of fixed texts)

# A B-tree's pages against those that its rows would take, by the widths in pg_stats. Since PostgreSQL 13
# equal keys are stored once, and an index may be smaller than this: too little bloat is found, not too much.
ESTIMATED_WASTE = f"""
    WITH {OWN}
    SELECT e.name, greatest(0, e.size - (ceil(e.rows * (12 + 8 * ceil(e.width / 8.0))
                                     / ((current_setting('block_size')::numeric - 40) * e.fill / 100)) + 1)
                               * current_setting('block_size')::numeric)::bigint
    FROM (
        SELECT i.indexrelid::regclass::text AS name, pg_relation_size(i.indexrelid) AS size,
               greatest(c.reltuples, 0)::numeric AS rows,
               coalesce((SELECT option_value FROM pg_options_to_table(c.reloptions)
                         WHERE option_name = 'fillfactor')::int, 90) AS fill,
               (SELECT CASE WHEN count(*) = count(s.avg_width)
                            THEN sum((1 - s.null_frac) * s.avg_width)::numeric END
                FROM generate_series(1, i.indnatts) k
                LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = nullif(i.indkey[k - 1], 0)
                LEFT JOIN pg_attribute x ON x.attrelid = i.indexrelid AND x.attnum = k
                LEFT JOIN pg_stats s ON s.schemaname = n.nspname AND NOT s.inherited
                     AND s.tablename = CASE WHEN a.attname IS NULL THEN c.relname ELSE t.relname END
                     AND s.attname = coalesce(a.attname, x.attname)) AS width
        FROM own o JOIN pg_index i ON i.indrelid = o.oid JOIN pg_class t ON t.oid = o.oid
        JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_am am ON am.oid = c.relam
        WHERE am.amname = 'btree' AND c.relkind = 'i'
    ) e WHERE e.width IS NOT NULL AND e.rows >= 0
"""  # noqa: S608 (of fixed texts)
