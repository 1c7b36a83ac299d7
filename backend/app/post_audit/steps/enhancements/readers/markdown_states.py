"""States told where no column or label names them: before an entry ("WIP: ...", "[done] ...") and in headings.

What stands before an entry counts only when it is a state and nothing else: "Open ports: 22" tells none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from app.post_audit.steps.enhancements.readers.markdown_blocks import Item, plain
from app.post_audit.steps.enhancements.readers.markdown_verdicts import Verdict, heading_state, state_alone
from app.post_audit.steps.enhancements.readers.markdown_vocabulary import without_signs
from app.post_audit.steps.enhancements.readers.markdown_words import label_of

__all__ = ["lead_state", "state_of_heading", "tells_states", "without_lead_state"]

_BRACKETED: Final = re.compile(r"^\s*[\[(]([^\[\]()]{2,24})[\])]\s*[:–—-]?\s*(\S.*)$")
_SEPARATED: Final = re.compile(r"^\s*([^\s:–—-][^:–—]{1,23}?)(?:\s*:|\s+[–—-]|[–—])\s+(\S.*)$")
_LONGEST_STATE: Final = 3
_LONGEST_VALUE: Final = 2
"""Words behind "Fixed:" that are a property ("Fixed: yes") and no finding."""
_LONGEST_HEADING: Final = 8
_FEWEST: Final = 2
"""Entries with a state before them that make a list of states; one may be chance."""


@lru_cache(maxsize=8192)
def _parted(text: str) -> tuple[Verdict | None, str]:
    bare = without_signs(plain(text))
    for pattern in (_BRACKETED, _SEPARATED):
        found = pattern.match(bare)
        if found is None or len(found[1].split()) > _LONGEST_STATE:
            continue
        verdict = state_alone(found[1])
        is_property = label_of(found[1]) is not None and len(found[2].split()) <= _LONGEST_VALUE
        if verdict is not None and not is_property:
            return verdict, found[2]
    return None, text


def lead_state(text: str) -> Verdict | None:
    """Read the state that stands before an entry, None without one."""
    return _parted(text)[0]


def without_lead_state(text: str) -> str:
    """Leave out the state before an entry; the text itself where none stands there."""
    return _parted(text)[1]


def tells_states(items: Sequence[Item]) -> bool:
    """Whether the entries of a list, or those below them, begin with states."""
    waiting, found = list(items), 0
    while waiting:
        item = waiting.pop()
        found += item.box is None and lead_state(item.text) is not None
        waiting.extend(item.children)
    return found >= _FEWEST


def state_of_heading(title: str) -> Verdict | None:
    """Read the state that a short heading gives to all below it: "Parked", "In the works", "Still open"."""
    bare = without_signs(title)
    return heading_state(bare) if len(bare.split()) <= _LONGEST_HEADING else None
