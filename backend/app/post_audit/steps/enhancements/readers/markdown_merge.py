"""Mentions of the same finding put together: a summary, a table and a plan of action may all tell of it.

Two mentions are one finding when their ids agree, when their titles say nearly the same, or when one of them (an
action, an entry of a later list) is covered by what is known of the other. Never are two entries of one list or table
the same, nor two that point at different places.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from app.post_audit.steps.enhancements.fingerprint import normal_words
from app.post_audit.steps.enhancements.readers.markdown_mention import Mention
from app.post_audit.steps.enhancements.readers.markdown_repeats import Findings
from app.post_audit.steps.enhancements.readers.markdown_roles import Role
from app.post_audit.steps.enhancements.readers.markdown_stems import core_of, tokens_of
from app.post_audit.steps.enhancements.readers.markdown_verdicts import Verdict
from app.post_audit.steps.enhancements.readers.markdown_words import is_action

__all__ = ["Group", "grouped"]

_PARTS: Final = re.compile(r"\s*(?:,|;|/|&|\+|\band\b|\bund\b|\by\b|\bet\b|\be\b|\ben\b|और)\s*")
_CODE: Final = re.compile(r"[A-Z][A-Z0-9-]*-\d+")
_BRACKETS: Final = re.compile(r"\([^)]*\)")
_ENOUGH: Final = 0.75
_HALF: Final = 0.5
_MOST: Final = 0.6
_NEARLY: Final = 0.85
"""All telling words of the shorter title."""


@dataclass(slots=True, kw_only=True)
class Group:
    """All mentions of one finding, the first in the text first."""

    mentions: list[Mention]
    keys: list[frozenset[str]] = field(default_factory=list)
    """The telling words of each mention's title."""
    known: set[str] = field(default_factory=set)
    """All telling words that any mention uses, of its heading and place too."""

    def add(self, mention: Mention) -> None:
        """Take a mention in."""
        self.mentions.append(mention)
        self._learn(mention)

    def _learn(self, mention: Mention) -> None:
        self.keys.append(tokens_of(mention.title))
        self.known |= tokens_of(
            f"{mention.title} {mention.context} {mention.location.replace('/', ' ')} {mention.about[:600]}"
        )

    @classmethod
    def of(cls, mention: Mention) -> Group:
        """Begin with one mention."""
        group = cls(mentions=[])
        group.add(mention)
        return group

    @property
    def first(self) -> Mention:
        """The mention that stands for all: the first that is sure and no plan."""
        told = [mention for mention in self.mentions if mention.role is not Role.ACTIONS] or self.mentions
        return next((mention for mention in told if not mention.is_property), told[0])

    @property
    def status(self) -> Verdict:
        """The state: done where any mention says so outright, else partial, else open."""
        said = [mention.status for mention in self.mentions if mention.status is not None]
        for verdict in (Verdict.DONE, Verdict.PARTIAL):
            if verdict in said:
                return verdict
        return Verdict.OPEN

    @property
    def is_action(self) -> bool:
        """Whether nothing but actions tell of it."""
        return all(mention.role is Role.ACTIONS and not mention.identifier for mention in self.mentions)

    @property
    def body(self) -> str:
        """All that is said of it."""
        return "\n".join(f"{m.title} {m.context} {m.location} {m.about}" for m in self.mentions)

    @property
    def location(self) -> str:
        """The place of the first mention that has one."""
        return next((mention.location for mention in self.mentions if mention.location), "")


def grouped(mentions: Sequence[Mention]) -> list[Group]:
    """Put mentions together, in the order of the text."""
    repeating = _repeating(mentions)
    groups: list[Group] = []
    by_identifier: dict[str, Group] = {}
    by_title: dict[tuple[str, str], Group] = {}
    for mention in mentions:
        group = by_identifier.get(mention.identifier) if mention.identifier else None
        exact = normal_words(mention.title), mention.location
        if group is None:
            group = by_title.get(exact) if not _is_elsewhere(by_title.get(exact), mention) else None
        if group is None:
            group = _match(mention, groups)
        is_settled = mention.role is Role.ACTIONS and mention.status is Verdict.DONE
        if (
            group is None
            and groups
            and not is_settled
            and (repeating[mention.container] or mention.role in {Role.ACTIONS, Role.FIXED})
        ):
            group = _covered(mention, groups)
        if group is None:
            group = Group.of(mention)
            groups.append(group)
        else:
            group.add(mention)
        if mention.identifier:
            by_identifier.setdefault(mention.identifier, group)
        by_title.setdefault(exact, group)
    return _without_repeats(_joined(groups))


def _without_repeats(groups: list[Group]) -> list[Group]:
    """Put actions that repeat a finding in other words to the finding."""
    findings = [group for group in groups if not group.is_action]
    # of a row, the name before what is wrong is known too: "Rollback | Takes 50 minutes by hand"
    titles = [f"{group.first.title} {group.first.about.partition(chr(10))[0][:60]}" for group in findings]
    bodies = [group.body for group in findings]
    known = Findings(titles, bodies)
    plans = Counter(m.container for group in groups for m in group.mentions if m.role is Role.ACTIONS)
    repeats = Counter(m.container for group in findings for m in group.mentions if m.role is Role.ACTIONS)
    waiting = [group for group in groups if group.is_action]
    for is_loose in (False, True):
        left = []
        for group in waiting:
            plan = group.first.container
            is_loose_plan = is_loose and repeats[plan] * 2 >= plans[plan]
            place = known.repeated(_BRACKETS.sub(" ", group.first.title), is_loose=is_loose_plan)
            if place is None or plan == findings[place].mentions[0].container:
                left.append(group)
                continue
            repeats[plan] += 1
            for mention in group.mentions:
                findings[place].add(mention)
        waiting = left
    result = [*findings, *waiting]
    return sorted(result, key=lambda group: group.mentions[0].line)


def _repeating(mentions: Sequence[Mention]) -> dict[int, bool]:
    """Tell which lists and tables mostly repeat what stood before: half of their entries, and at least two."""
    before: list[Mention] = []
    counts: dict[int, list[bool]] = {}
    for mention in mentions:
        words = tokens_of(mention.title)
        known = any(
            other.container != mention.container
            and not words.isdisjoint(tokens_of(other.title))
            and _likeness(words, tokens_of(other.title)) > 0
            and _may_be_same(mention, other)
            for other in before
        )
        counts.setdefault(mention.container, []).append(known)
        before.append(mention)
    return {container: sum(known) > 1 and sum(known) * 2 >= len(known) for container, known in counts.items()}


def _is_elsewhere(group: Group | None, mention: Mention) -> bool:
    """Whether the same words in another section speak of another thing: both sections are about findings."""
    if group is None or not mention.identifier:
        return False
    known = {m.identifier for m in group.mentions if m.identifier}
    return bool(known) and mention.identifier not in known


def _may_be(mention: Mention, group: Group) -> bool:
    return all(_may_be_same(mention, other) for other in group.mentions)


def _may_be_same(mention: Mention, other: Mention) -> bool:
    if other.container == mention.container and normal_words(other.title) != normal_words(mention.title):
        return False
    if other.identifier and mention.identifier and other.identifier != mention.identifier:
        return False
    if (other.is_property and mention.is_property) and other.context != mention.context:
        return False
    return not (other.location and mention.location) or _same_place(other.location, mention.location)


def _same_place(one: str, other: str) -> bool:
    one, other = one.strip("./ ").casefold(), other.strip("./ ").casefold()
    return (
        one == other
        or one.endswith("/" + other)
        or other.endswith("/" + one)
        or one.split(":")[0] == other.split(":")[0]
    )


def _match(mention: Mention, groups: Sequence[Group]) -> Group | None:
    """Find the group whose titles say nearly the same; the closest, of equals the first."""
    words = tokens_of(mention.title)
    if mention.number:
        same = [group for group in groups if any(m.number == mention.number for m in group.mentions)]
        if len(same) == 1 and _may_be(mention, same[0]):
            return same[0]
    best, closest = 0.0, None
    place = mention.location and mention.title.startswith(mention.location)
    for group in groups:
        if (
            place
            and group.location
            and _same_place(group.location, mention.location)
            and _may_be(mention, group)
        ):
            return group
        if words.isdisjoint(group.known):
            continue
        near = max(_likeness(words, key) for key in group.keys)
        if near > best and _may_be(mention, group):
            best, closest = near, group
    return closest


def _likeness(one: frozenset[str], other: frozenset[str]) -> float:
    """How nearly two titles say the same, from 0 (not) to 1 (the same words)."""
    if one == other and one:
        return 1.0
    is_part = one <= other or other <= one
    one, other = core_of(one), core_of(other)
    if not one or not other:
        return 0.0
    shared = len(one & other)
    if one == other:
        return 0.95 if is_part or len(one) > 1 else 0.0
    smaller, larger = min(len(one), len(other)), max(len(one), len(other))
    if smaller == 1:
        return 0.8 if shared and larger <= 2 else 0.0  # noqa: PLR2004 - "Pricing" and "Pricing policy"
    share = shared / smaller
    if shared >= 2 and (share >= _ENOUGH or shared / len(one | other) > _HALF) and larger <= smaller * 4:  # noqa: PLR2004 - two words are no chance
        return share * 0.9
    return 0.0


def _covered(mention: Mention, groups: Sequence[Group]) -> Group | None:  # noqa: C901, PLR0911 - one case after another
    """Find a group that an action or fix only repeats: every part of it is known already."""
    bare = _BRACKETS.sub(" ", mention.title)
    known = [group for group in groups if group.mentions[0].container != mention.container]
    if not known:
        return None
    named = next(
        (g for g in known for m in g.mentions if _CODE.fullmatch(m.identifier) and m.identifier in bare), None
    )
    if named is not None:
        return named
    if mention.role is Role.ACTIONS:
        bare = _without_verb(bare)
    whole = core_of(tokens_of(bare))
    if not whole:
        return known[-1]
    if mention.role is Role.FIXED:
        near = max(known, key=lambda group: len(whole & group.known))
        shared = whole & near.known
        return near if len(shared) * 2 >= len(whole) or len(shared) > 1 else None
    head, colon, rest = bare.partition(":")
    if colon and rest.strip() and len(head.split()) < 4:  # noqa: PLR2004 - "Second step: ..."
        bare = rest
        whole = core_of(tokens_of(bare)) or whole
    found = None
    if len(mention.parts) > 1 and all(
        any(_same_place(place, m.location) for g in known for m in g.mentions if m.location)
        for place in mention.parts
    ):
        return next(
            g
            for g in known
            if any(m.location and _same_place(mention.parts[0], m.location) for m in g.mentions)
        )
    parts = [tokens for part in _PARTS.split(bare) if (tokens := tokens_of(part))]
    for tokens in parts if len(parts) > 1 else [tokens_of(bare) or whole]:
        group = next((group for group in known if _covers(group, tokens)), None)
        if group is None:
            break
        found = found or group
    else:
        return found
    if len(whole) > 1:
        return next((group for group in known if _covers(group, whole)), None)
    return None


def _without_verb(text: str) -> str:
    """Leave out the verb that an action begins with (or, in German and Hindi, ends with)."""
    words = text.split()
    if len(words) < 3:  # noqa: PLR2004 - nothing would be left to know it by
        return text
    if is_action(words[0]):
        return " ".join(words[1:])
    return " ".join(words[:-1]) if is_action(words[-1]) else text


def _covers(group: Group, full: frozenset[str]) -> bool:
    tokens = core_of(full)
    if any(len(key) > 1 and key <= full and len(full) <= len(key) * 3 for key in group.keys):
        return True
    if len(tokens) == 1:
        return any(tokens <= key and len(core_of(key)) <= 2 for key in group.keys) or tokens <= tokens_of(  # noqa: PLR2004 - a count of words or entries, said beside it
            group.first.context
        )
    if any(len(key) > 1 and key <= tokens and len(tokens) <= len(key) * 3 for key in group.keys):
        return True
    if len(tokens & group.known) >= max(2, len(tokens) * 0.8) and any(tokens & key for key in group.keys):
        return True
    return any(len(tokens & key) >= max(2, len(tokens) * _MOST) for key in group.keys)


def _joined(groups: list[Group]) -> list[Group]:
    """Join groups that a later mention showed to be one."""
    result: list[Group] = []
    for group in groups:
        near = next((other for other in result if _is_one(group, other)), None)
        if near is None:
            result.append(group)
        else:
            for mention in group.mentions:
                near.add(mention)
    return result


def _is_one(group: Group, other: Group) -> bool:
    if group.known.isdisjoint(other.known):
        return False
    near = max(_likeness(one, two) for one in group.keys for two in other.keys)
    return near >= _NEARLY and all(_may_be(mention, other) for mention in group.mentions)
