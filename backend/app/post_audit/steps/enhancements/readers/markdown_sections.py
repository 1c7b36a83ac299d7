"""Mentions of findings in the sections of a report: headings, entries of lists, rows of tables, paragraphs.

Structure is asked before words: what has an id, a severity, a state or a checkbox of its own is a mention; what stands
in a section about findings, actions or fixes is one too; elsewhere only what carries a bad sign. A heading that is a
mention takes what stands below it as its details.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from app.post_audit.steps.enhancements.readers.markdown_blocks import (
    Listing,
    Paragraph,
    Section,
    Table,
    plain,
)
from app.post_audit.steps.enhancements.readers.markdown_entries import mentions_of_entry
from app.post_audit.steps.enhancements.readers.markdown_fields import (
    is_pair_table,
    is_role_only,
    without_number,
)
from app.post_audit.steps.enhancements.readers.markdown_headings import context_below, finding_of, items_of
from app.post_audit.steps.enhancements.readers.markdown_kinds import guessed_role
from app.post_audit.steps.enhancements.readers.markdown_mention import (
    SENTENCE,
    Context,
    Mention,
    heading_severity,
    number_of,
    shortened,
)
from app.post_audit.steps.enhancements.readers.markdown_paragraphs import is_numbered, mentions_of_paragraph
from app.post_audit.steps.enhancements.readers.markdown_roles import Role, role_of
from app.post_audit.steps.enhancements.readers.markdown_states import tells_states
from app.post_audit.steps.enhancements.readers.markdown_tables import rows_of
from app.post_audit.steps.enhancements.readers.markdown_verdicts import Verdict, sign_of
from app.post_audit.steps.enhancements.readers.markdown_vocabulary import without_signs

__all__ = ["mentions_of"]


def mentions_of(root: Section, most: int) -> list[Mention]:
    """List the mentions in the order of the text, `most` at most."""
    found = list(islice(_section(root, Context(is_untold=not _tells_findings(root))), most))
    found.sort(key=lambda mention: mention.line)
    first = min((m.line for m in found if m.role is not Role.ACTIONS), default=None)
    for mention in found:
        if mention.is_guessed and mention.role is Role.ACTIONS and (first is None or mention.line < first):
            # nothing was told yet that it could be the cure of: what is asked for is what was found
            mention.role = Role.FINDINGS
    return found


def _section(section: Section, above: Context) -> Iterator[Mention]:
    title = plain(section.title)
    if section.level == 0:
        context = replace(above, role=guessed_role(section, is_untold=above.is_untold))
    else:
        unit = finding_of(section, above)
        if unit is not None:
            yield unit
            return
        context = context_below(section, title, above)
    yield from _blocks(section, context)
    for child in section.children:
        yield from _section(child, context)


def _tells_findings(root: Section) -> bool:
    return any(
        section.level > 1 and role_of(without_number(plain(section.title))) is Role.FINDINGS
        for section in root.walk()
    )


def _blocks(section: Section, context: Context) -> Iterator[Mention]:
    intro = ""
    has_lists = any(not isinstance(block, Paragraph) or is_numbered(block) for block in section.blocks)
    is_tracked = tells_states(items_of(section))
    for position, block in enumerate(section.blocks):
        within = context
        if isinstance(block, Paragraph):
            following = section.blocks[position + 1] if position + 1 < len(section.blocks) else None
            yield from mentions_of_paragraph(
                block, context, has_lists=has_lists or isinstance(following, Listing | Table)
            )
            intro = block.text if isinstance(following, Listing | Table) else ""
            continue
        if intro:
            within = _introduced(context, intro)
        if isinstance(block, Listing):
            for item in block.items:
                yield from mentions_of_entry(
                    item, replace(within, container=block.line, is_tracked=is_tracked)
                )
        elif not is_pair_table(block):
            yield from _table(section, block, replace(within, container=block.line))
        intro = ""


def _introduced(context: Context, intro: str) -> Context:
    """Take the last sentence before a list for its heading where it announces one."""
    last = SENTENCE.split(plain(intro))[-1]
    role = role_of(last)
    if not last.rstrip().endswith(":") and context.role is not None:
        return context
    if role is None or (context.role is Role.NOISE and role is not Role.FINDINGS):
        return context
    if context.role in {Role.FINDINGS, Role.FIXED, Role.ACTIONS} and role is Role.NOISE:
        return context
    status = Verdict.DONE if role is Role.FIXED else None
    return replace(
        context,
        role=role,
        is_guessed=False,
        status=status,
        severity=heading_severity(last.rstrip(":")) or context.severity,
    )


def _table(section: Section, table: Table, context: Context) -> Iterator[Mention]:
    if context.role is Role.NOISE:
        return
    rows = rows_of(table, context.role)
    if rows is None:
        # rows that say nothing of themselves: what is wrong is what the heading says of all of them
        title = plain(section.title)
        if context.role is Role.FINDINGS and sign_of(title) is Verdict.OPEN and not is_role_only(title):
            yield Mention(
                title=shortened(without_signs(without_number(title)).rstrip(":")),
                line=section.line,
                container=section.parent.line if section.parent else 0,
                role=context.role,
                about=title,
                severity=context.severity,
                status=Verdict.OPEN,
                context=context.heading,
                lines=[section.line, *(row.line for row in table.rows)],
            )
        return
    for row in rows:
        yield Mention(
            title=shortened(row.title),
            line=row.line,
            container=context.container,
            role=context.role,
            about=row.about,
            identifier=row.identifier,
            number=number_of(row.about),
            status=row.status if row.status is not None else context.status,
            severity=row.severity or context.severity,
            priority=row.priority,
            location=row.location,
            hours=row.hours,
            context=context.heading,
            lines=[row.line],
        )
