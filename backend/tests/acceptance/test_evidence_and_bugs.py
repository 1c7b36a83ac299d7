"""A person's word on a bug, and the proof that nobody altered what the live counters were checked against."""

from __future__ import annotations

import psycopg
import pytest

from tests.support.product import Product

pytestmark = pytest.mark.acceptance


def test_a_person_s_word_on_a_bug(product: Product) -> None:
    bug = str(product.json("bugs", "report", "The page of the claim stays empty")["bug"])
    said = product.run("bugs", "override", bug, "--severity", "critical", "--score", "7.5")
    assert said.returncode == 0, said.stderr
    assert f"Bug {bug} has severity critical and score 7.5 from the next run on." in said.stdout
    taken_back = product.json("bugs", "override", bug)
    assert (taken_back["severity"], taken_back["score"]) == (None, None)
    unknown = product.run("bugs", "override", "99999", "--score", "1")
    assert unknown.returncode == 2
    assert "There is no bug 99999." in unknown.stderr


@pytest.mark.reference_only("the log is altered by hand, past its guard")
@pytest.mark.direct_only("by the owner of the tables, as whom nobody comes over REST")
def test_the_log_of_evidence_and_its_chain(demonstrated: Product, looking: psycopg.Connection) -> None:
    assert demonstrated.json("step", "live_fomo")["state"] == "completed"
    listed = demonstrated.json("evidence", "list", "--limit", "1")["evidence"]
    whole = demonstrated.json("evidence", "verify", "--anchor", listed[0]["hash"])
    assert (whole["holds"], whole["last_hash"]) == (True, listed[0]["hash"])
    assert "position" in demonstrated.run("evidence", "list").stdout
    no_moment = demonstrated.run("evidence", "list", "--at", "yesterday")
    assert no_moment.returncode == 2
    elsewhere = demonstrated.run("evidence", "verify", "--anchor", "0" * 64)
    assert elsewhere.returncode == 1
    assert "The hash that you noted is not in the log." in elsewhere.stdout
    looking.execute("ALTER TABLE post_audit.live_evidence DISABLE TRIGGER USER")
    looking.execute("UPDATE post_audit.live_evidence SET differences = differences + 1 WHERE position = 1")
    altered = demonstrated.run("evidence", "verify")
    assert altered.returncode == 1
    assert "Position 1: its content was changed." in altered.stdout
