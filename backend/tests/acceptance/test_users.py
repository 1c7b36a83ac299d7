"""Users and tokens on the command line, and the server they sign in to."""

from __future__ import annotations

import http.cookiejar
import re
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from urllib.error import HTTPError

import pytest

from tests.support.product import Product, until

pytestmark = pytest.mark.acceptance

PASSWORD = "correct horse battery"


def say(product: Product, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command and type something into it."""
    return subprocess.run(
        product.command(*arguments),
        env=product.environment(),
        cwd=product.folder,
        input=typed,
        text=True,
        capture_output=True,
        check=False,
        timeout=120,
    )


def test_users_and_tokens_are_made_listed_and_ended(product: Product) -> None:
    added = say(product, "users", "add", "asha", "--role", "approver", typed=f"{PASSWORD}\n")
    assert (added.returncode, added.stdout) == (0, "asha may sign in as approver.\n"), added.stderr
    made = product.json("tokens", "add", "asha", "--role", "operator", "--label", "nightly")
    assert len(made["token"]) == 43
    (user,) = product.json("users", "list")["users"]
    assert (user["name"], user["role"], user["tokens"]) == ("asha", "approver", 1)
    assert product.json("users", "role", "asha", "viewer")["role"] == "viewer"
    assert "at most the role" in product.run("tokens", "add", "asha", "--role", "approver").stderr
    assert product.json("tokens", "revoke", str(made["id"]))["revoked_at"] is not None
    assert product.json("users", "remove", "asha")["removed"] is True
    assert "There is no user asha." in product.run("users", "remove", "asha").stderr
    written = product.log.read_text(encoding="utf-8") if product.log.exists() else ""
    assert PASSWORD not in written
    assert made["token"] not in written


def test_what_cannot_be_a_user_is_refused(product: Product) -> None:
    refused = say(product, "users", "add", "asha", typed="short\n")
    assert refused.returncode == 2
    assert "at least 12 signs" in refused.stderr
    assert "There is no role king." in product.run("users", "add", "asha", "--role", "king").stderr
    assert product.json("users", "list") == {"users": []}


def test_without_a_secret_no_other_machine_is_served(product: Product) -> None:
    open_to_all = Product(product.folder, product.settings | {"POST_AUDIT_ADDRESS": "192.0.2.7"})
    refused = open_to_all.run("serve")
    assert refused.returncode == 2
    assert "Without a secret only this machine is served" in refused.stderr
    assert "POST_AUDIT_SECRET" in refused.stderr


@pytest.fixture
def site(product: Product) -> Iterator[tuple[str, str]]:
    """The address of a served installation without a secret, and the link it prints."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = product.start("serve", "--port", str(port))
    assert process.stdout is not None
    served, link = process.stdout.readline(), process.stdout.readline()
    assert served.startswith(f"Serving http://127.0.0.1:{port} ")

    def answers() -> bool:
        assert process.poll() is None, process.communicate()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    until(answers, "the port answers")
    found = re.search(r"http://127\.0\.0\.1:\d+/login\?link=\S+", link)
    assert found, link
    yield f"http://127.0.0.1:{port}", found[0]
    process.terminate()
    process.communicate(timeout=60)


def ask(opener: urllib.request.OpenerDirector, address: str) -> tuple[int, str, str]:
    """Status, content security policy and text of an answer, whatever it is."""
    try:
        with opener.open(address, timeout=60) as answer:
            return answer.status, answer.headers["content-security-policy"], answer.read().decode()
    except HTTPError as refused:
        with refused:
            return refused.code, refused.headers["content-security-policy"], refused.read().decode()


def shake_hands(address: str, cookie: str, origin: str | None) -> int:
    """Ask for the socket of a page; the status of the answer."""
    host = address.removeprefix("http://")
    told = "" if origin is None else f"Origin: {origin}\r\n"
    with socket.create_connection(("127.0.0.1", int(host.rpartition(":")[2])), timeout=60) as wire:
        wire.sendall(
            f"GET /_nicegui_ws/socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: {host}\r\n{told}"
            f"Cookie: {cookie}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        return int(wire.recv(100).split()[1])


def test_the_printed_link_signs_in_once_and_its_pages_are_our_own(site: tuple[str, str]) -> None:
    address, link = site
    jar = http.cookiejar.CookieJar()
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    _, policy, text = ask(opener, link)
    # every script of the page comes from here, and carries the page's mark where it stands in the page itself
    nonce = re.search(r"'nonce-([\w-]+)'", policy)
    assert nonce
    scripts = re.findall(r"<script[^>]*>", text)
    assert scripts
    for script in scripts:
        assert f'nonce="{nonce[1]}"' in script or re.search(r'src="/', script), script
    assert '"way":"link"' in ask(opener, f"{address}/api/admin/me")[2]
    for again in (urllib.request.build_opener(), opener):
        assert ask(again, link)[0] == 403

    cookie = "; ".join(f"{found.name}={found.value}" for found in jar)
    assert shake_hands(address, cookie, address) == 101
    for origin in ("http://evil.example", "null", address.replace("http", "https"), None):
        assert shake_hands(address, cookie, origin) == 403, origin
    assert shake_hands(address, "post_audit_session=forged.cookie", address) == 403
