"""docs/reference/audit-formats.md: the readers of audit reports, told by their docstrings."""

from __future__ import annotations

import inspect
import sys

from app.post_audit.steps.enhancements import lexicon
from app.post_audit.steps.enhancements.readers import all_readers
from documents.markdown import HEAD

__all__ = ["document"]


def document() -> str:
    """Make the text of the document."""
    parts = [
        HEAD.format(source="the readers of backend/app/post_audit/steps/enhancements", title="Audit formats")
        + "What `post-audit import` and `audit-inbox/` read; told by content, never by a file's name. A zip"
        " file or a folder is read report by report.\n"
    ]
    for reader in all_readers():
        told = inspect.cleandoc(sys.modules[reader.read.__module__].__doc__ or "")
        parts.append(f"## {reader.title[:1].upper()}{reader.title[1:]}\n\nFormat `{reader.name}`. {told}\n")
    parts.append(f"## Words\n\n{inspect.cleandoc(lexicon.__doc__ or '')}\n")
    return "\n".join(parts)
