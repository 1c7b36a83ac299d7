"""Secrets planted in every setting reach no log, error, answer, alert or table, whatever receivers do."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Final, get_args

import psycopg
import pytest
from fastapi.testclient import TestClient

from app.post_audit import compose
from app.post_audit.outbox import dispatch
from app.post_audit.ports import Database
from app.post_audit.settings import Settings
from app.post_audit.web.server import create_app
from tests.support.outbox import Outbox
from tests.support.planted import PLANTED, everything, found, planted_settings
from tests.support.product import Product
from tests.support.receiver import Kind, Receiver
from tests.support.telegram import GROUP, BotApi

pytestmark = pytest.mark.acceptance

TOKEN: Final = PLANTED["TELEGRAM_BOT_TOKEN"]
SIGNING: Final = PLANTED["POST_AUDIT_N8N_SIGNING_SECRET"]


@pytest.fixture
def settings(reached: dict[str, str], tmp_path: Path) -> Iterator[tuple[dict[str, str], Receiver, BotApi]]:
    with Receiver(secret=SIGNING) as receiver, BotApi(token=TOKEN, spacing=None, per_minute=None) as api:
        host = receiver.url.removeprefix("http://").partition("/")[0]
        yield (
            {
                **planted_settings(reached),
                "N8N_WEBHOOK_SCALE": f"http://user:PLANTEDscale@{host}/webhook/PLANTED-scale-path?key=PLANTEDkey",
                "TELEGRAM_CHAT_ID": GROUP,
                "POST_AUDIT_TELEGRAM_API": api.url,
                "POST_AUDIT_DELIVERY_SECONDS": "0.3",
                "POST_AUDIT_LOG_FILE": str(tmp_path / "log"),
            },
            receiver,
            api,
        )


@pytest.mark.usefixtures("own_logging")
def test_no_fault_of_a_receiver_brings_a_secret_to_light(
    settings: tuple[dict[str, str], Receiver, BotApi],
    connection: psycopg.Connection,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    given, receiver, api = settings
    fields = {name if name.startswith("POST_") else name.lower(): value for name, value in given.items()}
    with compose.build(Settings.model_validate(fields), terminal_level=logging.DEBUG) as application:
        outbox = Outbox(application.database, connection)

        def again() -> None:
            connection.execute("UPDATE post_audit.receivers SET free_at = '-infinity'")
            connection.execute("UPDATE post_audit.outbox SET next_attempt_at = now() - interval '1 minute'")
            dispatch(application.database, application.senders)

        for number, fault in enumerate(get_args(Kind)):
            receiver.faults.append(fault)
            outbox.set(number, f"capacity:{number}")
            again()
        for status in (401, 400, 403, 404, 429, 500, 502, 0):
            api.faults.append(status)
            outbox.tell(f"Alert {status}.", f"alert:{status}")
            again()
        while {"pending", "sent"} & set(outbox.states()):
            again()
        with TestClient(create_app(application.database), raise_server_exceptions=False) as client:
            answers = [
                client.get(path).text
                for path in ("/ready", "/health", "/openapi.json", "/api/admin/tasks/pending")
            ]
        logging.getLogger("httpcore2").debug("%s %s", given["N8N_WEBHOOK_SCALE"], TOKEN)
    assert set(outbox.states()) == {"applied", "refused", "delivered"}
    assert any(TOKEN in path for path in api.paths), "the real address was asked"
    assert receiver.requests[0].headers["x-post-audit-key"] == "PLANTED-header-value"
    told = capsys.readouterr()
    log = (tmp_path / "log").read_text()
    assert "message.settled" in log
    places = {
        "output": told.out + told.err,
        "log": log,
        "alerts": "\n".join(api.shown),
        "tables": everything(connection),
        "answers": "\n".join(answers),
        "senders": repr(application.senders) + repr(application.settings),
    }
    assert {place: found(text) for place, text in places.items() if found(text)} == {}


def test_the_commands_of_the_outbox_tell_no_secret(
    settings: tuple[dict[str, str], Receiver, BotApi],
    database: Database,
    connection: psycopg.Connection,
    tmp_path: Path,
) -> None:
    given, receiver, api = settings
    product = Product(tmp_path, given | {"POST_AUDIT_DELIVERY_SECONDS": "20"}, preloaded=True)
    outbox = Outbox(database, connection)
    outbox.set(1)
    outbox.set(2, "capacity:whatsapp")
    outbox.tell("Spend is high.")
    receiver.faults.extend(["500", "declined"])
    ran = [
        product.run("outbox", "retry", "1"),
        product.run("outbox", "list"),
        product.run("outbox", "show", "1"),
    ]
    assert [ended.returncode for ended in ran] == [0, 0, 0], ran
    assert "Message 1 is pending. It answered 500." in ran[0].stdout
    assert "It answered 500." in ran[1].stdout
    assert "one try" in ran[2].stdout
    assert product.json("outbox", "drop", "1")["messages"][0]["state"] == "dropped"
    shown = product.json("outbox", "list", "--state", "delivered")["messages"]
    assert [(message["channel"], message["detail"]) for message in shown] == [("telegram", "Message 101.")]
    assert product.json("outbox", "retry", "3", code=1)["error"]["message"].startswith(
        "Message 3 is delivered"
    )
    assert (
        product.json("outbox", "show", "99", code=2)["error"]["cure"]
        == "See the list: post-audit outbox list"
    )
    assert product.json("outbox", "prune") == {"pruned": 0}
    assert (
        found(*(ended.stdout + ended.stderr for ended in ran), (tmp_path / "log").read_text(), *api.shown)
        == []
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TELEGRAM_BOT_TOKEN", "PLANTED"),
        ("TELEGRAM_BOT_TOKEN", ""),
        ("N8N_WEBHOOK_SCALE", "n8n.example/PLANTED"),
        ("POST_AUDIT_N8N_SIGNING_SECRET", "PLANTED"),
        ("POST_AUDIT_N8N_HEADER_VALUE", "PLANTED\x01"),
        ("POST_AUDIT_TELEGRAM_API", "PLANTED"),
    ],
)
def test_a_receiver_that_cannot_work_is_refused_by_the_name_of_its_setting(
    settings: tuple[dict[str, str], Receiver, BotApi], tmp_path: Path, name: str, value: str
) -> None:
    ended = Product(tmp_path, settings[0] | {name: value}, preloaded=True).run("status")
    assert ended.returncode == 2
    assert name in ended.stderr
    assert found(ended.stdout, ended.stderr) == []
