"""Puts the built migration into the wheel, where `app.post_audit.db` finds it as its own resource.

An editable install reads the file in `supabase/migrations` instead: a copy made at install time would grow
old, and `make migration`, which needs an install, could not build the first one.
"""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

__all__ = ["MigrationInWheel"]

_MIGRATION = "supabase/migrations/20251109_post_audit_protocol.sql"
_RESOURCE = "app/post_audit/db/migration.sql"


class MigrationInWheel(BuildHookInterface[Any]):
    """Adds one file to a wheel that is built to be shared, and nothing to an editable one."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Hatchling calls this before it collects files; a missing migration then fails the build."""
        if version == "standard":
            build_data["force_include"][_MIGRATION] = _RESOURCE
