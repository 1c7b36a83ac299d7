"""How the steps did on the demonstration: what was planted, what they found, missed, and wrongly took.

Computed from what stands in the database now, never from what was expected. Steps that only propose are
judged by what they propose, and it is said that it waits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from app.post_audit.formats import count
from app.post_audit.ports import Database
from app.post_audit.step import parse_facts

__all__ = ["COLUMNS", "Answer", "Found", "Kind", "Line", "Verdict", "confusion", "judge"]

COLUMNS: Final = ("step", "planted", "found", "missed", "wrongly taken")
"""The headings of `Verdict.rows`."""

_CHANNELS: Final[Mapping[str, str]] = {"capacity:sms": "SMS", "capacity:whatsapp": "WhatsApp"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One subject: what is so now and what is proposed to a person; `truth` and `detail` where it was planted."""

    kind: str
    subject: str
    now: str | None
    waiting: str | None
    truth: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the database says: `suppliers` counts those in quarantine too, `decided` names the steps that ran."""

    as_of: datetime
    decided: frozenset[str]
    suppliers: int
    labels: tuple[Found, ...]
    unplanted: tuple[Found, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One step on what was planted for it.

    Of `planted` things `settled` were acted on, `waiting` are proposed to a person, `listed` are named for a
    person to look at, and `missed` were not found. `wrong` counts what was taken or proposed and is real.
    """

    step: str
    title: str
    has_run: bool
    planted: int
    settled: int
    waiting: int
    listed: int
    missed: int
    wrong: int
    words: tuple[str, str, str]
    """What was planted, what was found, and what was wrongly taken, each for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of suppliers, and what became of them."""

    truth: str
    detail: str
    planted: int
    quarantined: int
    waiting: int
    listed: int
    kept: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """All lines, and the suppliers kind by kind."""

    as_of: datetime
    lines: tuple[Line, ...]
    suppliers: tuple[Kind, ...]

    def rows(self) -> tuple[tuple[str, ...], ...]:
        """Give the lines for printing, under `COLUMNS`."""
        return tuple(
            (line.title, line.words[0], line.words[1], count(line.missed), line.words[2])
            if line.has_run
            else (line.title, line.words[0], "has not run yet", "", "")
            for line in self.lines
        )


def confusion(database: Database) -> Verdict:
    """Compare what was planted with what is so now.

    Raises `NotFound` on a live marketplace.
    """
    return judge(parse_facts(Answer, database.call("post_audit_read_demonstration_verdict")))


def judge(answer: Answer) -> Verdict:
    """Judge every step that something was planted for."""
    kinds = _kinds(answer)
    return Verdict(
        as_of=answer.as_of,
        lines=(
            _experiment(answer),
            _capacity(answer),
            _suppliers(answer, kinds),
            _bugs(answer),
            _counters(answer),
        ),
        suppliers=kinds,
    )


def _of(found: Sequence[Found], *kinds: str) -> list[Found]:
    return [one for one in found if one.kind in kinds]


def _experiment(answer: Answer) -> Line:
    """A switch to another variant than the better one is wrong, none at all is a miss."""
    planted = _of(answer.labels, "experiment")
    settled = [one for one in planted if one.now == one.truth]
    waiting = [one for one in planted if one.now != one.truth and one.waiting == one.truth]
    others = [
        one
        for one in (*planted, *_of(answer.unplanted, "experiment"))
        if {one.now, one.waiting} - {None, one.truth}
    ]
    return Line(
        step="conversions",
        title="Conversions",
        has_run="conversions" in answer.decided,
        planted=len(planted),
        settled=len(settled),
        waiting=len(waiting),
        listed=0,
        missed=len(planted) - len(settled) - len(waiting),
        wrong=len(others),
        words=(
            "; ".join(f"{one.truth} is better ({one.detail})" for one in planted),
            _parts(
                (f"switched to {one.truth}" for one in settled),
                (f"{one.truth} waits for you" for one in waiting),
            ),
            "; ".join(f"switched to {one.waiting or one.now}" for one in others) or "nothing",
        ),
    )


def _capacity(answer: Answer) -> Line:
    """A channel that is short should be raised, one that has enough should not."""
    planted = _of(answer.labels, "capacity")
    short = [one for one in planted if one.truth == "short"]
    settled = [one for one in short if one.now == "raised"]
    waiting = [one for one in short if one.now != "raised" and one.waiting == "raised"]
    wrong = [
        one
        for one in (*planted, *_of(answer.unplanted, "capacity"))
        if one.truth != "short" and "raised" in {one.now, one.waiting}
    ]
    return Line(
        step="infrastructure",
        title="Capacity",
        has_run="infrastructure" in answer.decided,
        planted=len(short),
        settled=len(settled),
        waiting=len(waiting),
        listed=0,
        missed=len(short) - len(settled) - len(waiting),
        wrong=len(wrong),
        words=(
            "; ".join(f"{_name(one)} {one.truth} ({one.detail})" for one in planted),
            _parts(
                (f"{_name(one)} raised" for one in settled),
                (f"a raise of {_name(one)} waits for you" for one in waiting),
            ),
            "; ".join(f"{_name(one)} raised" for one in wrong) or "nothing",
        ),
    )


def _kinds(answer: Answer) -> tuple[Kind, ...]:
    """Count the planted suppliers by kind, the invented ones first, the most frequent kind first."""
    groups: dict[tuple[str, str], Counter[str]] = {}
    for one in _of(answer.labels, "supplier"):
        groups.setdefault((one.truth, one.detail), Counter())[_fate(one)] += 1
    kinds = [
        Kind(
            truth=truth,
            detail=detail,
            planted=fates.total(),
            quarantined=fates["quarantined"],
            waiting=fates["waiting"],
            listed=fates["review"],
            kept=fates["kept"],
        )
        for (truth, detail), fates in groups.items()
    ]
    return tuple(sorted(kinds, key=lambda kind: (kind.truth, -kind.planted, kind.detail)))


def _fate(one: Found) -> str:
    if one.now == "quarantined":
        return "quarantined"
    return "waiting" if one.waiting == "quarantined" else (one.now or "kept")


def _suppliers(answer: Answer, kinds: Sequence[Kind]) -> Line:
    """Quarantine of a real supplier is the worst error; a look at one is none."""
    fakes = [kind for kind in kinds if kind.truth == "fake"]
    planted, quarantined = sum(kind.planted for kind in fakes), sum(kind.quarantined for kind in fakes)
    waiting, listed = sum(kind.waiting for kind in fakes), sum(kind.listed for kind in fakes)
    real = [
        *(one for one in _of(answer.labels, "supplier") if one.truth == "real"),
        *_of(answer.unplanted, "supplier"),
    ]
    wrong = sum(_fate(one) in {"quarantined", "waiting"} for one in real)
    looked_at = sum(_fate(one) == "review" for one in real)
    return Line(
        step="fake_data",
        title="Fake data",
        has_run="fake_data" in answer.decided,
        planted=planted,
        settled=quarantined,
        waiting=waiting,
        listed=listed,
        missed=planted - quarantined - waiting - listed,
        wrong=wrong,
        words=(
            f"{count(planted)} invented among {count(answer.suppliers)} suppliers",
            _parts(
                (f"{count(quarantined)} quarantined",) if quarantined else (),
                (f"{_wait(waiting)} for you",) if waiting else (),
                (f"{count(listed)} to look at",) if listed else (),
            ),
            f"{count(wrong)} real ones; {count(looked_at)} real ones to look at",
        ),
    )


def _bugs(answer: Answer) -> Line:
    """Repeats are merged into the right bug or not; and one bug ought to be the first."""
    planted = _of(answer.labels, "bug")
    original = {one.subject: one.truth for one in planted}
    worst = _of(answer.labels, "worst_bug")
    named = [one for one in (*worst, *_of(answer.unplanted, "worst_bug")) if one.now is not None]

    def is_right(one: Found, into: str | None) -> bool:
        # Which of several equal ones the others go into does not matter.
        return into is not None and original.get(into, into) == one.truth

    settled = [one for one in planted if is_right(one, one.now)]
    waiting = [one for one in planted if one.now is None and is_right(one, one.waiting)]
    touched = [*planted, *_of(answer.unplanted, "bug")]
    wrong = [
        one
        for one in touched
        if (into := one.now or one.waiting) is not None
        and original.get(into, into) != original.get(one.subject, one.subject)
    ]
    first = worst[0].subject.replace(":", " ") if worst else "none"
    reworded = sum(one.detail == "the same in other words" for one in planted)
    is_first = any(one.now is not None for one in worst)
    return Line(
        step="bugs",
        title="Bugs",
        has_run="bugs" in answer.decided,
        planted=len(planted) + len(worst),
        settled=len(settled) + is_first,
        waiting=len(waiting),
        listed=0,
        missed=len(planted) + len(worst) - len(settled) - len(waiting) - is_first,
        wrong=len(wrong),
        words=(
            f"{count(len(planted))} repeats, {count(reworded)} of them in other words; {first} is the worst",
            _parts(
                (f"{count(len(settled))} merged",) if settled else (),
                (f"{_wait(len(waiting))} for you",) if waiting else (),
                (f"{one.subject.replace(':', ' ')} is the first" for one in named),
            ),
            f"{count(len(wrong))} merged into another bug" if wrong else "nothing",
        ),
    )


def _counters(answer: Answer) -> Line:
    """A planted error is gone when the number is what the ledger says now; any other false number is wrong."""
    planted = _of(answer.labels, "leaderboard", "counter")
    settled = [one for one in planted if one.now == "true"]
    waiting = [one for one in planted if one.now != "true" and one.waiting == "true"]
    wrong = [
        one
        for one in (*planted, *_of(answer.unplanted, "leaderboard", "counter"))
        if one.waiting == "false" or (not one.truth and one.now == "false" and one.waiting is None)
    ]
    return Line(
        step="live_fomo",
        title="Live counters",
        has_run="live_fomo" in answer.decided,
        planted=len(planted),
        settled=len(settled),
        waiting=len(waiting),
        listed=0,
        missed=len(planted) - len(settled) - len(waiting),
        wrong=len(wrong),
        words=(
            f"{count(len(planted))} false numbers",
            _parts(
                (f"{count(len(settled))} set right",) if settled else (),
                (f"{_wait(len(waiting))} for you",) if waiting else (),
            ),
            f"not true besides: {count(len(wrong))}" if wrong else "nothing",
        ),
    )


def _name(one: Found) -> str:
    return _CHANNELS.get(one.subject, one.subject)


def _wait(number: int) -> str:
    return f"{count(number)} {'waits' if number == 1 else 'wait'}"


def _parts(*groups: Iterable[str]) -> str:
    return ", ".join(text for group in groups for text in group) or "nothing"
