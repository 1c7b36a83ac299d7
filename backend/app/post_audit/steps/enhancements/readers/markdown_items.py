"""Mentions of findings in the sections of a report: headings, entries of lists, rows of tables, paragraphs.

Structure is asked before words: what has an id, a severity, a state or a checkbox of its own is a mention; what stands
in a section about findings, actions or fixes is one too; elsewhere only what carries a bad sign. A heading that is a
mention takes what stands below it as its details.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
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
    id_of,
    is_pair_table,
    is_role_only,
    label_and_value,
    split_title,
    without_number,
)
from app.post_audit.steps.enhancements.readers.markdown_headings import (
    BAD,
    context_below,
    finding_of,
    items_of,
)
from app.post_audit.steps.enhancements.readers.markdown_kinds import guessed_role
from app.post_audit.steps.enhancements.readers.markdown_mention import (
    SENTENCE,
    Context,
    Mention,
    heading_severity,
    mention_of,
    number_of,
    shortened,
)
from app.post_audit.steps.enhancements.readers.markdown_roles import Role, role_of
from app.post_audit.steps.enhancements.readers.markdown_states import lead_state, tells_states
from app.post_audit.steps.enhancements.readers.markdown_tables import rows_of
from app.post_audit.steps.enhancements.readers.markdown_verdicts import (
    Verdict,
    is_past,
    is_told_fixed,
    sign_of,
    status_of,
)
from app.post_audit.steps.enhancements.readers.markdown_vocabulary import without_signs
from app.post_audit.steps.enhancements.readers.markdown_words import (
    Label,
    has_problem,
    has_strong_problem,
    is_action,
    label_of,
    severity_in,
)

__all__ = ["mentions_of"]

_COUNTING: Final = re.compile(
    r"(following|below|above|in total|this section|this report|these issues|see the|summar|we (found|identified) \d+|"
    r"\d+ (issues|findings|problems|vulnerabilities|items) (were|was|in|have)|folgende|siguientes|suivant|निम्नलिखित)"
)
_ORDINAL: Final = re.compile(
    r"^\W*(?:\(?\d{1,3}[).:]|(?:first|second|third|fourth|fifth|sixth|finally|lastly|next|another|erstens|zweitens|drittens|"
    r"primero|segundo|tercero)\b)",
    re.IGNORECASE,
)
_COLON_LEAD: Final = re.compile(r"^\*\*[^*]{2,40}(?::\*\*|\*\*\s*:)|^\W*(?i:total|overall)\b")
_CATEGORY_WORDS: Final = 5
_REMARK: Final = 25


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
    has_lists = any(not isinstance(block, Paragraph) or _is_numbered(block) for block in section.blocks)
    is_tracked = tells_states(items_of(section))
    for position, block in enumerate(section.blocks):
        within = context
        if isinstance(block, Paragraph):
            following = section.blocks[position + 1] if position + 1 < len(section.blocks) else None
            yield from _paragraph(
                block, context, has_lists=has_lists or isinstance(following, Listing | Table)
            )
            intro = block.text if isinstance(following, Listing | Table) else ""
            continue
        if intro:
            within = _introduced(context, intro)
        if isinstance(block, Listing):
            for item in block.items:
                yield from _item(item, replace(within, container=block.line, is_tracked=is_tracked))
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


def _paragraph(block: Paragraph, context: Context, *, has_lists: bool) -> Iterator[Mention]:  # noqa: C901, PLR0912 - one case after another
    if context.role is Role.NOISE or _is_metadata(block, context):
        return
    taken = False
    for line, text in block.lines:
        label, value = label_and_value(text)
        if label is Label.ACTION and value and not context.is_good_unit:
            yield mention_of(value, line, replace(context, role=Role.ACTIONS, status=None), text)
            taken = True
        elif label is Label.PROBLEM and value:
            yield mention_of(value, line, context, text)
            taken = True
        elif label is None and sign_of(text[:4]) is Verdict.OPEN and len(plain(text).split()) > 1:
            if context.role is not Role.GOOD or not text.rstrip().endswith(":"):
                yield mention_of(text, line, context, text)
                taken = True
        elif label is not None:
            taken = True
    if taken:
        return
    told = [(line, found) for line, text in block.lines if (found := _told_line(plain(text)))]
    if told and len(told) == len(block.lines):
        for line, (verdict, words) in told:
            if verdict in BAD:
                yield mention_of(words, line, context, words, status=verdict)
        return
    text = plain(block.text)
    identifier, rest = id_of(without_number(text))
    state = _told_state(block)
    if state is Verdict.NONE:
        return
    if identifier and rest and context.role is not Role.GOOD:
        yield mention_of(text, block.line, context, block.text, status=state)
    elif context.role in {Role.FINDINGS, Role.ACTIONS, Role.FIXED} and not text.endswith(":"):
        first = SENTENCE.split(text)[0]
        if _COLON_LEAD.match(block.text) and not has_strong_problem(text):
            return
        numbered = _is_numbered(block)
        if numbered or (
            not has_lists
            and not _COUNTING.search(text.casefold())
            and (has_problem(first) or is_action(first) or len(text.split()) <= _REMARK)
        ):
            yield mention_of(text, block.line, context, block.text, status=state)


_TOLD: Final = re.compile(r"^[\[(]?([A-Z]{2,8}|N/A)[\])]?[\s:–—-]{1,4}(\S.*)$")


def _told_line(text: str) -> tuple[Verdict, str] | None:
    """Read a line that begins with a state in capitals: "FAIL Port 22 is open"."""
    found = _TOLD.match(text)
    state = status_of(found[1]) if found else None
    return (state, found[2]) if found and state is not None else None


def _is_numbered(block: Paragraph) -> bool:
    """Whether a paragraph is one of several that are told apart by numbers or words in bold letters."""
    return _ORDINAL.match(plain(block.text)) is not None or block.text.startswith("**")


def _told_state(block: Paragraph) -> Verdict | None:
    """Read the state of a finding told in a paragraph: behind its title, or in a sentence of its own."""
    _, tail = split_title(plain(block.lines[0][1]))
    state = status_of(tail) if tail else None
    if state is None and is_told_fixed(plain(block.text)):
        return Verdict.DONE
    return Verdict.DONE if state is Verdict.GOOD else state


def _is_metadata(block: Paragraph, context: Context) -> bool:
    """Whether a paragraph frames the report: lines such as "Date: ...", or a count of what follows."""
    labelled = sum(_LINE_LABEL.match(text) is not None for _, text in block.lines)
    if re.match(r"^\W*total\b", block.text, re.IGNORECASE):
        return True
    return (
        labelled > 1
        and (labelled == len(block.lines))
        and (context.container == 0 or context.level < 2 or _is_footer(block))  # noqa: PLR2004 - a count of words or entries, said beside it
    )


def _is_footer(block: Paragraph) -> bool:
    return not any(
        label_and_value(text)[0] in {Label.PROBLEM, Label.ACTION, Label.SEVERITY} for _, text in block.lines
    )


_LINE_LABEL: Final = re.compile(r"^[^\w*]{0,4}(?:\*\*|__)[^*_]{2,60}(?::(?:\*\*|__)|(?:\*\*|__)\s*:)")


def _item(item: Item, context: Context) -> Iterator[Mention]:  # noqa: C901, PLR0911 - one case after another
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
            yield from _item(child, within)
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
        yield from _item(child, context)


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
