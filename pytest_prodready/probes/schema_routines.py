"""The questions to the catalogue about schemas, extensions, types, functions and operators.

Each answers (kind, name, definition).
"""

from __future__ import annotations

from pytest_prodready.probes.schema_sql import no_member, no_part, own, owner

SCHEMAS = f"""
    SELECT 'schema', quote_ident(n.nspname), {owner("n.nspowner")}
    FROM pg_namespace n WHERE {own("pg_namespace", "n.oid")}
    UNION ALL
    SELECT 'extension', quote_ident(e.extname),
           concat_ws('; ', 'version ' || e.extversion, 'schema ' || e.extnamespace::regnamespace)
    FROM pg_extension e
"""  # noqa: S608 (of fixed texts, as all of these)

TYPES = f"""
    SELECT CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'r' THEN 'range'
                WHEN 'c' THEN 'composite type' ELSE 'type' END,
           format('%I.%I', n.nspname, t.typname),
           concat_ws('; ',
               (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
                FROM pg_enum e WHERE e.enumtypid = t.oid),
               CASE WHEN t.typtype = 'd' THEN concat_ws(' ', format_type(t.typbasetype, t.typtypmod),
                   'collate ' || nullif(t.typcollation, 0)::regcollation,
                   CASE WHEN t.typnotnull THEN 'not null' END, 'default ' || t.typdefault,
                   (SELECT string_agg(k.conname || ' ' || pg_get_constraintdef(k.oid), ', '
                                      ORDER BY k.conname)
                    FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c')) END,
               (SELECT concat_ws(' ', format_type(r.rngsubtype, NULL), opc.opcname,
                                 nullif(r.rngcollation, 0)::regcollation, nullif(r.rngcanonical, 0)::regproc,
                                 nullif(r.rngsubdiff, 0)::regproc)
                FROM pg_range r JOIN pg_opclass opc ON opc.oid = r.rngsubopc WHERE r.rngtypid = t.oid),
               (SELECT string_agg(concat_ws(' ', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
                                            nullif(a.attcollation, 0)::regcollation), ', ' ORDER BY a.attnum)
                FROM pg_attribute a
                WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped),
               CASE WHEN t.typtype = 'b' THEN concat_ws(' ', t.typinput, t.typoutput, t.typlen, t.typcategory)
                    END,
               {owner("t.typowner")})
    FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
    LEFT JOIN pg_class c ON c.oid = t.typrelid
    WHERE {own("pg_type", "t.oid")} AND t.typtype <> 'm'
      AND (t.typrelid = 0 OR c.relkind = 'c') AND (t.typelem = 0 OR t.typlen <> -1)
"""  # noqa: S608

FUNCTIONS = f"""
    SELECT CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END,
           format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)),
           concat_ws('; ', CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid) END,
               (SELECT concat_ws(' ', a.aggkind, a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggsortop,
                                 format_type(a.aggtranstype, NULL), a.agginitval)
                FROM pg_aggregate a WHERE a.aggfnoid = p.oid),
               {owner("p.proowner")})
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE {own("pg_proc", "p.oid")} AND {no_part("pg_proc", "p.oid")}
"""  # noqa: S608

OPERATORS = f"""
    SELECT 'operator', o.oid::regoperator::text,
           concat_ws('; ', o.oprcode::text,
                     nullif(o.oprcom, 0)::regoperator, nullif(o.oprnegate, 0)::regoperator,
                     nullif(o.oprrest, 0)::regproc, nullif(o.oprjoin, 0)::regproc,
                     CASE WHEN o.oprcanhash THEN 'hashes' END, CASE WHEN o.oprcanmerge THEN 'merges' END,
                     {owner("o.oprowner")})
    FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace WHERE {own("pg_operator", "o.oid")}
    UNION ALL
    SELECT 'operator class', format('%I.%I using %I', n.nspname, c.opcname, am.amname),
           concat_ws('; ', format_type(c.opcintype, NULL), CASE WHEN c.opcdefault THEN 'default' END,
               (SELECT string_agg(m.amopstrategy || ' ' || m.amopopr::regoperator, ', '
                                  ORDER BY m.amopstrategy, m.amopopr::regoperator::text)
                FROM pg_amop m WHERE m.amopfamily = c.opcfamily),
               (SELECT string_agg(m.amprocnum || ' ' || m.amproc::regprocedure, ', '
                                  ORDER BY m.amprocnum, m.amproc::regprocedure::text)
                FROM pg_amproc m WHERE m.amprocfamily = c.opcfamily),
               {owner("c.opcowner")})
    FROM pg_opclass c JOIN pg_namespace n ON n.oid = c.opcnamespace JOIN pg_am am ON am.oid = c.opcmethod
    WHERE {own("pg_opclass", "c.oid")}
    UNION ALL
    SELECT 'cast', format('%s to %s', format_type(c.castsource, NULL), format_type(c.casttarget, NULL)),
           concat_ws(' ', nullif(c.castfunc, 0)::regprocedure, c.castcontext, c.castmethod)
    FROM pg_cast c WHERE c.oid >= 16384 AND {no_member("pg_cast", "c.oid")} AND {no_part("pg_cast", "c.oid")}
    UNION ALL
    SELECT 'collation object', format('%I.%I', n.nspname, c.collname),
           concat_ws('; ', to_jsonb(c) - '{{oid,collname,collnamespace,collowner,collversion}}'::text[],
                     {owner("c.collowner")})
    FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace WHERE {own("pg_collation", "c.oid")}
    UNION ALL
    SELECT 'conversion', format('%I.%I', n.nspname, c.conname),
           concat_ws(' ', c.conforencoding, c.contoencoding, c.conproc, c.condefault)
    FROM pg_conversion c JOIN pg_namespace n ON n.oid = c.connamespace
    WHERE {own("pg_conversion", "c.oid")}
"""  # noqa: S608

SEARCHES = f"""
    SELECT 'text search dictionary', format('%I.%I', n.nspname, d.dictname),
           concat_ws('; ', (SELECT t.tmplname FROM pg_ts_template t WHERE t.oid = d.dicttemplate),
                     d.dictinitoption, {owner("d.dictowner")})
    FROM pg_ts_dict d JOIN pg_namespace n ON n.oid = d.dictnamespace WHERE {own("pg_ts_dict", "d.oid")}
    UNION ALL
    SELECT 'text search configuration', format('%I.%I', n.nspname, c.cfgname),
           concat_ws('; ', (SELECT p.prsname FROM pg_ts_parser p WHERE p.oid = c.cfgparser),
               (SELECT string_agg(m.maptokentype || ' ' || m.mapdict::regdictionary, ', '
                                  ORDER BY m.maptokentype, m.mapseqno)
                FROM pg_ts_config_map m WHERE m.mapcfg = c.oid),
               {owner("c.cfgowner")})
    FROM pg_ts_config c JOIN pg_namespace n ON n.oid = c.cfgnamespace WHERE {own("pg_ts_config", "c.oid")}
    UNION ALL
    SELECT 'text search template', format('%I.%I', n.nspname, t.tmplname),
           concat_ws(' ', nullif(t.tmplinit, 0)::regproc, t.tmpllexize)
    FROM pg_ts_template t JOIN pg_namespace n ON n.oid = t.tmplnamespace
    WHERE {own("pg_ts_template", "t.oid")}
    UNION ALL
    SELECT 'text search parser', format('%I.%I', n.nspname, p.prsname),
           concat_ws(' ', p.prsstart, p.prstoken, p.prsend, p.prslextype)
    FROM pg_ts_parser p JOIN pg_namespace n ON n.oid = p.prsnamespace WHERE {own("pg_ts_parser", "p.oid")}
"""  # noqa: S608

LANGUAGES = f"""
    SELECT 'language', quote_ident(l.lanname),
           concat_ws('; ', nullif(l.lanplcallfoid, 0)::regproc, CASE WHEN l.lanpltrusted THEN 'trusted' END)
    FROM pg_language l WHERE l.oid >= 16384 AND {no_member("pg_language", "l.oid")}
    UNION ALL
    SELECT 'access method', quote_ident(a.amname), a.amhandler::text
    FROM pg_am a WHERE a.oid >= 16384 AND {no_member("pg_am", "a.oid")}
    UNION ALL
    SELECT 'event trigger', quote_ident(e.evtname),
           concat_ws('; ', e.evtevent, e.evttags::text, e.evtfoid::regproc, 'enabled ' || e.evtenabled::text,
                     {owner("e.evtowner")})
    FROM pg_event_trigger e WHERE {no_member("pg_event_trigger", "e.oid")}
"""  # noqa: S608

ROUTINES = (SCHEMAS, TYPES, FUNCTIONS, OPERATORS, SEARCHES, LANGUAGES)
