"""Mentions of findings in the sections of a report: headings, entries of lists, rows of tables, paragraphs.

Structure is asked before words: what has an id, a severity, a state or a checkbox of its own is a mention; what stands
in a section about findings, actions or fixes is one too; elsewhere only what carries a bad sign. A heading that is a
mention takes what stands below it as its details.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
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
    Fields,
    fields_of,
    hours_in,
    id_of,
    is_pair_table,
    is_role_only,
    label_and_value,
    path_in,
    split_title,
    without_number,
)
from app.post_audit.steps.enhancements.readers.markdown_kinds import guessed_role
from app.post_audit.steps.enhancements.readers.markdown_states import (
    lead_state,
    state_of_heading,
    tells_states,
    without_lead_state,
)
from app.post_audit.steps.enhancements.readers.markdown_tables import rows_of
from app.post_audit.steps.enhancements.readers.markdown_words import (
    Label,
    Role,
    Verdict,
    has_problem,
    has_strong_problem,
    is_action,
    is_past,
    is_soft_noise,
    is_told_fixed,
    label_of,
    role_of,
    severity_in,
    sign_of,
    status_of,
    without_signs,
)

__all__ = ["Mention", "mentions_of"]


@dataclass(slots=True, kw_only=True)
class Mention:
    """A place of the report that speaks of a finding.

    `container` is the list, table or section that it is one of; `about` is all that is said there. `status` is None
    where it is only implied.
    """

    title: str
    line: int
    container: int
    role: Role | None
    about: str = ""
    identifier: str = ""
    status: Verdict | None = None
    severity: str | None = None
    priority: str | None = None
    location: str = ""
    hours: float | None = None
    context: str = ""
    is_sure: bool = True
    is_property: bool = False
    is_guessed: bool = False
    """Whether its section's part was told by the entries and not by the heading."""
    number: str = ""
    parts: tuple[str, ...] = ()
    lines: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Context:
    """What holds for the entries of a section or list."""

    role: Role | None = None
    severity: str | None = None
    status: Verdict | None = None
    heading: str = ""
    container: int = 0
    is_good_unit: bool = False
    is_guessed: bool = False
    is_tracked: bool = False
    """Whether the entries begin with states: a tick before another of them says that it is done."""
    is_untold: bool = False
    """Whether no heading of the report announces findings: then those that announce nothing else have them."""
    level: int = 0


_COUNTING: Final = re.compile(
    r"(following|below|above|in total|this section|this report|these issues|see the|summar|we (found|identified) \d+|"
    r"\d+ (issues|findings|problems|vulnerabilities|items) (were|was|in|have)|folgende|siguientes|suivant|निम्नलिखित)"
)
_NEXT: Final = re.compile(r"^\W*(next|todo|pending|in progress|wip|open|now|later|soon)\W", re.IGNORECASE)
_SENTENCE: Final = re.compile(r"(?<=[.!?।])\s+")
_ORDINAL: Final = re.compile(
    r"^\W*(?:\(?\d{1,3}[).:]|(?:first|second|third|fourth|fifth|sixth|finally|lastly|next|another|erstens|zweitens|drittens|"
    r"primero|segundo|tercero)\b)",
    re.IGNORECASE,
)
_WEAK_FRAMED: Final = re.compile(r"(limitation|risk|exception|warning|error|concern)")
_CRITERION: Final = re.compile(r"^\W*(\d{1,2}(?:\.\d{1,2}){2})\b")
"""A number of three parts, as criteria of WCAG and chapters of standards have: it names the same thing everywhere."""
_COLON_LEAD: Final = re.compile(r"^\*\*[^*]{2,40}(?::\*\*|\*\*\s*:)|^\W*(?i:total|overall)\b")
_CATEGORY_WORDS: Final = 5
_REMARK: Final = 25
_TITLE: Final = 160
_UNIT_LABELS: Final = frozenset({Label.PROBLEM, Label.ACTION, Label.FIX, Label.DETAIL, Label.LOCATION})
_BAD: Final = frozenset({Verdict.OPEN, Verdict.PARTIAL, Verdict.DONE})


def mentions_of(root: Section, most: int) -> list[Mention]:
    """List the mentions in the order of the text, `most` at most."""
    found = list(islice(_section(root, _Context(is_untold=not _tells_findings(root))), most))
    found.sort(key=lambda mention: mention.line)
    first = min((m.line for m in found if m.role is not Role.ACTIONS), default=None)
    for mention in found:
        if mention.is_guessed and mention.role is Role.ACTIONS and (first is None or mention.line < first):
            # nothing was told yet that it could be the cure of: what is asked for is what was found
            mention.role = Role.FINDINGS
    return found


def _section(section: Section, above: _Context) -> Iterator[Mention]:
    title = plain(section.title)
    if section.level == 0:
        context = replace(above, role=guessed_role(section, is_untold=above.is_untold))
    else:
        unit = _unit(section, above)
        if unit is not None:
            yield unit
            return
        context = _inside(section, title, above)
    yield from _blocks(section, context)
    for child in section.children:
        yield from _section(child, context)


def _inside(section: Section, title: str, above: _Context) -> _Context:
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
    severity = _heading_severity(title) or above.severity
    told = state_of_heading(without_number(title)) if section.level > 1 else None
    if told is not None and role not in {Role.GOOD, Role.ACTIONS}:
        role = Role.FINDINGS
    return _Context(
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


def _tells_findings(root: Section) -> bool:
    return any(
        section.level > 1 and role_of(without_number(plain(section.title))) is Role.FINDINGS
        for section in root.walk()
    )


def _is_tagged(title: str) -> bool:
    return is_role_only(title)


def _heading_severity(title: str) -> str | None:
    """Read a severity that a heading gives to all below it: "High priority", "Critical", "[Low] ..."."""
    bare = without_number(title)
    return severity_in(bare, is_free=True) or (
        severity_in(f"[{bare}]", is_free=True) if is_role_only(bare) else None
    )


def _unit(section: Section, above: _Context) -> Mention | None:
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
        title=_short(without_signs(head or named or bare)) or identifier,
        line=section.line,
        container=section.parent.line if section.parent else 0,
        role=Role.FINDINGS if above.role is None else above.role,
        about=about,
        identifier=identifier,
        number=_number_of(title),
        status=status,
        severity=fields.severity
        or _heading_severity(title)
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
    above: _Context,
    title: str,
    has_id: bool,  # noqa: FBT001 - private
    real: Sequence[Section],
    fields: Fields,
    own: Verdict | None,
) -> bool:
    if has_id:
        return not any(id_of(without_number(plain(child.title)))[0] for child in section.children)
    if real or is_role_only(title) or tells_states(_items_of(section)):
        return False
    if section.level > 6 and not (fields.severity or fields.has_status):  # noqa: PLR2004 - six levels of headings
        return False
    says_little = fields.status is None and fields.severity is None and fields.priority is None
    if role_of(title) is Role.NOISE and says_little and not has_problem(title):
        return False
    if above.role is not Role.GOOD and (fields.severity or fields.priority) and not _is_table_only(section):
        return True
    if fields.status in _BAD:
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
    if own in _BAD and not _is_table_only(section):
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
    section: Section, above: _Context, fields: Fields, own: Verdict | None, title: str
) -> Verdict | None:
    """Read the state of a finding in a heading: its own field, its tag, what was done about it, its section's."""
    if fields.status in {Verdict.OPEN, Verdict.PARTIAL, Verdict.DONE, Verdict.NONE}:
        if own is Verdict.PARTIAL:
            return own
        return fields.status
    if own is Verdict.PARTIAL:
        return own
    if fields.status is Verdict.GOOD:
        return own if own in _BAD else Verdict.DONE if above.role is Role.FIXED else Verdict.GOOD
    if own in _BAD:
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


def _blocks(section: Section, context: _Context) -> Iterator[Mention]:
    intro = ""
    has_lists = any(not isinstance(block, Paragraph) or _is_numbered(block) for block in section.blocks)
    is_tracked = tells_states(_items_of(section))
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


def _introduced(context: _Context, intro: str) -> _Context:
    """Take the last sentence before a list for its heading where it announces one."""
    last = _SENTENCE.split(plain(intro))[-1]
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
        severity=_heading_severity(last.rstrip(":")) or context.severity,
    )


def _paragraph(block: Paragraph, context: _Context, *, has_lists: bool) -> Iterator[Mention]:  # noqa: C901, PLR0912 - one case after another
    if context.role is Role.NOISE or _is_metadata(block, context):
        return
    taken = False
    for line, text in block.lines:
        label, value = label_and_value(text)
        if label is Label.ACTION and value and not context.is_good_unit:
            yield _mention(value, line, replace(context, role=Role.ACTIONS, status=None), text)
            taken = True
        elif label is Label.PROBLEM and value:
            yield _mention(value, line, context, text)
            taken = True
        elif label is None and sign_of(text[:4]) is Verdict.OPEN and len(plain(text).split()) > 1:
            if context.role is not Role.GOOD or not text.rstrip().endswith(":"):
                yield _mention(text, line, context, text)
                taken = True
        elif label is not None:
            taken = True
    if taken:
        return
    told = [(line, found) for line, text in block.lines if (found := _told_line(plain(text)))]
    if told and len(told) == len(block.lines):
        for line, (verdict, words) in told:
            if verdict in _BAD:
                yield _mention(words, line, context, words, status=verdict)
        return
    text = plain(block.text)
    identifier, rest = id_of(without_number(text))
    state = _told_state(block)
    if state is Verdict.NONE:
        return
    if identifier and rest and context.role is not Role.GOOD:
        yield _mention(text, block.line, context, block.text, status=state)
    elif context.role in {Role.FINDINGS, Role.ACTIONS, Role.FIXED} and not text.endswith(":"):
        first = _SENTENCE.split(text)[0]
        if _COLON_LEAD.match(block.text) and not has_strong_problem(text):
            return
        numbered = _is_numbered(block)
        if numbered or (
            not has_lists
            and not _COUNTING.search(text.casefold())
            and (has_problem(first) or is_action(first) or len(text.split()) <= _REMARK)
        ):
            yield _mention(text, block.line, context, block.text, status=state)


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


def _is_metadata(block: Paragraph, context: _Context) -> bool:
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


def _item(item: Item, context: _Context) -> Iterator[Mention]:  # noqa: C901, PLR0911 - one case after another
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
        mention = _mention(text, item.line, context, raw, status=state, item=item)
        mention.is_sure = sure
        yield mention
        return
    for child in children:
        yield from _item(child, context)


def _is_mention(item: Item, text: str, state: Verdict | None, context: _Context) -> bool:  # noqa: PLR0911 - as above
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
    if state in _BAD:
        return True
    if severity_in(text, is_free=True) and _SEVERITY_TAG.search(without_signs(text)):
        return True
    return has_strong_problem(text) and not item.text.rstrip().endswith(":")


_SEVERITY_TAG: Final = re.compile(r"^[\[(]?\w+(?: \w+)?(?:[\])]|\s[–—-]|:)|[\[(]\w+(?: \w+)?[\])]\s*\.?$")


def _item_state(item: Item, text: str, context: _Context) -> Verdict | None:  # noqa: C901, PLR0911, PLR0912 - as above
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
        if found in _BAD and not label_of(label):
            return found
    return context.status


_TAIL: Final = re.compile(r"[\[(]([^\[\]()]{2,30})[\])]\s*\.?$|\s[–—-]+\s([^–—]{2,24})$")


def _tail(text: str) -> str:
    found = _TAIL.search(without_signs(text))
    return next((part for part in found.groups() if part), "") if found else ""


def _is_group(item: Item, text: str, context: _Context) -> bool:  # noqa: C901, PLR0911 - one case after another
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


def _of_group(item: Item, text: str, context: _Context) -> _Context:
    role = role_of(text) if is_role_only(text) else None
    return replace(
        context,
        role=role or context.role,
        severity=_heading_severity(text) or context.severity,
        status=Verdict.DONE if role is Role.FIXED else context.status,
        heading=without_signs(text).rstrip(":"),
        container=item.line,
    )


def _table(section: Section, table: Table, context: _Context) -> Iterator[Mention]:
    if context.role is Role.NOISE:
        return
    rows = rows_of(table, context.role)
    if rows is None:
        # rows that say nothing of themselves: what is wrong is what the heading says of all of them
        title = plain(section.title)
        if context.role is Role.FINDINGS and sign_of(title) is Verdict.OPEN and not is_role_only(title):
            yield Mention(
                title=_short(without_signs(without_number(title)).rstrip(":")),
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
            title=_short(row.title),
            line=row.line,
            container=context.container,
            role=context.role,
            about=row.about,
            identifier=row.identifier,
            number=_number_of(row.about),
            status=row.status if row.status is not None else context.status,
            severity=row.severity or context.severity,
            priority=row.priority,
            location=row.location,
            hours=row.hours,
            context=context.heading,
            lines=[row.line],
        )


def _mention(  # noqa: PLR0913 - one case after another
    text: str,
    line: int,
    context: _Context,
    raw: str,
    *,
    status: Verdict | None = None,
    item: Item | None = None,
) -> Mention:
    """Make a mention out of an entry or paragraph."""
    bare = without_number(plain(text))
    identifier, named = id_of(bare)
    severity, priority, location, hours = severity_in(bare, is_free=True), None, path_in(raw), hours_in(bare)
    lines = [line]
    about = plain(raw)
    for child in item.children if item is not None else ():
        label, value = label_and_value(child.text)
        lines.append(child.line)
        about = f"{about}\n{plain(child.text)}"
        if label is Label.SEVERITY:
            severity = severity_in(plain(value)) or severity
        elif label is Label.PRIORITY:
            priority = severity_in(plain(value)) or priority
        elif label is Label.LOCATION:
            location = location or path_in(child.text) or plain(value)
        elif label is Label.EFFORT:
            hours = hours_in(value)
    title = _lead(named or bare, raw)
    if context.is_good_unit or (context.role is Role.GOOD and context.heading):
        title = f"{context.heading}: {title}"
    return Mention(
        title=_short(title),
        is_property=context.is_good_unit,
        is_guessed=context.is_guessed,
        parts=tuple(path_in(child.text) for child in item.children) if item is not None else (),
        line=line,
        container=context.container,
        role=context.role,
        about=about,
        identifier=identifier,
        status=status if status is not None else context.status,
        severity=severity or context.severity,
        priority=priority,
        location=location,
        hours=hours,
        context=context.heading,
        lines=lines,
    )


_LEAD: Final = re.compile(
    r"^(?:\d+[.)]\s*)?[^\w*_`]{0,4}(?:\*\*|__)(.{3,120}?)(?:\*\*|__)\s*(?:[:–—-]\s*)?(.*)$"
)


def _lead(bare: str, raw: str) -> str:
    """Choose the words that name it: bold ones at its beginning, else its first sentence."""
    text = without_signs(without_lead_state(bare))
    found = _LEAD.match(raw.strip())
    if found:
        lead = without_signs(without_number(plain(found[1]))).strip(" :.-–—")
        rest = without_signs(plain(found[2]))
        is_telling = len(lead.split()) > 1 or not rest
        if (
            is_telling
            and not is_role_only(lead)
            and label_of(lead) is None
            and status_of(lead) is not Verdict.DONE
        ):
            _, named = id_of(lead)
            lead = named or lead
            return lead if len(lead.split()) > 2 or not rest else f"{lead}: {rest}"  # noqa: PLR2004 - too short alone
    text = _NEXT.sub("", text) if ":" in text[:14] else text
    text = re.sub(r"^[\[(][^\[\]()]{2,20}[\])]\s*[:–—-]?\s*", "", text) or text
    head, colon, rest = text.partition(":")
    if (
        colon
        and rest.strip()
        and (severity_in(head) or status_of(head) or label_of(head))
        and len(head.split()) < 3  # noqa: PLR2004 - a count of words or entries, said beside it
    ):
        text = rest.strip()
    return _SENTENCE.split(text.strip())[0].rstrip(".:")


def _short(title: str) -> str:
    title = " ".join(title.split()).strip(" -–—:|*_")
    return title if len(title) <= _TITLE else title[: _TITLE - 1].rstrip() + "…"


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


def _number_of(title: str) -> str:
    found = _CRITERION.match(title)
    return found[1] if found else ""


def _items_of(section: Section) -> list[Item]:
    return [item for block in section.blocks if isinstance(block, Listing) for item in block.items]


def _is_list_only(section: Section) -> bool:
    return bool(section.blocks) and all(isinstance(block, Listing) for block in section.blocks)


def _is_table_only(section: Section) -> bool:
    tables = [block for block in section.blocks if isinstance(block, Table)]
    return bool(tables) and not all(is_pair_table(table) for table in tables)


def _has_prose(section: Section) -> bool:
    return any(isinstance(block, Paragraph) for block in section.all_blocks) or not section.blocks
