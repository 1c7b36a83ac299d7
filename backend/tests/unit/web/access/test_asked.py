"""What a request says of where it comes from, and what of that is believed."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from app.post_audit.web.access.asked import Asked, host_alone
from app.post_audit.web.access.policy import AccessPolicy

BEHIND = AccessPolicy(proxies=(ip_network("10.0.0.0/8"),))


def asked(
    *headers: tuple[str, str],
    method: str = "POST",
    peer: str = "127.0.0.1",
    policy: AccessPolicy = BEHIND,
    **scope: object,
) -> Asked:
    given = {"host": "localhost:8000", **dict(headers)}
    return Asked.of(
        {
            "type": "http",
            "method": method,
            "path": "/",
            "scheme": "http",
            "client": (peer, 1),
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
            **scope,
        },
        policy,
    )


@pytest.mark.parametrize(
    ("headers", "is_ours"),
    [
        ([("origin", "http://localhost:8000")], True),
        ([("origin", "http://LOCALHOST:8000"), ("sec-fetch-site", "same-origin")], True),
        ([("sec-fetch-site", "same-origin")], True),
        ([], False),
        ([("origin", "null")], False),
        ([("origin", "")], False),
        ([("origin", "https://localhost:8000")], False),
        ([("origin", "http://localhost:8001")], False),
        ([("origin", "http://localhost")], False),
        ([("origin", "http://localhost:8000.evil.example")], False),
        ([("origin", "http://evil.example")], False),
        ([("sec-fetch-site", "none")], False),
        ([("sec-fetch-site", "same-site")], False),
        ([("sec-fetch-site", "cross-site")], False),
        ([("origin", "http://localhost:8000"), ("sec-fetch-site", "cross-site")], False),
        ([("origin", "http://evil.example"), ("sec-fetch-site", "same-origin")], False),
    ],
)
def test_what_one_of_our_pages_asked(headers: list[tuple[str, str]], *, is_ours: bool) -> None:
    assert asked(*headers).is_same_origin == is_ours


def test_usual_ports_need_not_be_named() -> None:
    assert asked(("host", "a.example"), ("origin", "http://a.example:80")).is_same_origin
    assert asked(("host", "[::1]:80"), ("origin", "http://[::1]")).is_same_origin


@pytest.mark.parametrize(
    "header", ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"]
)
def test_whoever_comes_through_a_proxy_is_not_from_here(header: str) -> None:
    assert asked().is_plain
    assert not asked((header, "127.0.0.1")).is_plain


def test_only_this_machine_asking_for_this_machine_is_plain() -> None:
    assert not asked(peer="10.0.0.9").is_plain
    assert not asked(("host", "evil.example:8000")).is_plain
    assert not asked(("host", "")).is_plain


def test_a_second_host_is_none() -> None:
    twice = [(b"host", b"localhost"), (b"host", b"evil.example")]
    assert asked(headers=twice).host == ""


def test_a_named_proxy_says_whom_it_speaks_for() -> None:
    told = (("x-forwarded-for", "6.6.6.6, 203.0.113.9, 10.0.0.2"), ("x-forwarded-proto", "https"))
    believed = asked(*told, peer="10.0.0.1")
    assert (believed.peer, believed.scheme) == ("203.0.113.9", "https")
    # what a stranger says of itself is not believed
    stranger = asked(*told, peer="192.168.0.1")
    assert (stranger.peer, stranger.scheme) == ("192.168.0.1", "http")


def test_cookies_and_tokens_are_read() -> None:
    request = asked(("cookie", "a=1; post_audit_session=x.y"), ("authorization", "Bearer  t0ken"))
    assert (request.cookie("post_audit_session"), request.cookie("b"), request.bearer) == (
        "x.y",
        None,
        "t0ken",
    )
    assert asked(("authorization", "Basic eDp5")).bearer is None


@pytest.mark.parametrize(
    ("host", "alone"),
    [
        ("localhost:8000", "localhost"),
        ("[::1]:8000", "::1"),
        ("[::1]", "::1"),
        ("a.example", "a.example"),
        ("", ""),
    ],
)
def test_a_host_without_its_port(host: str, alone: str) -> None:
    assert host_alone(host) == alone
