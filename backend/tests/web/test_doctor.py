"""`/api/admin/doctor` tells what the command tells, and asks receivers only for those who may."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from fastapi.testclient import TestClient

from app.post_audit.ports import Database
from app.post_audit.settings import Settings
from app.post_audit.web.checkup import Checkup
from tests.support.receiver import SECRET, Receiver
from tests.support.web import signed_token

pytestmark = [pytest.mark.database]


@pytest.mark.both_transports
def test_a_new_marketplace_is_well(client: TestClient) -> None:
    answer = client.get("/api/admin/doctor")
    assert answer.status_code == 200
    found = answer.json()
    assert (found["healthy"], found["worst"], found["asked_at"]) == (True, "note", None)
    assert {finding["area"] for finding in found["findings"]} >= {
        "database",
        "access",
        "tables",
        "runs",
        "steps",
    }


@pytest.mark.both_transports
@pytest.mark.reference_only("drops a policy of one of our own tables")
def test_what_is_wrong_is_told_with_its_cure(client: TestClient, connection: psycopg.Connection) -> None:
    connection.execute("DROP POLICY post_audit_service ON public.bugs")
    connection.commit()
    found = client.get("/api/admin/doctor").json()
    assert (found["healthy"], found["worst"]) == (False, "problem")
    (wrong,) = (finding for finding in found["findings"] if finding["level"] == "problem")
    assert wrong["name"] == "access.row_level_security"
    assert wrong["cure"].endswith("post-audit migrate")


def test_asking_receivers_is_for_operators(client: TestClient, database: Database) -> None:
    client.headers["Authorization"] = f"Bearer {signed_token(database, 'vidya', 'viewer')}"
    assert client.get("/api/admin/doctor").status_code == 200
    assert client.get("/api/admin/doctor", params={"ask": True}).status_code == 403


def test_what_receivers_answered_is_remembered(database: Database, tmp_path: Path) -> None:
    with Receiver() as n8n:
        settings = Settings.model_validate(
            {
                "n8n_webhook_scale": n8n.url,
                "n8n_signing_secret": SECRET,
                "log_file": tmp_path / "log",
                "inbox": tmp_path / "inbox",
                "database_url": "postgresql:///elsewhere",
            }
        )
        checkup = Checkup(database, settings)

        def told() -> list[str]:
            return [
                finding.text for finding in checkup.look().findings if finding.name == "receivers.n8n_scale"
            ]

        assert (checkup.asked_at, told()) == (None, [])
        checkup.ask()
        assert checkup.asked_at is not None
        assert told() == ["n8n (quotas): It answered, and accepted our signature."]
        assert n8n.in_force == {}
        n8n.faults.append("404")
        checkup.ask()
        (text,) = told()
        assert "Nothing listens there" in text
