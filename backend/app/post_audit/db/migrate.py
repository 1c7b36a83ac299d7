"""Applies the one migration file over a direct connection."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from app.post_audit.db.psycopg_database import connect, translate
from app.post_audit.errors import ConfigurationError

if TYPE_CHECKING:
    from app.post_audit.errors import PostAuditError

__all__ = ["migrate", "migration_digest", "migration_text", "needs_migration"]

_NAME = "20251109_post_audit_protocol.sql"
_DIGEST = re.compile(r"SET digest = '([0-9a-f]{64})'")


def migration_text() -> str:
    """The migration: the project's own file in a checkout, the packaged one in an installed wheel."""
    checkout = Path(__file__).resolve().parents[4] / "supabase" / "migrations" / _NAME
    if checkout.is_file():
        return checkout.read_text(encoding="utf-8")
    return resources.files("app.post_audit.db").joinpath("migration.sql").read_text(encoding="utf-8")


def migration_digest() -> str:
    """What tells one migration from another: SHA-256 of its text, hexadecimal, as it stands at its own end."""
    found = _DIGEST.search(migration_text())
    if found is None:
        message = "the migration does not say which one it is; build it: make migration"
        raise ValueError(message)
    return found[1]


def needs_migration(conninfo: str) -> bool:
    """Whether the database has no migration, or one from another file than ours."""
    with connect(conninfo) as connection:
        found = connection.execute("SELECT to_regclass('post_audit.schema_version') IS NOT NULL").fetchone()
        if found is None or not found[0]:
            return True
        row = connection.execute("SELECT digest FROM post_audit.schema_version").fetchone()
    return row is None or row[0] != migration_digest()


def migrate(conninfo: str) -> list[str]:
    """Apply the migration in one transaction and return the warnings it gave.

    Raises a `ConfigurationError` that says what stands in the way; then nothing was changed.
    """
    warnings: list[str] = []
    with connect(conninfo) as connection:
        connection.add_notice_handler(lambda notice: warnings.append(notice.message_primary or ""))
        try:
            connection.execute(migration_text().encode())
        except psycopg.Error as error:
            raise _why(translate(error)) from error
    return warnings


def _why(error: PostAuditError) -> ConfigurationError:
    return ConfigurationError(
        f"The migration was not applied, and nothing was changed: {error.message}",
        cure=error.cure or "Apply it as the owner of the database (on Supabase: the user postgres).",
    )
