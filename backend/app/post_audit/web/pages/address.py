"""What stands in the address of a page."""

from __future__ import annotations

from app.post_audit.errors import NotFound
from app.post_audit.web.pages.page import Query

__all__ = ["number_in"]


def number_in(query: Query, name: str, what: str) -> int:
    """Read a number of the address; what is none names nothing."""
    given = query.get(name, "")
    if not (given.isdecimal() and len(given) < 18):  # noqa: PLR2004 - as many digits as a bigint surely holds
        raise NotFound(f"There is no {what} {given[:40]}.", cure="See the list: /admin/runs.")
    return int(given)
