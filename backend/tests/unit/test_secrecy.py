from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from app.post_audit.secrecy import hide, redact

SECRET = "correct-horse-battery"
TOKEN = "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"


@pytest.fixture(autouse=True)
def _nothing_known_afterwards() -> Iterator[None]:
    yield
    hide(())


@pytest.mark.parametrize(
    "text",
    [
        f"the key is {SECRET}",
        "postgresql://postgres:hunter2@127.0.0.1/x",
        f"https://api.telegram.org/bot{TOKEN}/sendMessage",
        f"token {TOKEN}",
        "Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.c2lnbmF0dXJl",
        "apikey=sb_secret_abcdefghijkl",
        "password='hunter2'",
    ],
)
def test_no_secret_gets_through(text: str) -> None:
    hide([SECRET])
    for gone in (SECRET, "hunter2", TOKEN, "eyJhbGci", "sb_secret_abc"):
        assert gone not in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "correct horse/battery",
        "correct%20horse%2Fbattery",
        "/webhook/one-that-nobody-guesses",
        "key=staple-staple",
        "staple-staple",
    ],
)
def test_what_an_address_hides_is_found_without_the_rest_of_it(text: str) -> None:
    address = (
        "https://user:correct%20horse%2Fbattery@n8n.example/webhook/one-that-nobody-guesses?key=staple-staple"
    )
    hide([address])
    assert not {"correct", "battery", "nobody", "staple"} & set(re.findall(r"[a-z]+", redact(text)))
    assert redact("POST /webhook answered 200") == "POST /webhook answered 200"
