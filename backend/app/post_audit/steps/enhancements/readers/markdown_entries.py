"""Mentions of findings in the entries of lists: what an entry is, its state, and whether it only heads others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from app.post_audit.steps.enhancements.readers.markdown_blocks import Item, plain
from app.post_audit.steps.enhancements.readers.markdown_fields import (
    id_of,
    is_role_only,
    label_and_value,
    without_number,
)
from app.post_audit.steps.enhancements.readers.markdown_headings import BAD
from app.post_audit.steps.enhancements.readers.markdown_mention import (
    Context,
    Mention,
    heading_severity,
    mention_of,
)
from app.post_audit.steps.enhancements.readers.markdown_roles import Role, role_of
from app.post_audit.steps.enhancements.readers.markdown_states import lead_state, tells_states
from app.post_audit.steps.enhancements.readers.markdown_verdicts import Verdict, is_past, sign_of, status_of
from app.post_audit.steps.enhancements.readers.markdown_vocabulary import without_signs
from app.post_audit.steps.enhancements.readers.markdown_words import (
    Label,
    has_problem,
    has_strong_problem,
    is_action,
    label_of,
    severity_in,
)

__all__ = ["mentions_of_entry"]

_CATEGORY_WORDS: Final = 5


def mentions_of_entry(item: Item, context: Context) -> Iterator[Mention]:  # noqa: C901, PLR0911 - one case after another
    """Find what an entry mentions, or, where it only heads others or says nothing, the entries below it."""
    if context.role is Role.NOISE:
        return
    text, raw = plain(item.text), item.text
    if not without_signs(text):
        return
    label, value = label_and_value(raw)
    children = item.children
    if item.box is None and lead_state(raw) is not None:
        label, value = None, ""
    if _is_group(item, text, context):
        within = _of_group(item, text, context)
        for child in children:
            yield from mentions_of_entry(child, within)
        return
    if (
        label is not None
        and label not in {Label.PROBLEM, Label.ACTION, Label.TITLE, Label.FIX}
        and item.box is None
    ):
        # a property of the section
        return
    if label is Label.FIX and context.role not in {Role.ACTIONS, Role.FIXED, Role.FINDINGS}:
        return
    if label in {Label.PROBLEM, Label.TITLE} and value:
        text = plain(value)
    state = _item_state(item, text, context)
    if state is Verdict.NONE:
        return
    if _is_mention(item, text, state, context):
        tagged = severity_in(text, is_free=True) is not None or bool(id_of(without_number(text))[0])
        sure = context.role is not None or state is not None or tagged
        mention = mention_of(text, item.line, context, raw, status=state, item=item)
        mention.is_sure = sure
        yield mention
        return
    for child in children:
        yield from mentions_of_entry(child, context)


def _is_mention(item: Item, text: str, state: Verdict | None, context: Context) -> bool:  # noqa: PLR0911 - as above
    identifier, rest = id_of(without_number(text))
    if item.box is not None:
        return True
    if state is Verdict.GOOD:
        return False
    if context.role is Role.GOOD:
        return state in {Verdict.OPEN, Verdict.PARTIAL} and sign_of(item.text) is Verdict.OPEN
    if identifier and rest:
        return True
    if context.role in {Role.FINDINGS, Role.ACTIONS, Role.FIXED}:
        return True
    if state in BAD:
        return True
    if severity_in(text, is_free=True) and _SEVERITY_TAG.search(without_signs(text)):
        return True
    return has_strong_problem(text) and not item.text.rstrip().endswith(":")


_SEVERITY_TAG: Final = re.compile(r"^[\[(]?\w+(?: \w+)?(?:[\])]|\s[–—-]|:)|[\[(]\w+(?: \w+)?[\])]\s*\.?$")


def _item_state(item: Item, text: str, context: Context) -> Verdict | None:  # noqa: C901, PLR0911, PLR0912 - as above
    """Read the state of an entry: its box, its sign with the words behind it, a tag at its end, its section's."""
    if item.box is not None:
        if item.box in {"x", "✓", "✔"}:
            return Verdict.DONE
        if item.box in {"~", "-", "/", ">"}:
            return Verdict.PARTIAL
        if item.box in {"✗", "✘", " ", "", "!"}:
            return Verdict.OPEN
    if item.text.startswith("~~") and item.text.rstrip().endswith("~~"):
        return Verdict.DONE
    nested = next(
        (
            value
            for child in item.children
            for name, value in [label_and_value(child.text)]
            if name is Label.STATUS
        ),
        "",
    )
    if nested:
        found = status_of(nested)
        if found is not None:
            return Verdict.DONE if found is Verdict.GOOD and context.role is Role.ACTIONS else found
    begun = lead_state(item.text)
    if begun is not None:
        return begun
    sign = sign_of(item.text)
    tail = _tail(text)
    tagged = status_of(tail) if tail else None
    if tagged in {Verdict.DONE, Verdict.PARTIAL, Verdict.NONE}:
        return tagged
    if tail and is_past(tail):
        return Verdict.DONE
    if sign is Verdict.OPEN:
        words = without_signs(text)[:24]
        return Verdict.PARTIAL if status_of(words) is Verdict.PARTIAL else Verdict.OPEN
    if sign is Verdict.GOOD:
        if context.role in {Role.ACTIONS, Role.FIXED} or context.is_tracked:
            return Verdict.DONE
        lead = status_of(without_signs(text)[:30])
        return Verdict.DONE if lead is Verdict.DONE else Verdict.GOOD
    if tagged is Verdict.OPEN:
        return tagged
    label, _, rest = without_signs(text).partition(":")
    if rest and len(label.split()) < 3:  # noqa: PLR2004 - "Fixed: ...", "In progress: ..."
        found = status_of(label)
        if found in BAD and not label_of(label):
            return found
    return context.status


_TAIL: Final = re.compile(r"[\[(]([^\[\]()]{2,30})[\])]\s*\.?$|\s[–—-]+\s([^–—]{2,24})$")


def _tail(text: str) -> str:
    found = _TAIL.search(without_signs(text))
    return next((part for part in found.groups() if part), "") if found else ""


def _is_group(item: Item, text: str, context: Context) -> bool:  # noqa: C901, PLR0911 - one case after another
    """Whether an entry only names what the entries below it have in common."""
    children = item.children
    if not children:
        return False
    fields = sum(
        label_and_value(child.text)[0] is not None and lead_state(child.text) is None for child in children
    )
    if fields * 2 >= len(children):
        return False
    boxed = any(child.box is not None for child in children)
    bare = without_signs(text).rstrip(":").strip()
    if item.box is not None:
        return boxed and not (has_problem(bare) or is_action(bare))
    if sign_of(item.text) is not None and not is_role_only(text):
        return False
    if lead_state(item.text) is not None:
        return False
    if tells_states(children) or (
        context.is_tracked and any(lead_state(child.text) is not None for child in children)
    ):
        return True
    identifier, _ = id_of(without_number(bare))
    if identifier:
        return False
    if is_role_only(bare) or boxed:
        return True
    if context.role is Role.GOOD:
        return True
    if context.role is Role.ACTIONS and is_action(bare):
        return False
    signed = sum(
        sign_of(child.text) is not None or severity_in(child.text, is_free=True) is not None
        for child in children
    )
    if signed:
        return True
    is_short = (
        len(bare.split()) <= _CATEGORY_WORDS
        and not has_strong_problem(bare)
        and not severity_in(bare, is_free=True)
    )
    if not is_short:
        return False
    return any(has_problem(child.text) or is_action(child.text) or child.children for child in children)


def _of_group(item: Item, text: str, context: Context) -> Context:
    role = role_of(text) if is_role_only(text) else None
    return replace(
        context,
        role=role or context.role,
        severity=heading_severity(text) or context.severity,
        status=Verdict.DONE if role is Role.FIXED else context.status,
        heading=without_signs(text).rstrip(":"),
        container=item.line,
    )
