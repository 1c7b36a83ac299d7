"""What a section is whose heading says nothing known ("What hurts", "Idle and oversized"): told by its entries.

Two entries or more that say what is wrong or ask for something to be done are findings. Where no heading of a report
announces any, those that announce nothing else do, and fewer such entries are enough.
"""

from __future__ import annotations

import re
from typing import Final

from app.post_audit.steps.enhancements.readers.markdown_blocks import Listing, Paragraph, Section, plain
from app.post_audit.steps.enhancements.readers.markdown_fields import label_and_value
from app.post_audit.steps.enhancements.readers.markdown_roles import Role
from app.post_audit.steps.enhancements.readers.markdown_verdicts import Verdict, sign_of
from app.post_audit.steps.enhancements.readers.markdown_vocabulary import without_signs
from app.post_audit.steps.enhancements.readers.markdown_words import has_problem, is_action, label_of

__all__ = ["guessed_role", "is_bold_lead", "is_counted"]

_BOLD: Final = re.compile(r"^(?:\*\*|__)([^*_]{6,140}?)(?:\*\*|__)")
_COUNTED: Final = re.compile(
    r"^\W*(?:\(?\d{1,3}[).]|(?:issue|finding|problem|point|no\.?|nr\.?) \d{1,3}\b)", re.IGNORECASE
)
_FEWEST: Final = 2
_SHORTEST: Final = 3
"""Words of an entry that may be a sentence; names of devices and tools have fewer."""
_SHARE: Final = 0.6


def is_bold_lead(text: str) -> bool:
    """Whether a paragraph begins with words in bold letters that are no label."""
    found = _BOLD.match(text)
    if found is None or len(found[1].split()) < _FEWEST:
        return False
    inner = found[1].rstrip()
    after = text[found.end() : found.end() + 2].lstrip()
    return not inner.endswith(":") and not after.startswith(":") and label_of(inner) is None


def is_counted(text: str) -> bool:
    """Whether a paragraph begins with a number of its own: "1) ...", "Issue 3. ..."."""
    return _COUNTED.match(plain(text)) is not None


def guessed_role(section: Section, *, is_untold: bool) -> Role | None:
    """Tell from its entries what a section is; None where they do not say."""
    leads = [
        block.text
        for block in section.blocks
        if isinstance(block, Paragraph) and (is_bold_lead(block.text) or is_counted(block.text))
    ]
    entries = [
        item
        for block in section.blocks
        if isinstance(block, Listing)
        for item in block.items
        if label_and_value(item.text)[0] is None
        and sign_of(item.text) is not Verdict.GOOD
        and item.box is None
    ]
    texts = leads + [plain(item.text) for item in entries]
    if len(texts) < _FEWEST:
        return None
    asked = sum(is_action(text) for text in texts)
    wrong = sum(has_problem(text) for text in texts)
    told = sum(has_problem(text) or is_action(text) for text in texts)
    if len(leads) >= _FEWEST and (is_untold or told * 2 >= len(texts)):
        return Role.FINDINGS
    long_enough = sum(len(without_signs(text).split()) >= _SHORTEST for text in texts) * 2 > len(texts)
    if not long_enough or (told < len(texts) * _SHARE and not is_untold):
        return None
    return Role.ACTIONS if asked > wrong else Role.FINDINGS
