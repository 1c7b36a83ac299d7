"""What a database holds, as one dictionary that can be compared with a later one.

A key is (kind, relation or "", name); a value is everything about that thing that somebody could change: owner, grants,
definition, comment, options. Tables and indexes carry their object id and their file too, so that one that was
dropped and made again, or rewritten, is another one.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql

__all__ = ["Catalogue", "Key", "belonging_to", "changes", "read", "rows"]

Key = tuple[str, str, str]
Catalogue = dict[Key, Any]

_OBJECTS: Final = Path(__file__).with_suffix(".sql").read_bytes()

_TABLES: Final = """
SELECT n.nspname::text, c.relname::text FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname !~ '^(pg_|information_schema$)' ORDER BY 1, 2
"""


def read(connection: psycopg.Connection) -> Catalogue:
    """Read everything that is not PostgreSQL's own."""
    with connection.transaction():
        # names with their schema, whatever the role's search_path
        connection.execute("SET LOCAL search_path = pg_catalog")
        found = connection.execute(_OBJECTS).fetchall()
    catalogue = {(kind, relation, name): value for kind, relation, name, value in found}
    assert len(catalogue) == len(found), "two things have one key"
    return catalogue


def rows(connection: psycopg.Connection) -> Catalogue:
    """Read every row of every table, with where it stands and the transaction that wrote it."""
    content: Catalogue = {}
    for schema, table in connection.execute(_TABLES).fetchall():
        found = connection.execute(
            sql.SQL("SELECT format('%s %s %s', t.xmin, t.ctid, t.*) FROM {} AS t ORDER BY t.ctid").format(
                sql.Identifier(schema, table)
            )
        )
        content["rows", f"{schema}.{table}", ""] = [text for (text,) in found]
    return content


def belonging_to(catalogue: Catalogue, relations: Collection[str]) -> Catalogue:
    """Take out what belongs to one of these relations."""
    return {key: value for key, value in catalogue.items() if key[1] in relations}


def changes(before: Catalogue, after: Catalogue, *, may_grow: bool = False) -> Catalogue:
    """Tell what is gone, what is other, and (unless it may) what is new: {key: (before, after)}."""
    keys = before.keys() if may_grow else before.keys() | after.keys()
    return {
        key: (before.get(key), after.get(key))
        for key in sorted(keys)
        if key not in before or key not in after or before[key] != after[key]
    }
