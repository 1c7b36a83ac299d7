"""Both workflows in a real n8n: what is signed is applied once, and nothing else is."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx2
import psycopg
import pytest
from standardwebhooks.webhooks import Webhook

from app.post_audit.outbox.n8n import N8nAccess, N8nSender
from app.post_audit.ports import Database, Probe
from tests.support.databases import Databases
from tests.support.n8n import SECRET, RealN8n, install
from tests.support.outbox import Outbox

pytestmark = [pytest.mark.n8n, pytest.mark.slow, pytest.mark.database]

CHANNELS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "n8n_scale": ("post-audit-scale", {"channel": "sms", "daily_quota": 30_000, "batch_size": 500}),
    "n8n_ab_update": (
        "post-audit-ab-update",
        {"experiment": "invites", "active_variant": "variant_b", "message": "50 Inquiries Focus"},
    ),
}


@pytest.fixture(scope="module")
def n8n(
    request: pytest.FixtureRequest, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealN8n]:
    if not request.config.getoption("--n8n"):
        pytest.skip("installs a real n8n: make test-n8n")
    why_not = install()
    if why_not is not None:
        pytest.skip(why_not)
    with (
        databases.scratch() as conninfo,
        RealN8n(conninfo, tmp_path_factory.mktemp("n8n")) as started,
    ):
        yield started


def send(
    n8n: RealN8n,
    path: str,
    body: dict[str, Any],
    *,
    identifier: str,
    secret: str = SECRET,
    **change: Any,  # noqa: ANN401
) -> httpx2.Response:
    """Post as anybody could; `text` is what is sent in place of what was signed, `age` how old it says it is."""
    signed = json.dumps(body)
    at = datetime.now(tz=UTC) - change.get("age", timedelta())
    return httpx2.post(
        n8n.url(path),
        content=change.get("text", signed),
        headers={
            "Content-Type": "application/json",
            "webhook-id": identifier,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": Webhook(secret).sign(identifier, at, signed),
        },
        timeout=30,
        trust_env=False,
    )


def rows(n8n: RealN8n, table: str) -> list[dict[str, Any]]:
    """What stands in a data table."""
    with psycopg.connect(n8n.conninfo, row_factory=psycopg.rows.dict_row) as connection:
        found = connection.execute("SELECT id FROM data_table WHERE name = %s", (table,)).fetchone()
        if found is None:
            return []
        identifier = psycopg.sql.Identifier(f"data_table_user_{found['id']}")
        return connection.execute(
            psycopg.sql.SQL("SELECT * FROM {} ORDER BY id").format(identifier)
        ).fetchall()


@pytest.mark.parametrize("channel", CHANNELS)
def test_our_message_is_applied_and_the_echo_becomes_applied(
    n8n: RealN8n, channel: str, database: Database, connection: psycopg.Connection
) -> None:
    path, payload = CHANNELS[channel]
    outbox = Outbox(database, connection)
    outbox.put(channel, "ours:1", payload)
    sender = N8nSender(
        channel=channel,
        setting="N8N_WEBHOOK",
        url=n8n.url(path),
        access=N8nAccess(signing_secret=SECRET),
    )
    assert outbox.deliver({channel: sender}) == {"applied": 1}, outbox.details()
    (row,) = [row for row in rows(n8n, path.replace("-", "_")) if row["subject"] == "ours:1"]
    assert json.loads(row["data"]) == payload
    assert {name: row[name] for name in payload} == payload
    assert (row["version"], row["changes"]) == (1, 1)


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_ping_is_answered_and_changes_nothing(n8n: RealN8n, channel: str) -> None:
    path, _ = CHANNELS[channel]
    table = path.replace("-", "_")
    before = rows(n8n, table)

    def probe(secret: str, path: str = path) -> Probe:
        sender = N8nSender(
            channel=channel,
            setting="N8N_WEBHOOK",
            url=n8n.url(path),
            access=N8nAccess(signing_secret=secret),
        )
        return sender.probe(datetime.now(tz=UTC))

    assert probe(SECRET).is_well, probe(SECRET)
    refused = probe("whsec_" + "A" * 44)
    assert not refused.is_well
    assert "the signature does not fit" in refused.detail
    assert "Publish the workflow" in probe(SECRET, path="nothing-here").cure
    assert rows(n8n, table) == before


@pytest.mark.parametrize("channel", CHANNELS)
def test_what_is_forged_changed_or_old_is_refused_and_a_repeat_changes_nothing(
    n8n: RealN8n, channel: str
) -> None:
    path, payload = CHANNELS[channel]
    table, subject = path.replace("-", "_"), "forged:1"

    def stored() -> list[tuple[int, int, str]]:
        return [
            (row["version"], row["changes"], row["message_id"])
            for row in rows(n8n, table)
            if row["subject"] == subject
        ]

    def body(version: int) -> dict[str, Any]:
        return {"subject": subject, "version": version, "decision_id": 1, "data": payload}

    began = time.monotonic()
    refused = {
        "wrong key": send(n8n, path, body(1), identifier="msg_1", secret="whsec_" + "A" * 44),
        "tampered": send(n8n, path, body(1), identifier="msg_1", text=json.dumps(body(2))),
        "ten minutes old": send(n8n, path, body(1), identifier="msg_1", age=timedelta(minutes=10)),
        "ten minutes ahead": send(n8n, path, body(1), identifier="msg_1", age=timedelta(minutes=-10)),
    }
    assert {name: answer.status_code for name, answer in refused.items()} == dict.fromkeys(refused, 401)
    assert stored() == []
    applied = send(n8n, path, body(3), identifier="msg_3")
    assert (applied.status_code, applied.json()) == (
        200,
        {"subject": subject, "version": 3, "applied": True, "repeated": False},
    )
    assert stored() == [(3, 1, "msg_3")]
    repeated = send(n8n, path, body(3), identifier="msg_3")
    assert (repeated.status_code, repeated.json()) == (
        200,
        {"subject": subject, "version": 3, "applied": True, "repeated": True},
    )
    older = send(n8n, path, body(2), identifier="msg_2")
    assert (older.status_code, older.json()["version"], older.json()["applied"]) == (200, 3, False)
    assert stored() == [(3, 1, "msg_3")]
    newer = send(n8n, path, body(4), identifier="msg_4", age=timedelta(minutes=4))
    assert (newer.status_code, newer.json()["version"]) == (200, 4)
    assert stored() == [(4, 2, "msg_4")]
    assert time.monotonic() - began < 60
