"""The log of evidence is only added to, its chain holds, and tampering is found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

if TYPE_CHECKING:
    from tests.database.steps.live_fomo.conftest import Market

pytestmark = pytest.mark.database

WITHOUT_GUARD = """
ALTER TABLE post_audit.live_evidence DISABLE TRIGGER USER;
{};
ALTER TABLE post_audit.live_evidence ENABLE TRIGGER USER
"""
"""What the table's owner can do to it, also where the owner is no superuser, as on Supabase."""


def test_every_check_leaves_one_row_a_counter(market: Market) -> None:
    market.run()
    rows = market.call("post_audit_read_live_evidence")
    assert [row["position"] for row in rows] == [6, 5, 4, 3, 2, 1]
    assert [row["previous_hash"] for row in rows] == [*(row["hash"] for row in rows[1:]), "0" * 64]
    claims = market.call("post_audit_read_live_evidence", counter="airdrop_claims")[0]
    assert (claims["found_value"], claims["recomputed_value"], claims["published_value"]) == (8, 8, 8)
    assert claims["ledger_rows"] == 8


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE post_audit.live_evidence SET verdict = 'verified' WHERE position = 1",
        "DELETE FROM post_audit.live_evidence WHERE position = 1",
        "TRUNCATE post_audit.live_evidence",
    ],
)
def test_the_log_refuses_what_is_not_an_addition(market: Market, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="only added to"):
        market.execute(statement)


def test_the_chain_holds_and_is_read_in_parts(market: Market) -> None:
    market.run()
    whole = market.call("post_audit_read_live_evidence_chain")
    assert (whole["holds"], whole["checked"], whole["broken"]) == (True, 6, [])
    part = market.call("post_audit_read_live_evidence_chain", first=1, limit=4)
    assert (part["holds"], part["checked"], part["next"]) == (True, 4, 5)
    rest = market.call("post_audit_read_live_evidence_chain", first=5, limit=4)
    assert (rest["holds"], rest["checked"], rest["next"]) == (True, 2, None)
    assert market.call("post_audit_read_live_evidence_chain", anchor=part["last_hash"])["holds"]


@pytest.mark.parametrize(
    ("tampering", "position", "problem"),
    [
        (
            "UPDATE post_audit.live_evidence SET published_value = 9 WHERE position = 2",
            2,
            "its content was changed",
        ),
        ("DELETE FROM post_audit.live_evidence WHERE position = 2", 3, "rows before it are missing"),
        (
            "UPDATE post_audit.live_evidence AS e SET verdict = 'hidden', hash = repeat('f', 64) WHERE position = 2",
            3,
            "it does not follow the row before it",
        ),
        ("DELETE FROM post_audit.live_evidence WHERE position = 1", 2, "rows before it are missing"),
    ],
)
def test_tampering_is_found(market: Market, tampering: str, position: int, problem: str) -> None:
    market.run()
    market.execute(WITHOUT_GUARD.format(tampering))
    answer = market.call("post_audit_read_live_evidence_chain")
    assert not answer["holds"]
    assert {"position": position, "problem": problem} in answer["broken"]


def test_last_rows_that_were_cut_off_are_missed_by_their_decision(market: Market) -> None:
    anchor = market.call("post_audit_read_live_evidence_chain")["last_hash"]
    decision = market.run()
    market.execute(WITHOUT_GUARD.format("DELETE FROM post_audit.live_evidence WHERE position > 2"))
    answer = market.call("post_audit_read_live_evidence_chain")
    assert (answer["holds"], answer["broken"]) == (False, [])
    assert answer["decisions_without_evidence"] == [decision["id"]]
    assert not market.call("post_audit_read_live_evidence_chain", anchor=anchor)["holds"]


def test_the_log_says_what_held_at_a_moment(market: Market) -> None:
    moment = market.value("SELECT clock_timestamp()")
    market.execute(
        "UPDATE public.leaderboard_tickertape_views SET shown_value = 500 WHERE counter = 'airdrop_claims'"
    )
    market.run()
    then = market.call("post_audit_read_live_evidence", at=moment, counter="airdrop_claims")
    now = market.call("post_audit_read_live_evidence", limit=1, counter="airdrop_claims")
    assert [(row["verdict"], row["published_value"]) for row in then] == [("verified", 8)]
    assert [(row["verdict"], row["found_value"], row["published_value"]) for row in now] == [
        ("repaired", 500, 8)
    ]
