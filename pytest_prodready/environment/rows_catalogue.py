"""Reads tables and their constraints from the server's catalogue."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from pytest_prodready.environment.rows_tables import (
    Check,
    Column,
    Connection,
    Reference,
    Table,
    Unique,
    fetch,
    qualified_names,
)

OURS = "n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'"
TABLES = f"""
    SELECT c.oid::bigint, c.oid::regclass::text, n.nspname, c.relname, c.relkind::text, c.relispartition
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {OURS} ORDER BY 2
"""  # noqa: S608
COLUMNS = f"""
    SELECT a.attrelid::bigint, a.attname, a.attnum, a.atttypid::bigint, a.atttypmod,
           format_type(a.atttypid, a.atttypmod), a.attnotnull OR t.typnotnull,
           pg_get_expr(d.adbin, d.adrelid),
           (SELECT min(s.oid)::bigint FROM pg_depend p JOIN pg_class s ON s.relkind = 'S'
            WHERE (p.classid = 'pg_class'::regclass AND p.objid = s.oid AND p.deptype IN ('a', 'i')
                   AND p.refclassid = 'pg_class'::regclass
                   AND p.refobjid = a.attrelid AND p.refobjsubid = a.attnum)
               OR (p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid
                   AND p.refclassid = 'pg_class'::regclass AND p.refobjid = s.oid))
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
      AND a.attgenerated = '' AND {OURS}
    ORDER BY a.attrelid, a.attnum
"""  # noqa: S608
NAMES = """
    ARRAY(SELECT a.attname::text FROM unnest({keys}) WITH ORDINALITY AS u(number, place)
          JOIN pg_attribute a ON a.attrelid = {table} AND a.attnum = u.number ORDER BY u.place)
"""
REFERENCES = f"""
    SELECT k.conrelid::bigint, k.conname, k.confrelid::bigint,
           {NAMES.format(keys="k.conkey", table="k.conrelid")},
           {NAMES.format(keys="k.confkey", table="k.confrelid")},
           ARRAY(SELECT t.tgname::text FROM pg_trigger t
                 WHERE t.tgconstraint = k.oid AND t.tgrelid = k.conrelid AND t.tgisinternal
                   AND t.tgenabled = 'O' AND t.tgfoid = '"RI_FKey_check_ins"'::regproc)
    FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace
    WHERE k.contype = 'f' AND k.conparentid = 0 AND {OURS} ORDER BY k.conrelid, k.conname
"""  # noqa: S608
# What an index of an expression or a predicate looks at stands among its dependencies.
UNIQUES = f"""
    SELECT i.indrelid::bigint, coalesce(k.conname, x.relname), ARRAY(
               SELECT a.attname::text FROM pg_attribute a
               WHERE a.attrelid = i.indrelid AND (a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
                  OR (i.indexprs IS NOT NULL AND EXISTS (
                      SELECT FROM pg_depend d
                      WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
                        AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum)))
                 AND a.attnum > 0 ORDER BY a.attnum),
           coalesce(pg_get_constraintdef(k.oid), pg_get_indexdef(i.indexrelid)),
           i.indpred IS NULL AND i.indexprs IS NULL, coalesce(k.contype = 'x', false)
    FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_namespace n ON n.oid = x.relnamespace
    LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')
         AND k.conrelid = i.indrelid
    WHERE (i.indisunique OR i.indisexclusion) AND i.indislive AND {OURS}
    ORDER BY i.indrelid, NOT i.indisprimary, x.relname
"""  # noqa: S608
CHECKS = f"""
    SELECT k.conrelid::bigint, k.conname, {NAMES.format(keys="k.conkey", table="k.conrelid")},
           pg_get_expr(k.conbin, k.conrelid), pg_get_constraintdef(k.oid)
    FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace
    WHERE k.contype = 'c' AND k.conrelid <> 0 AND {OURS} ORDER BY k.conrelid, k.conname
"""  # noqa: S608
# A row has to fit one of the leaves; where there is a default partition, any row does.
PARTITIONS = """
    SELECT r.oid::bigint,
           array_agg(pg_get_partition_constraintdef(l.relid)) FILTER (WHERE pg_get_expr(
               p.relpartbound, p.oid) <> 'DEFAULT'),
           ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = r.oid AND attnum > 0),
           bool_or(pg_get_expr(p.relpartbound, p.oid) = 'DEFAULT')
    FROM pg_class r CROSS JOIN LATERAL pg_partition_tree(r.oid) l JOIN pg_class p ON p.oid = l.relid
    WHERE r.relkind = 'p' AND NOT r.relispartition AND l.isleaf AND l.relid <> r.oid
    GROUP BY r.oid
"""
STRING = re.compile(r"'(?:[^']|'')*'")


def read_tables(connection: Connection) -> dict[int, Table]:
    """Every table and view of the database, by its oid."""
    with qualified_names(connection):
        rows = fetch(connection, TABLES)
        columns = _by_table(fetch(connection, COLUMNS))
        references = _by_table(fetch(connection, REFERENCES))
        uniques = _by_table(fetch(connection, UNIQUES))
        checks = _by_table(fetch(connection, CHECKS))
        partitions = _by_table(fetch(connection, PARTITIONS))
    return {
        oid: Table(
            oid,
            *(name, schema, plain_name, kind, partition),
            tuple(Column(*row) for row in columns[oid]),
            tuple(Reference(r[0], r[1], *map(tuple, r[2:])) for r in references[oid]),
            tuple(Unique(u[0], tuple(u[1]), *u[2:]) for u in uniques[oid]),
            tuple(_checks(checks[oid], partitions[oid])),
        )
        for oid, name, schema, plain_name, kind, partition in rows
    }


def conjuncts(condition: str) -> list[str]:
    """The conditions that one joins by AND at its top, as the server writes it."""
    text = _without_outer_brackets(condition.strip())
    hidden = STRING.sub(lambda found: "'" * len(found[0]), text)
    parts, depth, start = [], 0, 0
    for place, sign in enumerate(hidden):
        depth += (sign in "([") - (sign in ")]")
        if depth == 0 and hidden.startswith(" AND ", place):
            parts.append(text[start:place].strip())
            start = place + 5
    if not parts:
        return [text]
    return [inner for part in [*parts, text[start:]] for inner in conjuncts(part)]


def named_in(condition: str, names: Iterable[str]) -> tuple[str, ...]:
    """Which of these columns a condition names."""
    hidden = STRING.sub("''", condition)
    quoted = set(re.findall(r'"((?:[^"]|"")+)"', hidden))
    words = set(re.findall(r"[A-Za-z_\x80-\uffff][\w$]*", re.sub(r'"(?:[^"]|"")+"', '""', hidden)))
    return tuple(name for name in names if name in words or name.replace('"', '""') in quoted)


def _without_outer_brackets(text: str) -> str:
    hidden = STRING.sub(lambda found: "'" * len(found[0]), text)
    while hidden.startswith("(") and _closing(hidden) == len(hidden) - 1:
        text, hidden = text[1:-1].strip(), hidden[1:-1].strip()
    return text


def _closing(hidden: str) -> int:
    """Where the bracket that a text begins with ends."""
    depth = 0
    for place, sign in enumerate(hidden):
        depth += (sign == "(") - (sign == ")")
        if depth == 0:
            return place
    return -1


def _by_table(rows: list[tuple[Any, ...]]) -> Mapping[int, list[tuple[Any, ...]]]:
    found = defaultdict(list)
    for table, *rest in rows:
        found[table].append(tuple(rest))
    return found


def _checks(checks: list[tuple[Any, ...]], partitions: list[tuple[Any, ...]]) -> Iterable[Check]:
    for name, columns, condition, definition in checks:
        for part in conjuncts(condition):
            yield Check(name, named_in(part, columns), part, definition)
    for leaves, columns, wished in partitions:
        if not leaves:
            continue
        fits = " OR ".join(dict.fromkeys(f"({_without_hashes(leaf)})" for leaf in leaves))
        for part in conjuncts(fits):
            yield Check("its partitions", named_in(part, columns), part, fits, wished)


def _without_hashes(leaf: str | None) -> str:
    """What a partition takes, but for the remainder of a hash: there is a partition for each."""
    kept = [part for part in conjuncts(leaf or "true") if "satisfies_hash_partition" not in part]
    return " AND ".join(f"({part})" for part in kept) or "true"
