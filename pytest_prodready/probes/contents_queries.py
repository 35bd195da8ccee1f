"""What is asked of a database's catalogue before its contents are hashed; names come ready for SQL."""

from __future__ import annotations

from pytest_prodready.probes.schema_sql import no_member, ours

# Types whose own hash is equal only for values that are equal in every bit that a dump carries. Others are
# hashed as text: an enum's hash is that of its OID, citext's that of its lower case, 1.0 hashes like 1.00.
EXACT = (
    "bool",
    "bpchar",
    "bytea",
    "char",
    "cidr",
    "date",
    "float4",
    "float8",
    "inet",
    "int2",
    "int4",
    "int8",
    "jsonb",
    "macaddr",
    "macaddr8",
    "name",
    "oid",
    "text",
    "time",
    "timestamp",
    "timestamptz",
    "timetz",
    "uuid",
    "varchar",
)

_OURS = f"{ours('n')} AND c.relpersistence <> 't'"
_NO_MEMBER = no_member("pg_class", "c.oid")
_NAME = (
    "CASE {n}.nspname WHEN 'public' THEN quote_ident({c}.relname)"
    " ELSE quote_ident({n}.nspname) || '.' || quote_ident({c}.relname) END"
)
NAME, ROOT_NAME = _NAME.format(n="n", c="c"), _NAME.format(n="rn", c="r")
REFERENCE = "quote_ident(n.nspname) || '.' || quote_ident(c.relname)"

# Each table that has rows of its own, partitions under the name of their root, and materialized views.
# Of an extension's tables a dump has only those, and the rows of those, that it declares as configuration.
TABLES = f"""
    WITH RECURSIVE lower AS (
        SELECT oid AS type, oid AS base FROM pg_type
        UNION ALL
        SELECT l.type, t.typbasetype FROM lower l JOIN pg_type t ON t.oid = l.base WHERE t.typtype = 'd'
    ), exact AS (
        SELECT l.type FROM lower l JOIN pg_type t ON t.oid = l.base
        WHERE t.typnamespace = 'pg_catalog'::regnamespace AND t.typname = ANY(%(exact)s)
    )
    SELECT coalesce({ROOT_NAME}, {NAME}), {REFERENCE}, c.relkind::text, c.relispopulated,
           coalesce(configured.condition, ''), coalesce(columns.listed, '')
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_class r ON c.relispartition AND r.oid = pg_partition_root(c.oid)
    LEFT JOIN pg_namespace rn ON rn.oid = r.relnamespace
    LEFT JOIN LATERAL (
        SELECT e.extcondition[array_position(e.extconfig, c.oid)] AS condition
        FROM pg_extension e WHERE c.oid = ANY(e.extconfig)
    ) configured ON true
    CROSS JOIN LATERAL (
        SELECT string_agg(
            quote_ident(a.attname)
            || CASE WHEN NOT coalesce(k.collisdeterministic, true) THEN '::text COLLATE "C"'
               WHEN a.atttypid IN (SELECT type FROM exact) THEN ''
               WHEN a.atttypid = 'numeric'::regtype AND a.atttypmod <> -1 THEN ''
               ELSE '::text' END, ', ' ORDER BY a.attname) AS listed
        FROM pg_attribute a LEFT JOIN pg_collation k ON k.oid = a.attcollation
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
          AND to_jsonb(a) ->> 'attgenerated' IS DISTINCT FROM 'v'
    ) columns
    WHERE c.relkind IN ('r', 'm') AND {_OURS} AND ({_NO_MEMBER} OR configured.condition IS NOT NULL)
    ORDER BY 1, 2
"""  # noqa: S608

# Each sequence, and the whole-numbered columns that take their numbers from it.
SEQUENCES = f"""
    WITH used AS (
        SELECT d.objid AS sequence, d.refobjid AS relation, d.refobjsubid AS number
        FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
          AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
        UNION
        SELECT d.refobjid, f.adrelid, f.adnum
        FROM pg_attrdef f JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid
          AND d.refclassid = 'pg_class'::regclass
        WHERE pg_get_expr(f.adbin, f.adrelid) ~ '^nextval\\('
    )
    SELECT {NAME}, {REFERENCE}, s.seqincrement < 0, (
        SELECT coalesce(array_agg(ARRAY[
            quote_ident(tn.nspname) || '.' || quote_ident(t.relname), quote_ident(a.attname)]), '{{}}')
        FROM used u JOIN pg_class t ON t.oid = u.relation JOIN pg_namespace tn ON tn.oid = t.relnamespace
        JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = u.number
        WHERE u.sequence = c.oid AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype))
    FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE {_OURS} AND {_NO_MEMBER} ORDER BY 1
"""  # noqa: S608

# By pages, because an object may be larger than memory. Zeros that nobody wrote and those that a restore has
# written are the same to a reader, so they count as what they are: nothing but length.
LARGE_OBJECTS = """
    SELECT count(*), coalesce(sum(o.length), 0)::bigint, coalesce(sum(o.digest), 0)::text
    FROM pg_largeobject_metadata m LEFT JOIN LATERAL (
        SELECT max(p.pageno * (current_setting('block_size')::bigint / 4) + octet_length(p.data)) AS length,
               sum(hash_record_extended(ROW(p.loid, p.pageno, rtrim(p.data, '\\x00'::bytea)), 0))
                   FILTER (WHERE rtrim(p.data, '\\x00'::bytea) <> '') AS digest
        FROM pg_largeobject p WHERE p.loid = m.oid
    ) o ON true
"""
