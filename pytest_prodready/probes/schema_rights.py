"""The questions to the catalogue about rights, comments, settings, and links to other servers.

Each answers (kind, name, definition).
"""

from __future__ import annotations

from pytest_prodready.probes.schema_sql import no_member, own, owner

# What nobody has granted or revoked isn't told; a right given and taken back again is none.
PRIVILEGES = f"""
    WITH thing AS (
        SELECT format('%I.%I', n.nspname, c.relname) AS name, c.relacl AS acl,
               acldefault(CASE c.relkind WHEN 'S' THEN 's'::"char" ELSE 'r' END, c.relowner) AS usual
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND {own("pg_class", "c.oid")}
        UNION ALL
        SELECT format('%I.%I.%I', n.nspname, c.relname, a.attname), a.attacl, acldefault('c', c.relowner)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE a.attacl IS NOT NULL AND NOT a.attisdropped AND {own("pg_class", "c.oid")}
        UNION ALL
        SELECT format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)), p.proacl,
               acldefault('f', p.proowner)
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {own("pg_proc", "p.oid")}
        UNION ALL
        SELECT format('%I.%I', n.nspname, t.typname), t.typacl, acldefault('T', t.typowner)
        FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
        WHERE t.typrelid = 0 AND t.typelem = 0 AND {own("pg_type", "t.oid")}
        UNION ALL
        SELECT format('schema %I', n.nspname), n.nspacl, acldefault('n', n.nspowner)
        FROM pg_namespace n WHERE {own("pg_namespace", "n.oid")}
        UNION ALL
        SELECT format('language %I', l.lanname), l.lanacl, acldefault('l', l.lanowner) FROM pg_language l
        UNION ALL
        SELECT format('foreign data wrapper %I', f.fdwname), f.fdwacl, acldefault('F', f.fdwowner)
        FROM pg_foreign_data_wrapper f
        UNION ALL
        SELECT format('server %I', s.srvname), s.srvacl, acldefault('S', s.srvowner) FROM pg_foreign_server s
        UNION ALL
        SELECT 'database', d.datacl, acldefault('d', d.datdba)
        FROM pg_database d WHERE d.datname = current_database()
    ),
    sorted AS (
        SELECT name, ARRAY(SELECT unnest(coalesce(acl, usual))::text ORDER BY 1) AS has,
               ARRAY(SELECT unnest(usual)::text ORDER BY 1) AS usual
        FROM thing
    )
    SELECT 'privileges', name, array_to_string(has, ', ') FROM sorted WHERE has <> usual
    UNION ALL
    SELECT 'default privileges',
           concat_ws(' ', d.defaclrole::regrole, nullif(d.defaclnamespace, 0)::regnamespace,
                     CASE d.defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences'
                          WHEN 'f' THEN 'functions' WHEN 'T' THEN 'types' WHEN 'n' THEN 'schemas'
                          ELSE 'large objects' END),
           array_to_string(ARRAY(SELECT unnest(d.defaclacl)::text ORDER BY 1), ', ')
    FROM pg_default_acl d
"""  # noqa: S608 (of fixed texts, as all of these)

COMMENTS = """
    SELECT kind, o.type || ' ' || o.identity, said
    FROM (SELECT 'comment' AS kind, d.classoid, d.objoid, d.objsubid, d.description AS said
          FROM pg_description d
          UNION ALL
          SELECT 'security label of ' || s.provider, s.classoid, s.objoid, s.objsubid, s.label
          FROM pg_seclabel s) each,
         pg_identify_object(each.classoid, each.objoid, each.objsubid) o
    WHERE o.type <> 'extension' AND (each.objoid >= 16384 OR o.type = 'schema' AND o.name = 'public')
      AND coalesce(o.schema, '') !~ '^(pg_|information_schema$)'
      AND NOT EXISTS (SELECT FROM pg_depend member WHERE member.deptype = 'e'
                      AND member.classid = each.classoid AND member.objid = each.objoid)
"""

SETTINGS = """
    SELECT 'setting', coalesce(nullif(s.setrole, 0)::regrole::text || ' ', '') || split_part(setting, '=', 1),
           substr(setting, strpos(setting, '=') + 1)
    FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) setting
    WHERE d.datname = current_database()
"""

LINKS = f"""
    SELECT 'foreign data wrapper', quote_ident(f.fdwname),
           concat_ws('; ', nullif(f.fdwhandler, 0)::regproc, f.fdwoptions::text, {owner("f.fdwowner")})
    FROM pg_foreign_data_wrapper f WHERE {no_member("pg_foreign_data_wrapper", "f.oid")}
    UNION ALL
    SELECT 'server', quote_ident(s.srvname),
           concat_ws('; ', f.fdwname, s.srvtype, s.srvversion, s.srvoptions::text, {owner("s.srvowner")})
    FROM pg_foreign_server s JOIN pg_foreign_data_wrapper f ON f.oid = s.srvfdw
    UNION ALL
    SELECT 'user mapping', concat_ws(' ',
               CASE WHEN u.umuser = 0 THEN 'public' ELSE u.umuser::regrole::text END, 'on',
               quote_ident(s.srvname)),
           'options ' || md5(u.umoptions::text)
    FROM pg_user_mapping u JOIN pg_foreign_server s ON s.oid = u.umserver
"""  # noqa: S608

PUBLICATIONS = f"""
    SELECT 'publication', quote_ident(p.pubname),
           concat_ws('; ', to_jsonb(p) - '{{{{oid,pubname,pubowner}}}}'::text[],
               (SELECT string_agg(concat_ws(' ', r.prrelid::regclass {{filters}}), ', '
                                  ORDER BY r.prrelid::regclass::text)
                FROM pg_publication_rel r WHERE r.prpubid = p.oid),
               {{schemas}}
               {owner("p.pubowner")})
    FROM pg_publication p
    UNION ALL
    SELECT 'subscription', quote_ident(s.subname),
           concat_ws('; ', array_to_string(s.subpublications, ', '), 'enabled ' || s.subenabled,
                     s.subslotname)
    FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid WHERE d.datname = current_database()
"""  # noqa: S608
PUBLISHED_FILTERS = ", 'where ' || pg_get_expr(r.prqual, r.prrelid), 'columns ' || r.prattrs::text"
PUBLISHED_SCHEMAS = """
    (SELECT 'schemas ' || string_agg(n.pnnspid::regnamespace::text, ', '
                                     ORDER BY n.pnnspid::regnamespace::text)
     FROM pg_publication_namespace n WHERE n.pnpubid = p.oid),
"""
FILTERS_PUBLISHED = 15  # the server's version since which schemas, rows and columns can be chosen


def rights(version: int) -> tuple[str, ...]:
    """The questions for a server of this version."""
    chosen = version >= FILTERS_PUBLISHED
    published = PUBLICATIONS.format(
        filters=PUBLISHED_FILTERS if chosen else "", schemas=PUBLISHED_SCHEMAS if chosen else ""
    )
    return (PRIVILEGES, COMMENTS, SETTINGS, LINKS, published)
