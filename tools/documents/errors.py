"""docs/reference/errors.md: the classes of errors, and what every SQLSTATE becomes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from app.post_audit import errors
from app.post_audit.errors import BindingNeeded, PostAuditError, error_for_sqlstate
from documents.markdown import HEAD, cell, table

__all__ = ["document"]

_STATES: Final = {
    "P0002": "no such row",
    "PT409": "the state moved",
    "PT423": "the run belongs to another",
    "PT424": "a role has no table",
    "22023": "an argument that cannot be used",
    "42501": "no permission",
    "42883": "no such function",
    "40001": "a transaction stood in the way",
    "57014": "over the time limit",
    "08006": "the connection broke",
}
"""The codes that a program of one's own meets, and what they say."""


def _error_kinds(kind: type[PostAuditError], depth: int = 0) -> Iterator[tuple[int, type[PostAuditError]]]:
    yield depth, kind
    for below in kind.__subclasses__():
        if below.__module__ == errors.__name__:
            yield from _error_kinds(below, depth + 1)


def _error_table() -> str:
    rows = [
        (
            "&nbsp;&nbsp;" * 2 * depth + f"`{kind.__name__}`",
            str(kind.exit_code),
            str(kind.http_status),
            cell((kind.__doc__ or "").split("\n\n")[0]),
        )
        for depth, kind in _error_kinds(PostAuditError)
    ]
    return table(("Error", "Exit code", "HTTP status", "What it says"), rows)


def _state_table() -> str:
    rows = []
    for code, told in _STATES.items():
        error = error_for_sqlstate(code, "")
        hint = (
            "HINT of the function" if isinstance(error, BindingNeeded) or not error.cure else cell(error.cure)
        )
        rows.append((f"`{code}`", told, f"`{type(error).__name__}`", hint))
    return table(("SQLSTATE", "Meaning", "Error", "Cure, where the database gives none"), rows)


def document() -> str:
    """Make the text of the document."""
    return (
        HEAD.format(source="backend/app/post_audit/errors.py", title="Errors")
        + "Every error has a message, which is a sentence for a person and never holds a secret, and a cure, which"
        " says what to do next. The command line prints both and ends with the exit code; with `--json` it prints,"
        " and the API answers with the HTTP status and:\n\n"
        '```json\n{"error": {"code": "StateMoved", "message": "...", "cure": "..."}}\n```\n\n'
        "`code` is the name in the first column, or, from the API alone, `HttpError` (no such address or method) and"
        " `InternalError` (a fault of the program; the log has the details).\n\n"
        + _error_table()
        + "\n## From the database\n\nEvery transport names a SQLSTATE the same way; the longest known beginning of the"
        " code decides.\n\n" + _state_table()
    )
