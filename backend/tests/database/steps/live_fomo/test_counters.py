"""What is planted is found, named, and set right or hidden; what is true is left alone."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from app.post_audit.errors import StateMoved
from tests.support import marketplace

if TYPE_CHECKING:
    from tests.database.steps.live_fomo.conftest import Market

pytestmark = pytest.mark.database

TOTALS = "UPDATE public.earnings_leaderboard"
SWAP = """
    UPDATE public.earnings_leaderboard AS l SET total_paise = o.total_paise FROM public.earnings_leaderboard AS o
    WHERE (l.user_id, o.user_id) IN (('user_3', 'user_4'), ('user_4', 'user_3'))
"""
PHANTOM = """
    INSERT INTO public.earnings_leaderboard (user_id, display_name, total_paise) VALUES ('nobody', 'N', 99999999)
"""
UNREADABLE = """
    CREATE FUNCTION public.burst() RETURNS bigint LANGUAGE sql VOLATILE AS 'SELECT 1::bigint';
    CREATE VIEW public.e AS
      SELECT id, user_id, supplier_id, public.burst() AS amount_paise, tracked_at FROM post_audit.earnings_ledger;
    CREATE VIEW public.c AS
      SELECT id, supplier_id, status, public.burst() AS amount_paise, claimed_at, verified_at
      FROM public.claim_airdrop_log;
    SELECT public.post_audit_apply_binding('earnings', 'public.e', '{}', 'test');
    SELECT public.post_audit_apply_binding('claims', 'public.c', '{}', 'test');
    CREATE OR REPLACE FUNCTION public.burst() RETURNS bigint LANGUAGE sql VOLATILE AS
      'SELECT 1 / (random() * 0)::bigint'
"""
SALE = (
    "INSERT INTO post_audit.earnings_ledger (user_id, benefit_type, amount_paise) VALUES ('user_3', 'credit', 700)",
    (
        "UPDATE public.earnings_leaderboard SET total_paise = total_paise + 700, reached_at = now()"
        " WHERE user_id = 'user_3'"
    ),
    (
        "INSERT INTO public.claim_airdrop_log (supplier_id, claimed_by, status, amount_paise, verified_at)"
        " VALUES (1, 'c', 'verified', 500000, now())"
    ),
    (
        "UPDATE public.leaderboard_tickertape_views SET shown_at = now(), shown_value = shown_value"
        " + CASE counter WHEN 'airdrop_claims' THEN 1 ELSE 500000 END WHERE true"
    ),
)
ALL_TRUE = "Leaderboard and airdrop counters are true."


def verdicts(market: Market, **others: str) -> dict[str, str]:
    """What is found where all is true but `others`: money that no claim names is hidden."""
    money = "verified" if market.has_amounts else "hidden"
    return {"leaderboard": "verified", "airdrop_claims": "verified", "airdrop_paise": money} | others


def quiet(market: Market) -> tuple[str, str]:
    """Outcome and headline of a run that finds all true."""
    return ("nothing", ALL_TRUE) if market.has_amounts else ("unknown", "1 counter hidden.")


def said(decision: dict[str, Any]) -> tuple[str, str]:
    return decision["outcome"], decision["headline"]


def rows_of(decision: dict[str, Any]) -> dict[str, str]:
    return {row["user"]: row["kind"] for row in decision["numbers"]["leaderboard"]["rows"]}


def test_an_empty_marketplace_is_unknown_and_shows_nothing(bare_market: Market) -> None:
    decision = bare_market.run()
    assert (decision["outcome"], decision["changes"]) == ("unknown", [])
    assert set(bare_market.verdicts().values()) == {"unknown"}
    assert bare_market.counter("airdrop_claims") == (None, "unknown")


def test_nothing_is_shown_before_the_first_check_and_the_truth_after_it(bare_market: Market) -> None:
    bare_market.fill()
    before = bare_market.call("post_audit_read_live_leaderboard")
    assert (before["state"], before["rows"], before["last_verified_at"]) == ("unknown", None, None)
    bare_market.run()
    after = bare_market.call("post_audit_read_live_leaderboard", limit=2)
    assert after["state"] == "verified"
    assert after["rows"] == [
        {"rank": 1, "name": "Name of user_10", "total_paise": 300000},
        {"rank": 2, "name": "Name of user_9", "total_paise": 270000},
    ]
    claims = bare_market.call("post_audit_read_live_airdrop")["counters"][0]
    assert (claims["counter"], claims["state"], claims["value"]) == ("airdrop_claims", "verified", 8)


@pytest.mark.both_transports
@pytest.mark.both_bindings
def test_what_is_true_is_verified_and_nothing_changes(market: Market) -> None:
    decision = market.run()
    assert said(decision) == quiet(market)
    assert (decision["changes"], decision["messages"]) == ([], [])
    assert market.verdicts() == verdicts(market)


@pytest.mark.both_bindings
@pytest.mark.parametrize(
    ("planted", "found"),
    [
        (f"{TOTALS} SET total_paise = total_paise + 1 WHERE user_id = 'user_3'", {"user_3": "total"}),
        (f"{TOTALS} SET total_paise = total_paise - 1 WHERE user_id = 'user_3'", {"user_3": "total"}),
        (SWAP, {"user_3": "total", "user_4": "total"}),
        ("DELETE FROM public.earnings_leaderboard WHERE user_id = 'user_7'", {"user_7": "absent"}),
        (PHANTOM, {"nobody": "phantom"}),
        (f"{TOTALS} SET rank = 1 WHERE user_id = 'user_2'", {"user_2": "rank"}),
    ],
    ids=["one paisa more", "one paisa less", "a swap", "a deleted row", "a phantom", "a wrong rank"],
)
def test_a_planted_fault_is_found_named_and_repaired(
    market: Market, planted: str, found: dict[str, str]
) -> None:
    market.execute(planted)
    decision = market.run()
    assert rows_of(decision) == found
    assert decision["counts"] == {"applied": len(found)}
    assert market.verdicts() == verdicts(market, leaderboard="repaired")
    assert all(any(user in reason["text"] for reason in decision["reasons"]) for user in found)
    assert said(market.run()) == quiet(market)
    assert market.verdicts() == verdicts(market)


def test_a_phantom_stays_as_a_row_with_nothing(market: Market) -> None:
    market.execute(PHANTOM)
    market.run()
    assert market.total("nobody") == 0
    names = [row["name"] for row in market.call("post_audit_read_live_leaderboard", limit=100)["rows"]]
    assert len(names) == 10
    assert "N" not in names


def test_equals_stand_in_the_order_in_which_they_got_there(market: Market) -> None:
    market.execute("""
        CREATE TEMPORARY TABLE u AS SELECT * FROM (VALUES
          ('late', interval '1 hour', interval '2 hours'), ('early', interval '2 hours', interval '1 hour')
        ) AS u (id, ago, said);
        INSERT INTO post_audit.earnings_ledger (user_id, benefit_type, amount_paise, tracked_at)
        SELECT u.id, 'credit', 900000, now() - u.ago FROM u;
        INSERT INTO public.earnings_leaderboard (user_id, display_name, total_paise, reached_at)
        SELECT u.id, u.id, 900000, now() - u.said FROM u
    """)
    decision = market.run()
    assert rows_of(decision)["late"] == rows_of(decision)["early"] == "order"
    rows = market.call("post_audit_read_live_leaderboard", limit=2)["rows"]
    assert [row["name"] for row in rows] == ["early", "late"]


def test_a_large_difference_is_repaired_and_told_at_once(market: Market) -> None:
    market.execute("UPDATE public.earnings_leaderboard SET total_paise = 90000000 WHERE user_id = 'user_3'")
    decision = market.run()
    assert market.total("user_3") == 90000
    assert [message["channel"] for message in decision["messages"]] == ["telegram"]
    assert "₹9,00,000" in decision["messages"][0]["payload"]["text"]


def test_a_repair_is_not_taken_back(market: Market) -> None:
    market.execute(
        "UPDATE public.leaderboard_tickertape_views SET shown_value = 500 WHERE counter = 'airdrop_claims'"
    )
    decision = market.run()
    with pytest.raises(StateMoved, match="would show a false number"):
        market.call("post_audit_apply_undo", decision_id=decision["id"], actor="test")


def test_a_false_counter_is_repaired(market: Market) -> None:
    market.execute(
        "UPDATE public.leaderboard_tickertape_views SET shown_value = 500 WHERE counter = 'airdrop_claims'"
    )
    decision = market.run()
    assert decision["headline"] == (
        "1 counter repaired." if market.has_amounts else "1 counter repaired, 1 hidden."
    )
    assert market.counter("airdrop_claims") == (8, "repaired")
    assert market.verdicts() == verdicts(market, airdrop_claims="repaired")
    assert said(market.run()) == quiet(market)


def claim(market: Market, ago: str) -> None:
    market.connection.execute(
        "INSERT INTO public.claim_airdrop_log (supplier_id, claimed_by, status, amount_paise, verified_at)"
        " VALUES (1, 'c', 'verified', 500000, now() - %s::interval)",
        (ago,),
    )


def test_a_counter_that_stopped_is_repaired_and_a_late_one_brought_up_to_date(market: Market) -> None:
    market.execute(
        "UPDATE public.leaderboard_tickertape_views SET shown_at = now() - interval '9 hours'"
        " WHERE counter = 'airdrop_claims'"
    )
    claim(market, "5 minutes")
    decision = market.run()
    codes = {reason["code"] for reason in decision["reasons"]}
    assert "live_fomo.stuck" in codes
    assert market.counter("airdrop_claims") == (9, "repaired")
    if market.has_amounts:
        assert "live_fomo.behind" in codes
        assert market.counter("airdrop_paise") == (4500000, "verified")


def test_a_quiet_ledger_is_no_outage(market: Market) -> None:
    market.execute(
        "UPDATE public.leaderboard_tickertape_views SET shown_at = now() - interval '9 hours' WHERE true"
    )
    assert said(market.run()) == quiet(market)


def test_rows_of_the_future_are_told_and_not_counted(market: Market) -> None:
    claim(market, "-3 hours")
    decision = market.run()
    assert said(decision) == quiet(market)
    assert "live_fomo.future_rows" in {reason["code"] for reason in decision["reasons"]}


@pytest.mark.parametrize(
    "broken",
    [
        "DROP VIEW post_audit.earnings; DROP VIEW post_audit.claims",
        "DELETE FROM post_audit.earnings_ledger WHERE true; DELETE FROM public.claim_airdrop_log WHERE true",
        UNREADABLE,
    ],
    ids=["unbound", "empty", "unreadable"],
)
def test_what_cannot_be_proved_is_hidden_and_never_zero(market: Market, broken: str) -> None:
    market.execute(broken)
    decision = market.run()
    assert decision["headline"] == "3 counters hidden."
    assert set(market.verdicts().values()) == {"hidden"}
    assert market.counter("airdrop_claims") == (None, "hidden")
    assert market.counter("airdrop_paise") == (None, "hidden")
    assert market.total("user_3") == 90000
    shown = market.call("post_audit_read_live_leaderboard")
    assert (shown["state"], shown["rows"]) == ("hidden", None)
    assert {c["value"] for c in market.call("post_audit_read_live_airdrop")["counters"]} == {None}
    again = market.run()
    assert (again["outcome"], again["changes"], again["messages"]) == ("unknown", [], [])


def test_what_was_hidden_is_shown_again_when_it_can_be_proved(market: Market) -> None:
    market.execute("DROP VIEW post_audit.claims")
    market.run()
    marketplace.bind(market.connection, "claims", "public.claim_airdrop_log", {})
    market.run()
    assert market.counter("airdrop_claims") == (8, "verified")
    assert market.verdicts() == verdicts(market)


def test_a_ledger_that_lost_most_users_hides_the_leaderboard_and_empties_no_row(bare_market: Market) -> None:
    bare_market.fill()
    bare_market.execute("""
        INSERT INTO public.earnings_leaderboard (user_id, total_paise)
        SELECT 'lost_' || n, 1000 FROM generate_series(1, 15) AS n
    """)
    decision = bare_market.run()
    assert "live_fomo.lost_ledger" in {reason["code"] for reason in decision["reasons"]}
    assert bare_market.total("lost_1") == 1000
    assert bare_market.call("post_audit_read_live_leaderboard")["state"] == "hidden"


def test_a_proposing_step_changes_nothing_and_the_public_sees_nothing_unproved(market: Market) -> None:
    market.call("post_audit_apply_mode", step="live_fomo", mode="propose", actor="test")
    market.execute(
        "UPDATE public.earnings_leaderboard SET total_paise = total_paise + 1 WHERE user_id = 'user_10'"
    )
    decision = market.run()
    assert (decision["state"], market.total("user_10")) == ("proposed", 300001)
    # the row that moved since the proof is proved again where it is read, and fails
    assert market.call("post_audit_read_live_leaderboard")["state"] == "unknown"
    market.call("post_audit_apply_approval", decision_id=decision["id"], actor="test")
    assert market.total("user_10") == 300000
    assert market.call("post_audit_read_live_leaderboard")["state"] == "repaired"


def test_a_proof_that_grew_old_shows_nothing(market: Market) -> None:
    assert market.call("post_audit_read_live_airdrop")["counters"][0]["state"] == "verified"
    shown = market.call("post_audit_read_live_airdrop", maximum_age_hours=0)["counters"][0]
    assert (shown["state"], shown["value"]) == ("unknown", None)


def test_a_repair_that_does_not_hold_is_hidden_in_the_same_transaction(market: Market) -> None:
    market.execute("""
        CREATE FUNCTION public.one_more() RETURNS trigger LANGUAGE plpgsql AS
          'BEGIN NEW.shown_value := NEW.shown_value + 1; RETURN NEW; END';
        CREATE TRIGGER one_more BEFORE UPDATE ON public.leaderboard_tickertape_views
          FOR EACH ROW EXECUTE FUNCTION public.one_more();
        UPDATE public.leaderboard_tickertape_views SET shown_value = 500 WHERE counter = 'airdrop_claims'
    """)
    market.run()
    assert market.counter("airdrop_claims") == (None, "hidden")
    assert market.verdicts()["airdrop_claims"] == "hidden"


def test_a_row_that_moved_meanwhile_is_left_out_and_judged_as_it_is(market: Market) -> None:
    market.execute(
        "UPDATE public.earnings_leaderboard SET total_paise = 1 WHERE user_id IN ('user_3', 'user_4')"
    )
    decision = market.decide()
    market.execute("UPDATE public.earnings_leaderboard SET total_paise = 90000 WHERE user_id = 'user_3'")
    stored = market.apply(decision)
    assert stored["counts"] == {"applied": 1, "moved": 1}
    assert (market.total("user_3"), market.total("user_4")) == (90000, 120000)
    assert market.verdicts()["leaderboard"] == "repaired"


def test_sales_during_the_check_raise_no_false_alarm(market: Market, conninfo: str) -> None:
    ended = threading.Event()
    sold = 0

    def sell() -> None:
        nonlocal sold
        with psycopg.connect(conninfo) as seller:
            while not ended.is_set():
                with seller.transaction():
                    for statement in SALE:
                        seller.execute(statement)
                sold += 1

    seller = threading.Thread(target=sell)
    market.execute("UPDATE public.earnings_leaderboard SET rank = NULL WHERE true")
    seller.start()
    try:
        decisions = [market.run() for _ in range(25)]
    finally:
        ended.set()
        seller.join()
    assert sold > 25
    assert {said(decision) for decision in decisions} == {quiet(market)}
    assert market.verdicts() == verdicts(market)


def test_the_totals_agree_with_those_that_a_quarantine_writes(market: Market) -> None:
    market.execute("DELETE FROM post_audit.earnings_ledger WHERE user_id = 'user_3'")
    market.run()
    assert market.total("user_3") == 0
    assert market.value("SELECT reached_at IS NULL FROM public.earnings_leaderboard WHERE user_id = 'user_3'")


def test_a_demonstration_is_checked_by_its_own_clock(bare_market: Market) -> None:
    bare_market.fill()
    bare_market.execute(
        "UPDATE post_audit.marketplace SET kind = 'demonstration', as_of = now() - interval '12 hours'"
    )
    bare_market.run()
    at = bare_market.call("post_audit_read_live_airdrop")["counters"][0]["as_of"]
    assert datetime.fromisoformat(at) == bare_market.value("SELECT as_of FROM post_audit.marketplace")


def test_a_table_of_another_shape_is_checked_and_what_it_refuses_is_hidden(bare_market: Market) -> None:
    bare_market.fill()
    bare_market.execute("""
        CREATE TABLE public."Score" ("userId" varchar NOT NULL, "totalPaise" integer NOT NULL, "cuid" text PRIMARY KEY);
        INSERT INTO public."Score" SELECT l.user_id, l.total_paise, 'c' || l.id FROM public.earnings_leaderboard AS l
    """)
    columns = {"id": "cuid", "user_id": "userId", "total_paise": "totalPaise"}
    marketplace.bind(bare_market.connection, "leaderboard", 'public."Score"', columns)
    assert bare_market.run()["headline"] == (
        "Leaderboard and airdrop counters are true and brought up to date."
        if bare_market.has_amounts
        else "1 counter hidden."
    )
    bare_market.execute("""UPDATE public."Score" SET "totalPaise" = 5 WHERE "userId" = 'user_3'""")
    assert rows_of(bare_market.run()) == {"user_3": "total"}
    assert bare_market.value("""SELECT "totalPaise" FROM public."Score" WHERE "userId" = 'user_3'""") == 90000
    # its key has no default, so no row can be added: the leaderboard lacks somebody, and is not shown
    bare_market.execute("""DELETE FROM public."Score" WHERE "userId" = 'user_7'""")
    decision = bare_market.run()
    assert decision["counts"] == {"moved": 1}
    assert bare_market.verdicts()["leaderboard"] == "hidden"
    assert bare_market.call("post_audit_read_live_leaderboard")["rows"] is None


def test_numeric_ids_and_rupees_are_read_and_what_cannot_be_written_is_hidden(bare_market: Market) -> None:
    bare_market.fill()
    bare_market.execute("""
        CREATE TABLE public.ledger (id bigint PRIMARY KEY, user_id bigint, amount numeric(12, 2), tracked_at timestamp);
        CREATE TABLE public.board (id bigint PRIMARY KEY, user_id bigint, total numeric(12, 2));
        INSERT INTO public.ledger SELECT n, n, n, now() - interval '1 day' FROM generate_series(1, 5) AS n;
        INSERT INTO public.board SELECT n, n, n FROM generate_series(1, 5) AS n
    """)
    for role, column in (("ledger", "amount"), ("board", "total")):
        marketplace.bind(
            bare_market.connection,
            "earnings" if role == "ledger" else "leaderboard",
            f"public.{role}",
            {f"{column}_paise": {"column": column, "unit": "rupees"}},
        )
    bare_market.run()
    assert bare_market.call("post_audit_read_live_leaderboard", limit=1)["rows"][0]["total_paise"] == 500
    bare_market.execute("UPDATE public.board SET total = 9 WHERE user_id = 1")
    decision = bare_market.run()
    assert "live_fomo.in_top" in {reason["code"] for reason in decision["reasons"]}
    assert bare_market.verdicts()["leaderboard"] == "hidden"
