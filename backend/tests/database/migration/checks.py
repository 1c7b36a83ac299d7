"""What holds for every function, table and view of the migration, each rule as a query for what breaks it.

A rule takes a connection and answers with one line for each thing that breaks it; no lines, no faults. The same rules
judge the migration and the faults that the tests plant, so that a rule that finds nothing is known to look.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import psycopg

__all__ = ["RULES", "Signature", "calls_that_do_not_fit", "names_in", "signatures"]

Signature = tuple[frozenset[str], frozenset[str]]
"""All arguments of a function, and those of them that have no default."""

_NAME: Final = re.compile(r"\bpost_audit_(?:read|maintain|apply)_\w+")

# Ours: what is in schema post_audit, the tables of schema public that carry our mark, the functions of our prefix.
_OURS: Final = """
WITH ours AS (
  SELECT c.*, format('%%I.%%I', n.nspname, c.relname) AS full_name
  FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  WHERE n.nspname = 'post_audit' OR (n.nspname = 'public' AND (
    pg_catalog.obj_description(c.oid, 'pg_class') LIKE 'Post-Audit Protocol: %%'
    -- a sequence of a table of ours
    OR EXISTS (SELECT FROM pg_catalog.pg_depend AS d WHERE d.objid = c.oid AND d.refclassid = 'pg_class'::regclass
      AND d.deptype IN ('a', 'i')
      AND pg_catalog.obj_description(d.refobjid, 'pg_class') LIKE 'Post-Audit Protocol: %%')))
), functions AS (
  SELECT p.*, n.nspname, p.oid::regprocedure::text AS full_name, n.nspname = 'public' AS is_public
  FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
  WHERE n.nspname = 'post_audit' OR (n.nspname = 'public' AND p.proname LIKE 'post\\_audit\\_%%')
)
"""

_QUERIES: Final[dict[str, str]] = {
    "is named read, maintain or apply": r"""
        SELECT full_name FROM functions WHERE is_public AND proname !~ '^post_audit_(read|maintain|apply)_[a-z_]+$'""",
    "answers with jsonb": """
        SELECT format('%%s returns %%s', full_name, prorettype::regtype) FROM functions
        WHERE is_public AND (prorettype <> 'jsonb'::regtype OR proretset)""",
    "pins search_path to nothing": """
        SELECT full_name FROM functions WHERE NOT coalesce(proconfig, '{}') @> ARRAY['search_path=""']""",
    "pins the time zone": """
        SELECT full_name FROM functions WHERE NOT coalesce(proconfig, '{}') @> ARRAY['TimeZone=UTC']""",
    "is as volatile as its name says": """
        SELECT format('%%s is %%s', full_name, provolatile) FROM functions
        WHERE is_public AND provolatile <> CASE WHEN proname LIKE 'post\\_audit\\_read\\_%%' THEN 's' ELSE 'v' END""",
    "has no overloads": """
        SELECT string_agg(full_name, ', ' ORDER BY full_name) FROM functions
        GROUP BY nspname, proname HAVING count(*) > 1""",
    "runs with the rights of its caller": """
        -- a trigger writes notes for whoever may write the table, and he need not see schema post_audit
        SELECT full_name FROM functions WHERE prosecdef AND prorettype <> 'trigger'::regtype""",
    "names all its arguments": """
        SELECT full_name FROM functions WHERE is_public AND pronargs <> coalesce(array_length(proargnames, 1), 0)""",
    "is registered for the next application": """
        SELECT coalesce(f.full_name, i.identity) FROM functions AS f
        FULL JOIN post_audit.installed_functions AS i ON to_regprocedure(i.identity) = f.oid
        WHERE i.identity IS NULL OR f.oid IS NULL
        -- triggers hang on these, so they are replaced and not dropped
        EXCEPT SELECT full_name FROM functions WHERE prorettype = 'trigger'::regtype""",
    "can be called by the service alone": """
        SELECT format('%%s by %%s', f.full_name, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END)
        FROM functions AS f CROSS JOIN LATERAL aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) AS a
        WHERE a.grantee NOT IN (f.proowner, %(service)s::regrole)""",
    "can be called by the service": """
        SELECT full_name FROM functions WHERE NOT has_function_privilege(%(service)s, oid, 'EXECUTE')""",
    "has row level security": """
        SELECT full_name FROM ours WHERE relkind IN ('r', 'p') AND NOT relrowsecurity""",
    "has a policy": """
        SELECT full_name FROM ours WHERE relkind IN ('r', 'p')
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_policy AS p WHERE p.polrelid = ours.oid)""",
    "lets in the service alone": """
        SELECT format('%%s: %%s for %%s', p.polrelid::regclass, p.polname, r.role) FROM ours
        JOIN pg_catalog.pg_policy AS p ON p.polrelid = ours.oid
        CROSS JOIN LATERAL (
          SELECT CASE x WHEN 0 THEN 'PUBLIC' ELSE x::regrole::text END AS role FROM unnest(p.polroles) AS x) AS r
        WHERE r.role <> %(service)s""",
    "belongs to the service alone": """
        SELECT format('%%s: %%s for %%s', o.full_name, a.privilege_type,
          CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END)
        FROM ours AS o CROSS JOIN LATERAL aclexplode(coalesce(o.relacl,
          acldefault(CASE o.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", o.relowner))) AS a
        WHERE a.grantee NOT IN (o.relowner, %(service)s::regrole)
        UNION ALL
        SELECT format('schema post_audit: %%s for %%s', a.privilege_type,
          CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END)
        FROM pg_catalog.pg_namespace AS n CROSS JOIN LATERAL aclexplode(n.nspacl) AS a
        WHERE n.nspname = 'post_audit' AND a.grantee NOT IN (n.nspowner, %(service)s::regrole)""",
    "can be used by the service": """
        SELECT format('%%s: %%s', o.full_name, p.privilege) FROM ours AS o
        CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS p (privilege)
        WHERE o.relkind IN ('r', 'p', 'v') AND NOT has_table_privilege(%(service)s, o.oid, p.privilege)""",
    "shows each caller only its own rows": """
        SELECT full_name FROM ours WHERE relkind = 'v'
        AND NOT coalesce(reloptions, '{}') && ARRAY['security_invoker=true', 'security_invoker=on']""",
    "has an index under each foreign key": """
        SELECT format('%%s: %%s', o.full_name, c.conname)
        FROM ours AS o JOIN pg_catalog.pg_constraint AS c ON c.conrelid = o.oid
        WHERE c.contype = 'f' AND NOT EXISTS (
          SELECT FROM pg_catalog.pg_index AS i
          WHERE i.indrelid = c.conrelid AND i.indisvalid
            AND (i.indkey::smallint[])[0:cardinality(c.conkey) - 1] @> c.conkey
            -- what leaves out nothing but nulls serves as well
            AND (i.indpred IS NULL OR pg_get_expr(i.indpred, i.indrelid) = (
              SELECT format('(%%I IS NOT NULL)', a.attname)
              FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = c.conrelid AND ARRAY[a.attnum] = c.conkey)))""",
    "has each index once": """
        SELECT format('%%s serves what %%s does', a.indexrelid::regclass, b.indexrelid::regclass)
        FROM ours AS o JOIN pg_catalog.pg_index AS a ON a.indrelid = o.oid
        JOIN pg_catalog.pg_index AS b ON b.indrelid = o.oid AND b.indexrelid <> a.indexrelid
        WHERE NOT a.indisunique AND a.indexprs IS NULL AND b.indexprs IS NULL
          AND a.indpred::text IS NOT DISTINCT FROM b.indpred::text
          -- all that is in the first stands in front of the second, or behind it as what it carries along
          AND (b.indkey::smallint[])[0:a.indnkeyatts - 1] = (a.indkey::smallint[])[0:a.indnkeyatts - 1]
          AND b.indkey::smallint[] @> a.indkey::smallint[]
          AND (b.indoption::smallint[])[0:a.indnkeyatts - 1] = (a.indoption::smallint[])[0:a.indnkeyatts - 1]
          AND (a.indkey::text <> b.indkey::text OR a.indexrelid > b.indexrelid OR b.indisunique)""",
}


def _rule(query: str) -> Callable[[psycopg.Connection, str], list[str]]:
    def breaks(connection: psycopg.Connection, service: str) -> list[str]:
        found = connection.execute((_OURS + query).encode(), {"service": service}).fetchall()
        return sorted(line for (line,) in found)

    return breaks


RULES: Final[Mapping[str, Callable[[psycopg.Connection, str], list[str]]]] = {
    name: _rule(query) for name, query in _QUERIES.items()
}
"""What everything of ours does, by its name: what breaks it, given the role that the protocol works as."""


def signatures(connection: psycopg.Connection) -> dict[str, Signature]:
    """Read the arguments of every function that Python may call."""
    found = connection.execute(
        r"""SELECT p.proname, coalesce(p.proargnames, '{}'), p.pronargdefaults FROM pg_catalog.pg_proc AS p
        WHERE p.pronamespace = 'public'::regnamespace AND p.proname LIKE 'post\_audit\_%'"""
    )
    return {
        name: (frozenset(arguments), frozenset(arguments[: len(arguments) - defaults]))
        for name, arguments, defaults in found
    }


def names_in(text: str) -> set[str]:
    """Find the names of functions in the strings of a Python file."""
    return {
        name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for name in _NAME.findall(node.value)
    }


def calls_that_do_not_fit(files: Iterable[Path], known: Mapping[str, Signature]) -> Iterator[str]:
    """Find names that no function has, and calls that leave out an argument or give one too many."""
    for file in files:
        text = file.read_text(encoding="utf-8")
        for name in sorted(names_in(text) - known.keys()):
            yield f"{file.name}: there is no {name}"
        for node in ast.walk(ast.parse(text)):
            match node:
                case ast.Call(
                    func=ast.Attribute(attr="call"), args=[ast.Constant(value=str(name))], keywords=keywords
                ) if name in known:
                    allowed, needed = known[name]
                    given = {keyword.arg for keyword in keywords}
                    for unknown in sorted(str(argument) for argument in given - allowed - {None}):
                        yield f"{file.name}:{node.lineno}: {name} takes no {unknown}"
                    if None not in given:  # ** may bring what is missing
                        for missing in sorted(needed - given):
                            yield f"{file.name}:{node.lineno}: {name} needs {missing}"
                case _:
                    pass
