"""docs/reference/pages.md: the pages that people open, from their registry and from the code that draws them."""

from __future__ import annotations

import inspect
import re
import sys
from typing import Final

from app.post_audit.web import pages
from app.post_audit.web.pages import all_pages
from app.post_audit.web.pages.page import Page
from documents.markdown import HEAD, anchor, cell, listed, table
from documents.page_deeds import Deed, deeds_of
from documents.roles import guarded_app, least_role

__all__ = ["document"]


_ABOUT: Final = (
    "`post-audit serve` shows them. Whoever is not signed in is led to `/login`. Each role may do what the one before"
    " it may: viewer, operator, approver; what a role may not do is not offered, and refused where it is tried.\n\n"
)


def document() -> str:
    """Make the text of the document."""
    found = all_pages()
    head = HEAD.format(source="the pages of backend/app/post_audit/web/pages", title="Pages")
    rows = [
        (f"[`{page.path}`](#{anchor(page.title)})", cell(page.title), cell(_purpose(page))) for page in found
    ]
    listing = table(("Address", "Page", "What it is for"), rows)
    return "".join([head, _ABOUT, listing, *(_section(page) for page in found)])


def _purpose(page: Page) -> str:
    """The first sentence of the module that has the page among its `PAGES`, without its address."""
    homes = [module for name, module in sys.modules.items() if name.startswith(f"{pages.__name__}.")]
    home = next(module for module in homes if page in getattr(module, "PAGES", ()))
    told = " ".join((home.__doc__ or "").split("\n\n")[0].split())
    words = re.sub(r"^/[^:]*: ", "", told)
    return words[:1].upper() + words[1:]


def _section(page: Page) -> str:
    role = least_role(guarded_app(), "GET", page.path)
    place = f"Tab *{page.tab.name}*" if page.tab is not None else f"Below `{page.below}`"
    head = (
        f"\n## {page.title}\n\n`{page.path}`. {_purpose(page)}\n\n"
        f"{place}. Who may open it: {'anybody' if role is None else role.value}.\n"
    )
    rows = [_row(deed) for deed in deeds_of(page)]
    return head + (f"\n{table(('Button', 'What it does', 'Who may'), rows)}" if rows else "")


def _row(deed: Deed) -> tuple[str, str, str]:
    buttons = listed([f"*{words}*" for words in deed.buttons]) if deed.buttons else ""
    return cell(buttons), cell(inspect.cleandoc(deed.told)), listed(deed.roles)
