"""What is said of the steps follows from what was planted and from what is so now, and from nothing else."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.post_audit.demonstration.verdict import COLUMNS, Answer, Found, Line, judge

AS_OF = datetime(2025, 11, 12, 12, 30, tzinfo=UTC)
STEPS = frozenset({"conversions", "infrastructure", "fake_data", "bugs", "live_fomo"})


def label(  # noqa: PLR0917 - as they stand in a row
    kind: str,
    subject: str,
    truth: str,
    now: str | None = None,
    waiting: str | None = None,
    detail: str = "planted",
) -> Found:
    return Found(kind=kind, subject=subject, truth=truth, now=now, waiting=waiting, detail=detail)


def line(
    step: str,
    *labels: Found,
    unplanted: tuple[Found, ...] = (),
    decided: frozenset[str] = STEPS,
) -> Line:
    verdict = judge(Answer(as_of=AS_OF, decided=decided, suppliers=1_000, labels=labels, unplanted=unplanted))
    return next(one for one in verdict.lines if one.step == step)


def numbers(one: Line) -> tuple[int, int, int, int, int, int]:
    return one.planted, one.settled, one.waiting, one.listed, one.missed, one.wrong


@pytest.mark.parametrize(
    ("now", "waiting", "expected", "said"),
    [
        ("b", None, (1, 1, 0, 0, 0, 0), "switched to b"),
        (None, "b", (1, 0, 1, 0, 0, 0), "b waits for you"),
        (None, None, (1, 0, 0, 0, 1, 0), "nothing"),
        ("a", None, (1, 0, 0, 0, 1, 1), "nothing"),
    ],
)
def test_a_switch_is_right_waiting_missed_or_wrong(
    now: str | None, waiting: str | None, expected: tuple[int, ...], said: str
) -> None:
    found = line("conversions", label("experiment", "experiment:1", "b", now, waiting))
    assert numbers(found) == expected
    assert found.words[1] == said


def test_a_wrong_switch_is_named() -> None:
    found = line("conversions", label("experiment", "experiment:1", "b", "a"))
    assert found.words[2] == "switched to a"


def test_a_raise_where_there_was_enough_is_wrong() -> None:
    found = line(
        "infrastructure",
        label("capacity", "capacity:sms", "short", "same", "raised"),
        label("capacity", "capacity:whatsapp", "enough", "raised"),
    )
    assert numbers(found) == (1, 0, 1, 0, 0, 1)
    assert found.words[1:] == ("a raise of SMS waits for you", "WhatsApp raised")


def test_a_channel_that_stays_short_is_missed() -> None:
    found = line("infrastructure", label("capacity", "capacity:sms", "short", "same"))
    assert numbers(found) == (1, 0, 0, 0, 1, 0)


def test_suppliers_are_counted_by_what_became_of_them() -> None:
    labels = (
        label("supplier", "supplier:1", "fake", "quarantined"),
        label("supplier", "supplier:2", "fake", "kept", "quarantined"),
        label("supplier", "supplier:3", "fake", "review"),
        label("supplier", "supplier:4", "fake", "kept"),
        label("supplier", "supplier:5", "fake"),
        label("supplier", "supplier:6", "real", "review", detail="looks invented"),
    )
    found = line("fake_data", *labels, unplanted=(label("supplier", "supplier:9", "", "review"),))
    assert numbers(found) == (5, 1, 1, 1, 2, 0)
    assert found.words[1] == "1 quarantined, 1 waits for you, 1 to look at"
    assert found.words[2] == "0 real ones; 2 real ones to look at"


@pytest.mark.parametrize(("now", "waiting"), [("quarantined", None), ("kept", "quarantined")])
def test_a_real_supplier_that_is_taken_is_wrong_whether_planted_or_not(now: str, waiting: str | None) -> None:
    look_alike = label("supplier", "supplier:6", "real", now, waiting)
    other = Found(kind="supplier", subject="supplier:9", now=now, waiting=waiting)
    assert line("fake_data", look_alike).wrong == 1
    assert line("fake_data", unplanted=(other,)).wrong == 1


def test_kinds_are_told_one_by_one_the_invented_first() -> None:
    answer = Answer(
        as_of=AS_OF,
        decided=STEPS,
        suppliers=10,
        labels=(
            label("supplier", "supplier:1", "real", "kept", detail="looks invented"),
            label("supplier", "supplier:2", "fake", "kept", detail="rare"),
            label("supplier", "supplier:3", "fake", "quarantined", detail="frequent"),
            label("supplier", "supplier:4", "fake", "review", detail="frequent"),
        ),
        unplanted=(),
    )
    kinds = judge(answer).suppliers
    assert [(kind.truth, kind.detail) for kind in kinds] == [
        ("fake", "frequent"),
        ("fake", "rare"),
        ("real", "looks invented"),
    ]
    assert (kinds[0].planted, kinds[0].quarantined, kinds[0].listed, kinds[0].kept) == (2, 1, 1, 0)


def test_repeats_count_wherever_their_group_went() -> None:
    labels = (
        label("bug", "bug:2", "bug:1", "bug:1"),
        # the group went into its second: a person has that one in hand
        label("bug", "bug:4", "bug:3"),
        label("bug", "bug:5", "bug:3", "bug:4"),
        label("worst_bug", "bug:1", "worst", "worst"),
    )
    first = Found(kind="bug", subject="bug:3", now="bug:4", waiting=None)
    found = line("bugs", *labels, unplanted=(first,))
    assert numbers(found) == (4, 3, 0, 0, 1, 0)
    assert found.words[1] == "2 merged, bug 1 is the first"


def test_a_merge_into_another_bug_is_wrong_planted_or_not() -> None:
    planted = label("bug", "bug:2", "bug:1", "bug:7")
    other = Found(kind="bug", subject="bug:8", now=None, waiting="bug:9")
    found = line("bugs", planted, unplanted=(other,))
    assert numbers(found) == (1, 0, 0, 0, 1, 2)
    assert found.words[2] == "2 merged into another bug"


def test_another_bug_in_the_first_place_is_a_miss() -> None:
    found = line(
        "bugs",
        label("worst_bug", "bug:1", "worst"),
        unplanted=(Found(kind="worst_bug", subject="bug:3", now="worst", waiting=None),),
    )
    assert numbers(found) == (1, 0, 0, 0, 1, 0)
    assert found.words[1] == "bug 3 is the first"


def test_merges_may_wait() -> None:
    found = line("bugs", label("bug", "bug:2", "bug:1", None, "bug:1"))
    assert numbers(found) == (1, 0, 1, 0, 0, 0)


def test_false_numbers_are_right_waiting_or_still_false() -> None:
    found = line(
        "live_fomo",
        label("leaderboard", "leaderboard:u1", "100", "true"),
        label("leaderboard", "leaderboard:u2", "200", "false", "true"),
        label("counter", "counter:airdrop_paise", "300", "false"),
        unplanted=(Found(kind="leaderboard", subject="leaderboard:u3", now="false", waiting=None),),
    )
    assert numbers(found) == (3, 1, 1, 0, 1, 1)
    assert found.words[2] == "not true besides: 1"


def test_a_repair_to_a_false_number_is_wrong() -> None:
    found = line("live_fomo", label("leaderboard", "leaderboard:u1", "100", "false", "false"))
    assert numbers(found) == (1, 0, 0, 0, 1, 1)


def test_a_step_that_has_not_run_is_not_judged() -> None:
    answer = Answer(as_of=AS_OF, decided=frozenset({"bugs"}), suppliers=0, labels=(), unplanted=())
    rows = judge(answer).rows()
    assert all(len(row) == len(COLUMNS) for row in rows)
    said = {row[0]: row[2] for row in rows}
    assert said == dict.fromkeys(
        ("Conversions", "Capacity", "Fake data", "Live counters"), "has not run yet"
    ) | {"Bugs": "nothing"}
