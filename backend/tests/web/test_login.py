"""Signing in: with a password, with the link that is printed once; and everything that is no way in."""

from __future__ import annotations

import re
from datetime import timedelta

import psycopg
import pytest
from fastapi.testclient import TestClient
from starlette.types import Receive, Scope, Send

from app.post_audit.db.psycopg_database import PsycopgDatabase
from app.post_audit.ports import Database
from app.post_audit.web.access import AccessPolicy, Door, NotAllowed, NotSignedIn, Role, Visit
from app.post_audit.web.access.gate import Gate
from app.post_audit.web.server import create_app
from tests.support.web import GUARDED, HERE, PASSWORD, add_user, browser, sign_in

pytestmark = pytest.mark.database

ROW_COUNT = "SELECT count(*) FROM post_audit."


def test_a_user_signs_in_and_out(database: Database, connection: psycopg.Connection) -> None:
    add_user(database, "asha", "approver")
    with browser(create_app(database, policy=GUARDED)) as client:
        page = client.get("/login?next=/admin/pending")
        assert page.status_code == 200
        assert 'value="/admin/pending"' in page.text
        assert "<script" not in page.text
        entered = client.post(
            "/login", data={"name": " Asha", "password": PASSWORD, "next": "/admin/pending"}
        )
        assert (entered.status_code, entered.headers["location"]) == (303, "/admin/pending")
        cookie = entered.headers["set-cookie"]
        assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))
        assert "Secure" not in cookie  # there is no TLS here
        value = client.cookies["post_audit_session"]
        assert client.get("/api/admin/me").json() == {"name": "asha", "role": "approver", "way": "session"}
        stored = connection.execute("SELECT token_hash, user_name FROM post_audit.sessions").fetchall()
        assert [name for _, name in stored] == ["asha"]
        assert stored[0][0] not in value
        left = client.post("/logout")
        assert (left.status_code, left.headers["location"]) == (303, "/login")
        assert connection.execute(f"{ROW_COUNT}sessions").fetchone() == (0,)
        # replayed by whoever has kept it
        client.cookies.set("post_audit_session", value)
        assert client.get("/api/admin/me").status_code == 401
    actions = connection.execute("SELECT actor, action FROM post_audit.audit_log ORDER BY id").fetchall()
    assert actions == [("test", "user.added"), ("asha", "login"), ("asha", "logout")]


def test_forged_cookies_open_nothing(database: Database) -> None:
    add_user(database, "asha", "approver")
    with browser(create_app(database, policy=GUARDED)) as client:
        assert sign_in(client, "asha") == 303
        token, _, signature = client.cookies["post_audit_session"].partition(".")
        other = AccessPolicy(key=b"another secret, just as long as ours is", is_guarded=True)
        for forged in (
            token,
            f"{token}.",
            f"{token}x.{signature}",
            f"{token}.{other.sign('session', token)}",
            "é.é",
        ):
            client.cookies.clear()
            headers = {b"Cookie": f"post_audit_session={forged}".encode()}
            assert client.get("/api/admin/me", headers=headers).status_code == 401, forged


def test_a_session_ends_by_itself(database: Database, connection: psycopg.Connection) -> None:
    add_user(database, "asha", "approver")
    with browser(create_app(database, policy=GUARDED)) as client:
        assert sign_in(client, "asha") == 303
        connection.execute("UPDATE post_audit.sessions SET expires_at = now()")
        assert client.get("/api/admin/me").status_code == 401
        assert client.get("/admin").headers["location"] == "/login?next=/admin"


def test_a_new_password_ends_the_sessions_of_the_old_one(database: Database) -> None:
    add_user(database, "asha", "approver")
    with browser(create_app(database, policy=GUARDED)) as client:
        assert sign_in(client, "asha") == 303
        database.call(
            "post_audit_apply_user_password", name="asha", password_hash="$argon2id$new", actor="test"
        )
        assert client.post("/api/admin/runs").status_code == 401
        assert sign_in(client, "asha") == 401


def test_behind_a_trusted_proxy_with_tls_the_cookie_is_secure(database: Database) -> None:
    add_user(database, "asha", "viewer")
    policy = AccessPolicy(
        key=GUARDED.key, is_guarded=True, hosts=frozenset({"protocol.example.com"}), proxies=GUARDED.proxies
    )
    trusting = AccessPolicy(
        key=policy.key, is_guarded=True, hosts=policy.hosts, proxies=AccessPolicy.networks("10.0.0.1")
    )
    base = "https://protocol.example.com"
    told = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9", "Host": "protocol.example.com"}
    with browser(
        create_app(database, policy=trusting), base="http://protocol.example.com", peer="10.0.0.1"
    ) as client:
        client.headers["Origin"] = base
        entered = client.post("/login", data={"name": "asha", "password": PASSWORD}, headers=told)
        assert entered.headers["set-cookie"].startswith("__Host-post_audit_session=")
        assert {"Secure", "HttpOnly", "Path=/"} <= set(entered.headers["set-cookie"].split("; "))
        assert entered.headers["strict-transport-security"].startswith("max-age=")
    with browser(
        create_app(database, policy=policy), base="http://protocol.example.com", peer="10.0.0.1"
    ) as client:
        client.headers["Origin"] = base
        # a proxy that nobody named is not believed, so the page seems to be another's
        assert (
            client.post("/login", data={"name": "asha", "password": PASSWORD}, headers=told).status_code
            == 403
        )


def test_guessing_is_slowed_down_by_name_and_by_peer(
    database: Database, connection: psycopg.Connection
) -> None:
    policy = AccessPolicy(key=GUARDED.key, is_guarded=True, attempts_per_name=2, attempts_per_peer=3)
    add_user(database, "asha", "approver")
    add_user(database, "omar", "operator")
    with browser(create_app(database, policy=policy)) as client:
        assert [sign_in(client, "asha", f"guess {n}") for n in range(3)] == [401, 401, 429]
        refused = client.post("/login", data={"name": "asha", "password": PASSWORD})
        assert refused.status_code == 429  # also with the right one
        assert 0 < int(refused.headers["retry-after"]) <= 900
        assert "Too many attempts" in refused.text
        # another name from the same peer has one try left
        assert [sign_in(client, f"nobody{n}", "guess") for n in range(2)] == [401, 429]
        assert sign_in(client, "omar") == 429
    # another process and another peer know of it: it stands in the database
    with browser(create_app(database, policy=policy), peer="127.0.0.9") as client:
        assert sign_in(client, "asha") == 429
        assert sign_in(client, "omar") == 303
        connection.execute("UPDATE post_audit.login_attempts SET at = at - interval '16 minutes'")
        assert sign_in(client, "asha") == 303


def test_many_guesses_at_once_count_as_many(database: Database) -> None:
    allowed = [
        database.call(
            "post_audit_apply_login_attempt", name="asha", peer="p", per_name=3, per_peer=9, window_seconds=60
        )
        for _ in range(5)
    ]
    # none of them has been judged yet
    assert [answer["allowed"] for answer in allowed] == [True, True, True, False, False]  # type: ignore[index,call-overload]


def test_an_attempt_opens_one_session(database: Database) -> None:
    add_user(database, "asha", "approver")
    door = create_app(database, policy=GUARDED).state.door
    assert door.try_password("asha", PASSWORD, "p") is not None
    with pytest.raises(Exception, match="has been used"):
        door.open_session("asha", "p", 1)


@pytest.mark.parametrize(
    ("asked_for", "led_to"),
    [
        ("/admin/pending", "/admin/pending"),
        ("//evil.example", "/admin"),
        ("/\\evil.example", "/admin"),
        ("https://evil.example", "/admin"),
        ("javascript:alert(1)", "/admin"),
        ("/a\r\nSet-Cookie: x=y", "/admin"),
        ("/logout", "/admin"),
        ("", "/admin"),
    ],
)
def test_nobody_is_led_to_another_site(database: Database, asked_for: str, led_to: str) -> None:
    app = create_app(database)
    with browser(app) as client:
        link = app.state.door.make_link("owner")
        entered = client.get("/login", params={"link": link, "next": asked_for})
        assert (entered.status_code, entered.headers["location"]) == (303, led_to)


def test_the_link_lets_in_once(database: Database) -> None:
    app = create_app(database)
    link = app.state.door.make_link("owner")
    with browser(app) as first, browser(app) as second:
        assert first.get(f"/login?link={link}").status_code == 303
        assert first.get("/api/admin/me").json() == {"name": "owner", "role": "approver", "way": "link"}
        again = second.get(f"/login?link={link}")
        assert again.status_code == 403
        assert "has been used" in again.text
        assert second.get("/admin").status_code == 303
        value = first.cookies["post_audit_session"]
        assert first.post("/logout").status_code == 303
        first.cookies.set("post_audit_session", value)
        assert first.get("/admin").headers["location"] == "/login?next=/admin"
        # another process signs with another key
        with browser(create_app(database)) as other:
            other.cookies.set("post_audit_session", value)
            assert other.get("/admin").status_code == 303


def test_what_is_typed_into_the_form_is_shown_as_text(database: Database) -> None:
    typed = '"><script>alert(1)</script>'
    with browser(create_app(database, policy=GUARDED)) as client:
        shown = client.post("/login", data={"name": typed, "password": "x", "next": f"/{typed}"})
        assert shown.status_code == 401
        assert typed not in shown.text
        assert "&lt;script&gt;" in shown.text
        assert re.search(r"style-src 'sha256-[\w+/=]+'", shown.headers["content-security-policy"])
        assert "script-src" not in shown.headers["content-security-policy"]  # so default-src 'none' holds


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"name=" + b"a" * 9_000])
def test_a_form_of_another_shape_is_a_failed_login(database: Database, body: bytes) -> None:
    with browser(create_app(database, policy=GUARDED)) as client:
        sent = client.post(
            "/login", content=body, headers={"Content-Type": "application/x-www-form-urlencoded"}
        )
        assert sent.status_code == 401


def test_an_open_page_is_closed_when_its_session_ends(database: Database) -> None:
    add_user(database, "asha", "approver")
    policy = AccessPolicy(key=GUARDED.key, is_guarded=True, socket_recheck=timedelta(0))
    seen: list[Visit] = []

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        """Say back what comes in, as the socket of a page that has been opened."""
        if scope["type"] == "lifespan":
            return
        seen.append(scope["state"]["visit"])
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] != "websocket.disconnect":
            if message["type"] == "websocket.receive":
                await send({"type": "websocket.send", "text": message["text"]})
        await send({"type": "websocket.close", "code": 1008})

    door = Door(database, policy)
    cookie = door.try_password("asha", PASSWORD, "p")
    headers = {"Cookie": f"post_audit_session={cookie}", "Origin": HERE, "Host": "localhost:8000"}
    client = TestClient(Gate(page, door=door), base_url=HERE)
    with client.websocket_connect("/_nicegui_ws/socket.io", headers=headers) as opened:
        opened.send_text("hello")
        assert opened.receive_text() == "hello"
        assert seen[0].require(Role.APPROVER).name == "asha"
        database.call("post_audit_apply_user_role", name="asha", role="operator", actor="test")
        with pytest.raises(NotAllowed):
            seen[0].require(Role.APPROVER)
        assert not seen[0].allows(Role.APPROVER)
        database.call("post_audit_apply_user_removal", name="asha", actor="test")
        with pytest.raises(NotSignedIn):
            seen[0].require(Role.VIEWER)
        opened.send_text("still here?")
        assert opened.receive()["type"] == "websocket.close"


def test_without_a_database_a_person_is_told_on_a_page() -> None:
    nowhere = PsycopgDatabase("postgresql://postgres:hunter2@127.0.0.1:9/bell24h")
    app = create_app(nowhere, policy=GUARDED)
    with browser(app) as client:
        token = "t" * 43
        client.cookies.set("post_audit_session", f"{token}.{GUARDED.sign('session', token)}")
        pages = [
            client.get("/admin"),
            client.post("/login", data={"name": "a", "password": "b"}),
            client.post("/logout"),
        ]
        for page in pages:
            assert page.status_code == 503
            assert "Nobody answers at bell24h on 127.0.0.1:9." in page.text
            assert "hunter2" not in page.text
            assert page.headers["content-type"].startswith("text/html")
        assert "Max-Age=0" in pages[-1].headers["set-cookie"]
        assert client.get("/api/admin/me").json()["error"]["code"] == "DatabaseUnreachable"
