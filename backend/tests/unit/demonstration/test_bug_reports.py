"""Repeats are the same bug by its fingerprint; what is said in other words is not, and one title may be two bugs."""

from __future__ import annotations

from app.post_audit.demonstration.bug_reports import make_bug_reports
from app.post_audit.demonstration.market import Market
from app.post_audit.demonstration.tables import Table
from app.post_audit.steps.bugs.fingerprint import fingerprint


def marks(bugs: Table) -> dict[str, str]:
    """Return the fingerprint of each bug by its subject."""

    def text(row: tuple[object, ...], name: str) -> str | None:
        value = row[bugs.columns.index(name)]
        return None if value is None else str(value)

    return {
        f"bug:{row[0]}": fingerprint(
            title=str(text(row, "title")),
            page=text(row, "page"),
            error_code=text(row, "error_code"),
            description=text(row, "description"),
        )
        for row in bugs.rows
    }


def test_repeats_have_the_fingerprint_of_the_first_and_others_do_not(market: Market) -> None:
    found = marks(market.table("public.bugs"))
    repeats = [label for label in market.labels if label.kind == "bug"]
    again = [label for label in repeats if label.detail == "the same report again"]
    reworded = [label for label in repeats if label.detail == "the same in other words"]
    assert len(again) >= 15
    assert len(reworded) >= 3
    assert all(found[label.subject] == found[label.truth] for label in again)
    assert all(found[label.subject] != found[label.truth] for label in reworded)
    first = {mark for subject, mark in found.items() if subject not in {label.subject for label in again}}
    assert len(first) == len(found) - len(again)


def test_a_repeat_comes_after_the_first(market: Market) -> None:
    for label in market.labels:
        if label.kind == "bug":
            assert int(label.subject.partition(":")[2]) > int(label.truth.partition(":")[2])


def test_one_title_may_be_two_bugs(market: Market) -> None:
    bugs = market.table("public.bugs")
    found = marks(bugs)
    same = [f"bug:{row[0]}" for row in bugs.rows if row[1] == "Button does not work"]
    assert len(same) == 2
    assert found[same[0]] != found[same[1]]


def test_reports_belong_to_bugs_and_name_their_fingerprint(market: Market) -> None:
    bugs, reports = market.table("public.bugs"), market.table("post_audit.bug_reports")
    found = marks(bugs)
    for bug, mark in zip(reports.column("bug_id"), reports.column("fingerprint"), strict=True):
        assert found[f"bug:{bug}"] == mark


def test_the_worst_is_critical_and_most_reported(market: Market) -> None:
    worst = next(label for label in market.labels if label.kind == "worst_bug").subject.partition(":")[2]
    bugs, reports = market.table("public.bugs"), market.table("post_audit.bug_reports")
    severity = {str(row[0]): row[bugs.columns.index("severity")] for row in bugs.rows}
    said = reports.column("bug_id")
    assert severity[worst] == "critical"
    assert max(set(said), key=said.count) == worst


def test_people_write_in_english_and_in_hindi(market: Market) -> None:
    titles = " ".join(str(title) for title in market.table("public.bugs").column("title"))
    assert "Wallet shows" in titles
    assert "paise nahi aaye" in titles


def test_one_seed_writes_the_same() -> None:
    assert make_bug_reports(11) == make_bug_reports(11)
