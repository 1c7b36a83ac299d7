"""The readers of audit reports, one module for each format.

A module of this package that defines `READER` is a reader; nothing else has to be told of it. The format is told
by content: each reader looks at the head of a report and says how sure it is, and the surest one reads.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from app.post_audit.errors import InputError
from app.post_audit.steps.enhancements.readers.reader import Head, Reader

__all__ = ["all_readers", "reader_for"]


@cache
def all_readers() -> tuple[Reader, ...]:
    """List every reader, in the order of their names."""
    modules = (
        importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)
    )
    readers = (getattr(module, "READER", None) for module in modules)
    return tuple(sorted((r for r in readers if isinstance(r, Reader)), key=lambda reader: reader.name))


def reader_for(head: Head) -> Reader:
    """Choose the reader that is surest; `InputError` naming the formats when none knows the report."""
    readers = all_readers()
    sure, reader = max(((reader.detect(head), reader) for reader in readers), key=lambda found: found[0])
    if sure > 0:
        return reader
    beginning = " ".join(head.text[:200].split())[:40]
    raise InputError(
        f"{head.name} is in no format that is known here; it begins with {beginning!r}.",
        cure=f"Known formats: {', '.join(r.title for r in readers)}.",
    )
