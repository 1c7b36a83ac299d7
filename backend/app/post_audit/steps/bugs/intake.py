"""Take a report in: checked, cleaned, fingerprinted, and stored as a row of its own.

The report joins the open bug of its fingerprint, reopens a fixed one, or makes a new one; all of that in one
transaction of `post_audit_apply_bug_report`, so that reports of one bug that come at once become one bug.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from app.post_audit.errors import InputError
from app.post_audit.ports import JSON, Database
from app.post_audit.step import parse_facts
from app.post_audit.steps.bugs.facts import Tier
from app.post_audit.steps.bugs.fingerprint import fingerprint
from app.post_audit.steps.bugs.redaction import clean_line, clean_text

__all__ = ["LIMITS", "BugReport", "Receipt", "prepare", "report_bug"]

LIMITS: Final[Mapping[str, int]] = {
    "title": 200,
    "description": 10_000,
    "page": 500,
    "error_code": 100,
    "app_version": 64,
    "reporter": 128,
    "idempotency_key": 128,
}
"""Characters each field may have. What is longer is refused whole, never cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BugReport:
    """What a user reports.

    `reporter` is the marketplace's id of the user; `idempotency_key` is the same when the same report is sent
    again.
    """

    title: str
    description: str = ""
    page: str | None = None
    error_code: str | None = None
    app_version: str | None = None
    reporter: str | None = None
    tier: Tier = Tier.OTHER
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of a report.

    `bug` is the bug that it counts for, `already_known` whether that was there before, `reports` how many
    there are of it by now. `reopened` when it had been fixed, `repeated` when this very report had come
    before.
    """

    report: int
    bug: int | str
    already_known: bool
    reports: int
    reopened: bool
    repeated: bool


def report_bug(database: Database, report: BugReport) -> Receipt:
    """Store one report.

    Raises `InputError` for a report without a title or with a field over its limit, `InvalidArgument` when
    the idempotency key came with another report before, and what the database raises.
    """
    return parse_facts(Receipt, database.call("post_audit_apply_bug_report", report=prepare(report)))


def prepare(report: BugReport) -> dict[str, JSON]:
    """Check, clean and fingerprint a report; the fingerprint is that of what is stored."""
    for field, limit in LIMITS.items():
        given = getattr(report, field)
        if given is not None and len(given) > limit:
            raise InputError(
                f"The {field.replace('_', ' ')} has {len(given)} characters; at most {limit} are taken.",
                cure="Shorten it and send it again.",
            )
    title = clean_line(report.title)
    if not title:
        raise InputError("A report needs a title.", cure="Say in a few words what happened.")
    description = clean_text(report.description)
    page = _line(_without_query(report.page))
    error_code = _line(report.error_code)
    return {
        # a placeholder can be longer than what it replaces
        "title": title[: LIMITS["title"]],
        "description": description,
        "page": page,
        "error_code": error_code,
        "app_version": _line(report.app_version),
        "reporter": _key(report.reporter),
        "tier": report.tier.value,
        "fingerprint": fingerprint(
            title=title[: LIMITS["title"]], page=page, error_code=error_code, description=description
        ),
        "idempotency_key": _key(report.idempotency_key),
    }


def _without_query(page: str | None) -> str | None:
    """Cut off what names no page and may hold tokens: a query, and a fragment that is no route."""
    return None if page is None else re.sub(r"\?[^#]*", "", re.sub(r"#(?!!?/).*$", "", page, flags=re.DOTALL))


def _line(text: str | None) -> str | None:
    return clean_line(text or "") or None


def _key(text: str | None) -> str | None:
    """An id is kept as it is: it has to be found again. Only the database's limits apply."""
    key = "".join(character for character in (text or "").strip() if character.isprintable())
    return key or None
