"""Headings of a report: which are findings themselves, and what the others say of what stands below them.

A heading that is a finding takes all that stands below it as its details.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from app.post_audit.steps.enhancements.readers.markdown_blocks import (
    Item,
    Listing,
    Paragraph,
    Section,
    Table,
    plain,
)
from app.post_audit.steps.enhancements.readers.markdown_fields import (
    Fields,
    fields_of,
    id_of,
    is_pair_table,
    is_role_only,
    path_in,
    split_title,
    without_number,
)
from app.post_audit.steps.enhancements.readers.markdown_kinds import guessed_role
from app.post_audit.steps.enhancements.readers.markdown_mention import (
    Context,
    Mention,
    heading_severity,
    number_of,
    shortened,
)
from app.post_audit.steps.enhancements.readers.markdown_roles import Role, is_soft_noise, role_of
from app.post_audit.steps.enhancements.readers.markdown_states import state_of_heading, tells_states
from app.post_audit.steps.enhancements.readers.markdown_verdicts import Verdict, is_past, sign_of, status_of
from app.post_audit.steps.enhancements.readers.markdown_vocabulary import without_signs
from app.post_audit.steps.enhancements.readers.markdown_words import (
    Label,
    has_problem,
    has_strong_problem,
    label_of,
    severity_in,
)

__all__ = ["BAD", "context_below", "finding_of", "items_of"]

_WEAK_FRAMED: Final = re.compile(r"(limitation|risk|exception|warning|error|concern)")
_UNIT_LABELS: Final = frozenset({Label.PROBLEM, Label.ACTION, Label.FIX, Label.DETAIL, Label.LOCATION})
BAD: Final = frozenset({Verdict.OPEN, Verdict.PARTIAL, Verdict.DONE})


def context_below(section: Section, title: str, above: Context) -> Context:
    """Tell what holds below a heading that is no finding itself."""
    fields = fields_of(section)
    role = role_of(without_number(title))
    bare = title.casefold()
    if above.role is Role.NOISE and role is Role.FINDINGS and _WEAK_FRAMED.search(bare):
        role = Role.NOISE
    is_only_title = section.level == 1 and bool(section.children) and not _has_equals(section)
    if is_only_title or (section.level == 1 and role is not Role.NOISE):
        # the report's own title: "Audit and fixes of ..." announces no part
        is_title = section.parent is None or section.parent.children[0] is section
        role = None if is_title and (section.children or role is not Role.FINDINGS) else role
    head, tail = split_title(title)
    state = status_of(tail) if tail else None
    if role is None and section.parent is not None and section.parent.level:
        role = above.role
    is_good = fields.status is Verdict.GOOD or (state is Verdict.GOOD and role is not Role.FIXED)
    if is_good and role is not Role.ACTIONS:
        role = Role.GOOD
    sign = sign_of(title)
    if role is None and sign is Verdict.OPEN:
        role = Role.FINDINGS
    if role is None and severity_in(title, is_free=True) and (_is_tagged(title) or _is_list_only(section)):
        role = Role.FINDINGS
    if role is Role.NOISE and is_soft_noise(title) and _has_entries(section):
        role = None
    is_guessed = role is None
    if is_guessed:
        role = guessed_role(section, is_untold=above.is_untold)
    severity = heading_severity(title) or above.severity
    told = state_of_heading(without_number(title)) if section.level > 1 else None
    if told is not None and role not in {Role.GOOD, Role.ACTIONS}:
        role = Role.FINDINGS
    return Context(
        role=role,
        severity=severity,
        status=told if role is Role.FINDINGS else Verdict.DONE if role is Role.FIXED else None,
        heading=without_number(without_signs(head or title)),
        container=section.line,
        is_good_unit=is_good,
        is_guessed=is_guessed,
        is_untold=above.is_untold,
        level=section.level,
    )


def _has_entries(section: Section) -> bool:
    """Whether a section has a table, or paragraphs that are told apart and say what is wrong."""
    has_table = any(isinstance(block, Table) for block in section.blocks)
    return has_table or guessed_role(section, is_untold=False) is Role.FINDINGS


def _has_equals(section: Section) -> bool:
    """Whether a title is one of several of its level, and so may be a part of the report."""
    parent = section.parent
    return parent is not None and sum(child.level == section.level for child in parent.children) > 1


def _is_tagged(title: str) -> bool:
    return is_role_only(title)


def finding_of(section: Section, above: Context) -> Mention | None:
    """Take a heading as a finding, if it is one; all that stands below it is about it."""
    title = plain(section.title)
    bare = without_number(title)
    identifier, named = id_of(bare)
    if (section.level == 1 and not identifier) or not without_signs(bare) or above.role is Role.NOISE:
        return None
    if label_of(bare.partition(":")[0]) is Label.STATUS:
        return None
    real = [child for child in section.children if not _is_detail(child)]
    fields = fields_of(section)
    head, tail = split_title(named or bare)
    own = status_of(tail) if tail else None
    if own is None and sign_of(title) is Verdict.OPEN and not tail and role_of(bare) in {None, Role.FINDINGS}:
        own = Verdict.OPEN
    if not _is_unit(section, above, bare, bool(identifier and named), real, fields, own):
        return None
    status = _unit_status(section, above, fields, own, title)
    if status in {Verdict.GOOD, Verdict.NONE}:
        return None
    about = _about(section)
    return Mention(
        title=shortened(without_signs(head or named or bare)) or identifier,
        line=section.line,
        container=section.parent.line if section.parent else 0,
        role=Role.FINDINGS if above.role is None else above.role,
        about=about,
        identifier=identifier,
        number=number_of(title),
        status=status,
        severity=fields.severity
        or heading_severity(title)
        or severity_in(title, is_free=True)
        or above.severity,
        priority=fields.priority,
        location=fields.location or path_in(section.title),
        hours=fields.hours,
        context=above.heading,
        lines=_lines(section),
    )


def _is_unit(  # noqa: C901, PLR0911, PLR0913, PLR0917 - one answer for each kind of evidence
    section: Section,
    above: Context,
    title: str,
    has_id: bool,  # noqa: FBT001 - private
    real: Sequence[Section],
    fields: Fields,
    own: Verdict | None,
) -> bool:
    if has_id:
        return not any(id_of(without_number(plain(child.title)))[0] for child in section.children)
    if real or is_role_only(title) or tells_states(items_of(section)):
        return False
    if section.level > 6 and not (fields.severity or fields.has_status):  # noqa: PLR2004 - six levels of headings
        return False
    says_little = fields.status is None and fields.severity is None and fields.priority is None
    if role_of(title) is Role.NOISE and says_little and not has_problem(title):
        return False
    if above.role is not Role.GOOD and (fields.severity or fields.priority) and not _is_table_only(section):
        return True
    if fields.status in BAD:
        return True
    if (
        len(fields.labels & _UNIT_LABELS) > 1
        and above.role is not Role.GOOD
        and fields.status is not Verdict.GOOD
    ):
        return True
    only_lists = _is_list_only(section)
    if (
        above.role is not Role.GOOD
        and severity_in(title, is_free=True)
        and (fields.labels or _has_prose(section))
    ):
        return not _is_table_only(section)
    if own in BAD and not _is_table_only(section):
        return True
    if above.role in {Role.FINDINGS, Role.FIXED}:
        return (not only_lists and not _is_table_only(section)) or bool(fields.labels)
    if above.role is Role.ACTIONS:
        return not only_lists and not _is_table_only(section) and role_of(title) is None
    return (
        has_strong_problem(title)
        and not _is_table_only(section)
        and above.role is None
        and _has_prose(section)
    )


def _unit_status(  # noqa: PLR0911 - one case after another
    section: Section, above: Context, fields: Fields, own: Verdict | None, title: str
) -> Verdict | None:
    """Read the state of a finding in a heading: its own field, its tag, what was done about it, its section's."""
    if fields.status in {Verdict.OPEN, Verdict.PARTIAL, Verdict.DONE, Verdict.NONE}:
        if own is Verdict.PARTIAL:
            return own
        return fields.status
    if own is Verdict.PARTIAL:
        return own
    if fields.status is Verdict.GOOD:
        return own if own in BAD else Verdict.DONE if above.role is Role.FIXED else Verdict.GOOD
    if own in BAD:
        return own
    if above.status is Verdict.DONE:
        return Verdict.DONE
    if any(is_past(text) or sign_of(text) is Verdict.GOOD for text in fields.fixes):
        return Verdict.DONE
    if own is Verdict.GOOD or (sign_of(title) is Verdict.GOOD and above.role is not Role.FIXED):
        return Verdict.DONE if above.role in {Role.ACTIONS, Role.FINDINGS} else Verdict.GOOD
    return Verdict.OPEN if sign_of(section.title) is Verdict.OPEN else None


def _is_detail(section: Section) -> bool:
    """Whether a heading only names a part of a finding: Description, Impact, Recommendation, ..."""
    title = without_number(plain(section.title)).rstrip(":")
    label = label_of(title)
    return (label is not None and label is not Label.TITLE) or section.level > 6  # noqa: PLR2004 - six levels


def _about(section: Section) -> str:
    parts: list[str] = []
    for block in section.all_blocks:
        if isinstance(block, Paragraph):
            parts.append(plain(block.text))
        elif isinstance(block, Listing):
            waiting = list(reversed(block.items))
            while waiting:
                item = waiting.pop()
                parts.append(plain(item.text))
                waiting.extend(reversed(item.children))
        else:
            parts.extend(" | ".join(plain(cell) for cell in row.cells) for row in block.rows)
    return "\n".join(part for part in parts if part)


def _lines(section: Section) -> list[int]:
    return [section.line, *(block.line for block in section.all_blocks)]


def items_of(section: Section) -> list[Item]:
    """List the entries of the lists that stand right below a heading."""
    return [item for block in section.blocks if isinstance(block, Listing) for item in block.items]


def _is_list_only(section: Section) -> bool:
    return bool(section.blocks) and all(isinstance(block, Listing) for block in section.blocks)


def _is_table_only(section: Section) -> bool:
    tables = [block for block in section.blocks if isinstance(block, Table)]
    return bool(tables) and not all(is_pair_table(table) for table in tables)


def _has_prose(section: Section) -> bool:
    return any(isinstance(block, Paragraph) for block in section.all_blocks) or not section.blocks
