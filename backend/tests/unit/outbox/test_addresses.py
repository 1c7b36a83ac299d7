"""What senders refuse before anything is sent, without repeating it."""

from __future__ import annotations

import pytest

from app.post_audit.errors import InvalidSetting
from app.post_audit.outbox.http import require_address
from app.post_audit.outbox.n8n import N8nAccess, N8nSender
from app.post_audit.outbox.telegram import TelegramSender

TOKEN = "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"
URL = "https://n8n.example/webhook/scale"


@pytest.mark.parametrize(
    "url",
    [
        "ftp://SECRET.example/x",
        "file:///etc/SECRET",
        "SECRET",
        "https://",
        "https://:80/SECRET",
        "http://[SECRET",
        "https://host:99999/SECRET",
        "https://host:0/SECRET",
        "gopher://SECRET",
    ],
)
def test_an_address_that_is_none_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(InvalidSetting, match="N8N_WEBHOOK_SCALE") as caught:
        require_address("N8N_WEBHOOK_SCALE", url)
    assert "SECRET" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:5678/webhook/x", URL, "http://localhost/x", "http://[::1]:1/x"]
)
def test_an_n8n_on_this_machine_is_as_good_as_any(url: str) -> None:
    assert require_address("N8N_WEBHOOK_SCALE", f" {url}#part ") == url


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "whsec_c2hvcnQ=", "whsec_not base64 at all, is it", "é" * 40]
)
def test_a_signing_secret_that_is_none_is_refused(secret: str) -> None:
    with pytest.raises(InvalidSetting, match="openssl rand"):
        N8nSender(channel="n8n_scale", setting="X", url=URL, access=N8nAccess(signing_secret=secret))


@pytest.mark.parametrize(
    ("name", "value"),
    [("webhook-id", "x"), ("X Y", "x"), ("Host", "x"), ("X-Key", "a\r\nX-Other: b"), ("X-Key", "é")],
)
def test_a_header_that_is_none_is_refused(name: str, value: str) -> None:
    with pytest.raises(InvalidSetting, match="POST_AUDIT_N8N_HEADER"):
        N8nSender(
            channel="n8n_scale", setting="X", url=URL, access=N8nAccess(header_name=name, header_value=value)
        )


@pytest.mark.parametrize("token", ["", "SECRET", "1:SECRET", f"{TOKEN}/../x", f"{TOKEN}\n{TOKEN}"])
def test_a_token_that_is_none_is_refused_and_not_repeated(token: str) -> None:
    with pytest.raises(InvalidSetting, match="TELEGRAM_BOT_TOKEN") as caught:
        TelegramSender(token=token, chat="1")
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("chat", ["", "x", "@a", "1.5", "@a b c d"])
def test_a_chat_that_is_none_is_refused(chat: str) -> None:
    with pytest.raises(InvalidSetting, match="TELEGRAM_CHAT_ID"):
        TelegramSender(token=TOKEN, chat=chat)


def test_a_group_takes_twenty_a_minute_and_a_person_one_a_second() -> None:
    paces = [TelegramSender(token=TOKEN, chat=chat).pace for chat in ("-1001", "@channel", "42")]
    assert [(pace.spacing_seconds, pace.per_minute) for pace in paces] == [(1, 20), (1, 20), (1, 60)]
    assert len({pace.receiver for pace in paces}) == 3
    assert not any(TOKEN in repr(pace) or TOKEN[10:] in repr(pace) for pace in paces)
