"""Reports come in, bugs are read, merged, scored, told of and taken apart: in a database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from app.post_audit.errors import BindingNeeded, InvalidArgument, NotFound, StateMoved
from app.post_audit.ports import Database
from app.post_audit.step import Decision, Outcome
from app.post_audit.steps.bugs import STEP, BugsFacts
from app.post_audit.steps.bugs.decide import decide
from app.post_audit.steps.bugs.facts import BugFacts, Reporter, Tier
from app.post_audit.steps.bugs.intake import BugReport, Receipt, prepare, report_bug
from tests.support import decisions, marketplace

pytestmark = pytest.mark.database

TITLE = "Wallet shows ₹0 after claim"


def report(database: Database, **fields: Any) -> Receipt:  # noqa: ANN401 - any field of a report
    return report_bug(
        database, BugReport(**({"title": TITLE, "page": "/wallet", "error_code": "E12"} | fields))
    )


def rows(connection: psycopg.Connection, table: str = "public.bugs") -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(f"SELECT * FROM {table} ORDER BY id").fetchall()  # noqa: S608 - a constant


def row(connection: psycopg.Connection, number: int) -> dict[str, Any]:
    return next(found for found in rows(connection) if found["id"] == number)


def written_by(connection: psycopg.Connection) -> dict[int, str]:
    """Which transaction wrote each row last."""
    return {
        int(number): str(xmin)
        for number, xmin in connection.execute("SELECT id, xmin::text FROM public.bugs")
    }


def insert(connection: psycopg.Connection, title: str = TITLE, *, days: float = 1, **fields: Any) -> int:  # noqa: ANN401
    """What the marketplace itself writes into the table, without asking anybody."""
    values = {
        "title": title,
        "page": "/wallet",
        "created_at": datetime.now(UTC) - timedelta(days=days),
    } | fields
    names = ", ".join(values)
    gaps = ", ".join(["%s"] * len(values))
    statement = f"INSERT INTO public.bugs ({names}) VALUES ({gaps}) RETURNING id"  # noqa: S608 - column names of this test
    found = connection.execute(statement.encode(), list(values.values())).fetchone()
    assert found is not None
    return int(found[0])


def gather(database: Database) -> BugsFacts:
    return STEP.gather(database, STEP.policy, datetime.now(UTC) + timedelta(seconds=1))


def only(database: Database) -> BugFacts:
    (found,) = gather(database).bugs
    return found


class Runs:
    """Runs the step, one tick after the other."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.ticks = 0

    def run(self, decision: Decision | None = None) -> dict[str, Any]:
        self.ticks += 1
        decided = decision or decide(gather(self.database), STEP.policy)
        return decisions.decide(self.database, decided, step="bugs", tick=str(self.ticks))

    def undo(self, decision: int, *subjects: str) -> dict[str, Any]:
        answer: Any = self.database.call(
            "post_audit_apply_undo",
            decision_id=decision,
            actor=decisions.ACTOR,
            subjects=list(subjects) or None,
        )
        return dict(answer["decision"])


@pytest.fixture
def runs(database: Database) -> Runs:
    decisions.arm(database, "bugs")
    return Runs(database)


# Reports


@pytest.mark.both_transports
def test_the_first_report_makes_a_bug_and_the_second_joins_it(
    database: Database, connection: psycopg.Connection
) -> None:
    first = report(
        database, reporter="u1", tier=Tier.PAYING, description="call 9876543210", app_version="4.2"
    )
    second = report(
        database, title="WALLET shows ₹500, after claim", page="https://x.example/wallet/?a=1", reporter="u2"
    )
    assert first == Receipt(
        report=first.report, bug=first.bug, already_known=False, reports=1, reopened=False, repeated=False
    )
    assert (second.bug, second.already_known, second.reports) == (first.bug, True, 2)
    (bug,) = rows(connection)
    assert (bug["title"], bug["description"], bug["status"]) == (TITLE, "call [phone]", "open")
    assert (bug["severity"], bug["impact"], bug["app_version"]) == ("medium", "paying_users", "4.2")
    stored = rows(connection, "post_audit.bug_reports")
    assert [(one["reporter"], one["tier"], one["created_bug"]) for one in stored] == [
        ("u1", "paying", True),
        ("u2", "other", False),
    ]
    assert stored[1]["title"] == "WALLET shows ₹500, after claim"


def test_another_page_code_or_title_is_another_bug(database: Database) -> None:
    bugs = {
        report(database).bug,
        report(database, page="/claims").bug,
        report(database, error_code="E13").bug,
        report(database, title="Wallet is slow").bug,
    }
    assert len(bugs) == 4


def test_reports_of_one_bug_at_one_moment_make_one_bug_and_none_is_lost(
    database: Database, connection: psycopg.Connection
) -> None:
    with ThreadPoolExecutor(8) as pool:
        receipts = list(pool.map(lambda number: report(database, reporter=f"u{number}"), range(40)))
    assert len({receipt.bug for receipt in receipts}) == 1
    assert sum(not receipt.already_known for receipt in receipts) == 1
    assert sorted(receipt.reports for receipt in receipts) == list(range(1, 41))
    assert len(rows(connection)) == 1
    assert {one["reporter"] for one in rows(connection, "post_audit.bug_reports")} == {
        f"u{n}" for n in range(40)
    }


def test_one_idempotency_key_is_one_report(database: Database, connection: psycopg.Connection) -> None:
    with ThreadPoolExecutor(8) as pool:
        receipts = list(
            pool.map(lambda _: report(database, reporter="u1", idempotency_key="key-1234"), range(8))
        )
    assert len({(receipt.report, receipt.bug) for receipt in receipts}) == 1
    assert sum(not receipt.repeated for receipt in receipts) == 1
    assert len(rows(connection, "post_audit.bug_reports")) == 1
    other = report(database, reporter="u2", idempotency_key="key-1234")
    assert (other.repeated, other.reports) == (False, 2)


@pytest.mark.parametrize("other", [{"title": "Something else"}, {"description": "Something else"}])
def test_a_key_cannot_stand_for_two_reports(
    database: Database, connection: psycopg.Connection, other: dict[str, str]
) -> None:
    report(database, idempotency_key="key-1234")
    with pytest.raises(InvalidArgument, match="came with another report") as refused:
        report(database, idempotency_key="key-1234", **other)
    assert "another key" in refused.value.cure
    assert len(rows(connection, "post_audit.bug_reports")) == len(rows(connection)) == 1


def test_a_report_after_a_fix_opens_the_bug_again(database: Database, connection: psycopg.Connection) -> None:
    first = report(database)
    connection.execute(
        "UPDATE public.bugs SET status = 'fixed', fixed_at = now() WHERE id = %s", (first.bug,)
    )
    assert gather(database).bugs == ()
    again = report(database)
    assert (again.bug, again.reopened, again.already_known, again.reports) == (first.bug, True, True, 2)
    (bug,) = rows(connection)
    assert bug["status"] == "open"
    assert bug["fixed_at"] is not None
    assert only(database).reopened_at is not None
    assert not report(database).reopened


def test_a_report_on_a_closed_bug_makes_a_new_one(database: Database, connection: psycopg.Connection) -> None:
    first = report(database)
    connection.execute("UPDATE public.bugs SET status = 'closed'")
    assert report(database).bug != first.bug
    assert [bug["status"] for bug in rows(connection)] == ["closed", "open"]


def test_a_report_of_a_merged_bug_counts_for_the_whole_and_reopens_it(
    database: Database, connection: psycopg.Connection
) -> None:
    other = report(database, title="Another name for it")
    main = report(database)
    connection.execute(
        "UPDATE public.bugs SET status = 'duplicate', duplicate_of = %s WHERE id = %s", (main.bug, other.bug)
    )
    again = report(database, title="Another name for it", reporter="u9")
    assert (again.bug, again.reports, again.reopened) == (main.bug, 3, False)
    assert rows(connection, "post_audit.bug_reports")[-1]["bug_id"] == str(other.bug)
    connection.execute("UPDATE public.bugs SET status = 'fixed' WHERE id = %s", (main.bug,))
    assert report(database, title="Another name for it").reopened
    assert row(connection, int(main.bug))["status"] == "open"
    assert row(connection, int(other.bug))["status"] == "duplicate"
    connection.execute("UPDATE public.bugs SET status = 'closed' WHERE id = %s", (main.bug,))
    assert report(database, title="Another name for it").bug not in {main.bug, other.bug}


@pytest.mark.parametrize("wrong", [{"title": ""}, {"tier": "gold"}, {"fingerprint": "abc"}])
def test_a_report_past_our_intake_is_checked_too(database: Database, wrong: dict[str, str]) -> None:
    with pytest.raises(InvalidArgument, match="needs a title") as refused:
        database.call("post_audit_apply_bug_report", report=prepare(BugReport(title="x")) | wrong)
    assert "POST /api/bugs" in refused.value.cure


# Facts


def test_what_was_reported_is_counted_once_for_each_person(database: Database) -> None:
    for reporter, tier in (
        ("u1", Tier.NEW),
        ("u1", Tier.PAYING),
        ("u2", Tier.OTHER),
        (None, Tier.OTHER),
        (None, Tier.NEW),
    ):
        report(database, reporter=reporter, tier=tier)
    bug = only(database)
    assert bug.reporters == (
        Reporter(id="u1", tier=Tier.PAYING),
        Reporter(id="", tier=Tier.NEW),
        Reporter(id="u2", tier=Tier.OTHER),
    )
    assert (bug.reports, bug.recent_reports, bug.repeats, bug.impacts) == (5, 5, 0, ())


def test_what_came_later_is_not_read(database: Database, connection: psycopg.Connection) -> None:
    insert(connection, days=10, severity="high")
    insert(connection, title="Later", days=1)
    facts = STEP.gather(database, STEP.policy, datetime.now(UTC) - timedelta(days=5))
    assert [(bug.title, bug.severities, bug.recent_reports) for bug in facts.bugs] == [(TITLE, ("high",), 0)]


def test_open_bugs_come_in_pages(database: Database, connection: psycopg.Connection) -> None:
    numbers = [insert(connection, title=f"Failure {number}") for number in range(5)]
    connection.execute("UPDATE public.bugs SET status = 'closed' WHERE id = %s", (numbers[2],))
    first: Any = database.call("post_audit_read_bugs", as_of=datetime.now(UTC), limit=2)
    second: Any = database.call("post_audit_read_bugs", as_of=datetime.now(UTC), after=first["next"], limit=2)
    last: Any = database.call("post_audit_read_bugs", as_of=datetime.now(UTC), after=second["next"], limit=2)
    pages = [[int(bug["id"]) for bug in page["bugs"]] for page in (first, second, last)]
    assert pages == [numbers[:2], numbers[3:], []]
    assert last["next"] is None


def test_a_circle_of_duplicates_stops_nobody(database: Database, connection: psycopg.Connection) -> None:
    one, two = report(database).bug, report(database, title="Other").bug
    for bug, into in ((one, two), (two, one)):
        connection.execute(
            "UPDATE public.bugs SET status = 'duplicate', duplicate_of = %s WHERE id = %s", (into, bug)
        )
    assert gather(database).bugs == ()
    assert report(database).bug not in {one, two}


# Merging, scoring, undoing


def test_repeats_are_merged_and_a_second_run_changes_nothing(
    database: Database, connection: psycopg.Connection, runs: Runs
) -> None:
    oldest = insert(connection, days=9)
    repeats = [
        insert(connection, title=f"wallet shows ₹{n} AFTER claim", days=n, severity="high") for n in (1, 2, 3)
    ]
    report(database, error_code=None, reporter="u1", tier=Tier.PAYING)
    other = insert(connection, title="Page is blank", page="/about")
    decision = runs.run()
    assert (decision["state"], decision["outcome"]) == ("applied", "act")
    assert decision["headline"] == "“Wallet shows ₹0 after claim” hurts most; 4 repeats merged."
    found = {bug["id"]: bug for bug in rows(connection)}
    assert [(found[n]["status"], found[n]["duplicate_of"]) for n in repeats] == [("duplicate", oldest)] * 3
    whole = found[oldest]
    product = 1.0
    for factor in whole["score_factors"]:
        product *= factor["value"]
    assert float(whole["priority_score"]) == round(product, 3)
    assert found[other]["priority_score"] is not None

    facts = gather(database)
    assert [(bug.repeats, bug.reports) for bug in facts.bugs] == [(4, 5), (0, 1)]
    assert decide(facts, STEP.policy).outcome is Outcome.NOTHING
    assert rows(connection) == list(found.values())

    joined = report(database, error_code=None, reporter="u2")
    assert (joined.bug, joined.reports) == (oldest, 6)


def test_undoing_a_merge_leaves_the_rows_as_they_were_and_apart(
    connection: psycopg.Connection, runs: Runs
) -> None:
    first, second = insert(connection, days=5), insert(connection, days=2)
    before = rows(connection)
    decision = runs.run()
    assert row(connection, second)["duplicate_of"] == first
    undone = runs.undo(decision["id"])
    assert undone["state"] == "applied"
    assert rows(connection) == before
    again = runs.run()
    assert row(connection, second)["status"] == "open"
    assert any(reason["code"] == "bugs.kept_apart" for reason in again["reasons"])
    runs.undo(again["id"])
    restored = runs.undo(undone["id"], f"bug:{second}")
    assert restored["state"] == "applied"
    assert row(connection, second)["duplicate_of"] == first
    assert rows(connection, "(SELECT 1 AS id FROM post_audit.bug_separations) AS none") == []


def test_one_merge_is_taken_back_though_the_score_has_moved_since(
    database: Database, connection: psycopg.Connection, runs: Runs
) -> None:
    first, second = insert(connection, days=5), insert(connection, days=2)
    decision = runs.run()
    for number in range(3):
        report(database, error_code=None, reporter=f"u{number}", tier=Tier.PAYING)
    report(database, error_code=None, reporter="u3", tier=Tier.PAYING)
    report(database, error_code=None, reporter="u4", tier=Tier.PAYING)
    assert runs.run()["outcome"] == "act"
    with pytest.raises(StateMoved, match="stands under"):
        runs.undo(decision["id"])
    runs.undo(decision["id"], f"bug:{second}")
    assert (row(connection, second)["status"], row(connection, first)["status"]) == ("open", "open")


def test_a_proposal_changes_nothing_until_it_is_approved(
    database: Database, connection: psycopg.Connection
) -> None:
    insert(connection, days=5), insert(connection, days=2)
    before = rows(connection)
    decision = Runs(database).run()
    assert (decision["state"], rows(connection)) == ("proposed", before)
    database.call("post_audit_apply_approval", decision_id=decision["id"], actor=decisions.ACTOR)
    assert [bug["status"] for bug in rows(connection)] == ["open", "duplicate"]


def test_what_moved_meanwhile_is_left_out_and_the_rest_is_done(
    database: Database, connection: psycopg.Connection, runs: Runs
) -> None:
    insert(connection, days=9)
    moved, other = insert(connection, days=2), insert(connection, days=1)
    decision = decide(gather(database), STEP.policy)
    connection.execute("UPDATE public.bugs SET status = 'in_progress' WHERE id = %s", (moved,))
    carried_out = runs.run(decision)
    assert carried_out["counts"] == {"moved": 1, "applied": 2}
    assert (row(connection, moved)["status"], row(connection, other)["status"]) == (
        "in_progress",
        "duplicate",
    )


def test_nothing_is_merged_into_a_bug_that_was_fixed_meanwhile(
    database: Database, connection: psycopg.Connection, runs: Runs
) -> None:
    oldest, second = insert(connection, days=9), insert(connection, days=2)
    decision = decide(gather(database), STEP.policy)
    connection.execute("UPDATE public.bugs SET status = 'fixed' WHERE id = %s", (oldest,))
    runs.run(decision)
    assert (row(connection, second)["status"], row(connection, second)["duplicate_of"]) == ("open", None)
    gone = decide(
        BugsFacts(as_of=datetime.now(UTC), bugs=(BugFacts(id="999", title="x", status="open"),)), STEP.policy
    )
    assert runs.run(gone)["counts"] == {"moved": 1}


def test_no_other_row_and_no_other_column_is_touched(connection: psycopg.Connection, runs: Runs) -> None:
    kept = insert(connection, title="Closed long ago", status="closed", days=400)
    first, second = insert(connection, days=5), insert(connection, days=2, description="More of it")
    before = {bug["id"]: bug for bug in rows(connection)}
    versions = written_by(connection)
    runs.run()
    after = {bug["id"]: bug for bug in rows(connection)}
    assert after[kept] == before[kept]
    assert written_by(connection)[kept] == versions[kept]
    changed = {
        number: {name for name in after[number] if after[number][name] != before[number][name]}
        for number in after
    }
    assert changed == {
        kept: set(),
        first: {"priority_score", "score_factors", "fingerprint"},
        second: {"status", "duplicate_of"},
    }


@pytest.mark.parametrize(
    "wanted",
    [{}, {"title": "x"}, {"status": "duplicate", "duplicate_of": "1"}],
    ids=["nothing", "title", "itself"],
)
def test_a_change_of_anything_else_is_refused(connection: psycopg.Connection, wanted: dict[str, str]) -> None:
    number = insert(connection)
    assert number == 1
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="sets its status"):
        connection.execute("SELECT post_audit.change_bug('1', '{}', %s::jsonb, 1, 1)", (Jsonb(wanted),))


def test_a_person_s_word_locks_severity_and_score(
    database: Database, connection: psycopg.Connection, runs: Runs
) -> None:
    number = insert(connection, severity="low")
    database.call("post_audit_apply_bug_override", bug=str(number), actor="asha", severity="critical")
    assert runs.run()["numbers"]["by_severity"]["critical"] == 1
    database.call("post_audit_apply_bug_override", bug=str(number), actor="asha", score=7)
    runs.run()
    locked = row(connection, number)
    assert (float(locked["priority_score"]), locked["override_by"]) == (7.0, "asha")
    assert [factor["text"] for factor in locked["score_factors"]] == ["asha set the score to 7."]
    database.call("post_audit_apply_bug_override", bug=str(number), actor="asha")
    runs.run()
    assert (row(connection, number)["override_by"], len(row(connection, number)["score_factors"])) == (
        None,
        6,
    )


def test_a_word_on_no_bug_or_outside_the_scale_is_refused(database: Database) -> None:
    with pytest.raises(NotFound, match="no bug 99"):
        database.call("post_audit_apply_bug_override", bug="99", actor="asha", score=7)
    with pytest.raises(InvalidArgument, match="severity is"):
        database.call("post_audit_apply_bug_override", bug="99", actor="asha", severity="p1")


# Alerts


def alerts(connection: psycopg.Connection) -> list[str]:
    found = connection.execute(
        "SELECT payload ->> 'text' FROM post_audit.outbox WHERE channel = 'telegram' ORDER BY sequence"
    ).fetchall()
    return [text for (text,) in found]


def test_people_are_told_of_a_critical_bug_once_even_by_a_proposal(
    database: Database, connection: psycopg.Connection
) -> None:
    insert(connection, severity="critical", title="Login fails for ravi@firm.in")
    runs = Runs(database)
    for _ in range(3):
        runs.run()
    (text,) = alerts(connection)
    assert text.startswith("Critical bug: Login fails for [email]\nPage: /wallet\n")
    second = insert(connection, severity="critical", title="Another")
    runs.run()
    assert len(alerts(connection)) == 2
    assert f"Bug {second}, " in alerts(connection)[1]


def test_a_critical_bug_that_comes_back_is_told_of_again(
    database: Database, connection: psycopg.Connection, runs: Runs
) -> None:
    number = report(database).bug
    connection.execute("UPDATE public.bugs SET severity = 'critical'")
    runs.run()
    connection.execute("UPDATE public.bugs SET status = 'fixed', fixed_at = now()")
    runs.run()
    assert report(database).bug == number
    runs.run()
    runs.run()
    assert ["again after a fix" in text for text in alerts(connection)] == [False, True]


# A marketplace's own table


FOREIGN = """
CREATE TYPE public."BugState" AS ENUM ('open', 'fixed');
CREATE TABLE public."Bug" (
  "id" text PRIMARY KEY,
  "title" text NOT NULL,
  "details" text NOT NULL DEFAULT '',
  "severity" text NOT NULL DEFAULT 'P2',
  "impact" text,
  "state" text NOT NULL DEFAULT 'new' CHECK ("state" IN ('new', 'open', 'fixed', 'duplicate')),
  "duplicateOf" text,
  "fingerprint" text,
  "score" double precision,
  "scoreFactors" jsonb,
  "createdAt" timestamptz NOT NULL DEFAULT now(),
  "fixedAt" timestamptz,
  "updatedAt" timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
  "secret" text NOT NULL DEFAULT 'theirs'
);
INSERT INTO public."Bug" ("id", "title", "createdAt") VALUES
  ('ckb', 'Wallet empty', now() - interval '2 days'), ('cka', 'wallet EMPTY!', now() - interval '1 day'),
  ('ckc', 'Other', now());
"""

MAPPING = {
    "description": "details",
    "status": "state",
    "duplicate_of": "duplicateOf",
    "priority_score": "score",
    "score_factors": "scoreFactors",
    "created_at": "createdAt",
    "fixed_at": "fixedAt",
    "updated_at": "updatedAt",
}


@pytest.fixture
def foreign(database: Database, connection: psycopg.Connection) -> Database:
    connection.execute(FOREIGN)
    marketplace.bind(connection, "bugs", 'public."Bug"', MAPPING)
    return database


def test_a_bound_table_with_text_keys_and_other_words_works_the_same(
    foreign: Database, connection: psycopg.Connection, runs: Runs
) -> None:
    before = rows(connection, 'public."Bug"')
    decision = runs.run()
    assert decision["counts"] == {"applied": 3}
    found = {bug["id"]: bug for bug in rows(connection, 'public."Bug"')}
    assert (found["cka"]["state"], found["cka"]["duplicateOf"]) == ("duplicate", "ckb")
    assert found["ckb"]["score"] > 0
    assert decide(gather(foreign), STEP.policy).outcome is Outcome.NOTHING

    runs.undo(decision["id"])
    assert rows(connection, 'public."Bug"') == before

    receipt = report(foreign, title="Fresh", page="/claims")
    fresh = next(bug for bug in rows(connection, 'public."Bug"') if bug["id"] == receipt.bug)
    assert (fresh["title"], fresh["state"], fresh["severity"], fresh["secret"]) == (
        "Fresh",
        "new",
        "P2",
        "theirs",
    )
    assert report(foreign, title="Fresh", page="/claims").bug == receipt.bug
    assert next(bug for bug in gather(foreign).bugs if bug.id == receipt.bug).page == "/claims"


def test_a_rule_of_their_own_leaves_the_change_out(
    foreign: Database, connection: psycopg.Connection, runs: Runs
) -> None:
    connection.execute("""ALTER TABLE public."Bug" ADD CHECK ("state" <> 'duplicate')""")
    decision = runs.run()
    assert decision["counts"] == {"applied": 2, "moved": 1}
    moved = next(change for change in decision["changes"] if change["state"] == "moved")
    assert "does not take the change of bug:cka" in moved["detail"]
    with pytest.raises(InvalidArgument, match="no columns for what a person decides"):
        foreign.call("post_audit_apply_bug_override", bug="ckc", actor="asha", score=7)


def test_without_a_table_the_cure_is_named(database: Database, connection: psycopg.Connection) -> None:
    connection.execute("DROP VIEW post_audit.bugs")
    with pytest.raises(BindingNeeded) as refused:
        gather(database)
    assert "post-audit bind" in refused.value.cure
    with pytest.raises(BindingNeeded):
        report(database)
