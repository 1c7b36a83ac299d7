"""Which hosts are answered, whose word is believed, and when a server refuses to start."""

from __future__ import annotations

import pytest

from app.post_audit.errors import ConfigurationError, InvalidSetting
from app.post_audit.settings import Settings
from app.post_audit.web.access.policy import AccessPolicy, household, is_loopback

SECRET = "0123456789abcdef0123456789abcdef"


def settings(**given: object) -> Settings:
    return Settings.model_validate(given)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.8.9.1", "::1", "[::1]"])
def test_this_machine_is_known(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "localhost.evil.example", "127.0.0.1.nip.io", "10.0.0.1", "::", "::2"])
def test_others_are_not_this_machine(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize("address", ["::", "10.1.2.3", "protocol.example.com"])
def test_without_a_secret_only_this_machine_is_served(address: str) -> None:
    with pytest.raises(ConfigurationError, match="POST_AUDIT_ADDRESS") as refused:
        AccessPolicy.of(settings(address=address))
    assert "POST_AUDIT_SECRET" in refused.value.cure
    assert refused.value.exit_code == 2
    assert AccessPolicy.of(settings(address=address, secret=SECRET)).is_guarded


def test_without_a_secret_every_process_signs_with_a_key_of_its_own() -> None:
    first, second = AccessPolicy.of(settings()), AccessPolicy.of(settings())
    assert not second.is_signed("session", "token", first.sign("session", "token"))
    guarded = [AccessPolicy.of(settings(secret=SECRET)) for _ in range(2)]
    assert guarded[1].is_signed("session", "token", guarded[0].sign("session", "token"))
    assert not guarded[0].is_signed("pages", "token", guarded[0].sign("session", "token"))
    assert SECRET not in repr(guarded[0])


def test_names_of_others_are_not_answered() -> None:
    policy = AccessPolicy.of(settings(secret=SECRET, hosts="protocol.example.com, Admin.Example.com"))
    assert [
        host
        for host in ("protocol.example.com", "ADMIN.example.com", "localhost", "10.0.0.7")
        if policy.answers_to(host)
    ] == [
        "protocol.example.com",
        "ADMIN.example.com",
        "localhost",
        "10.0.0.7",
    ]
    assert not policy.answers_to("evil.example")
    # without a secret, reading needs no login here, so only this machine's own names are answered
    assert not AccessPolicy.of(settings()).answers_to("10.0.0.7")


def test_only_named_proxies_are_believed() -> None:
    policy = AccessPolicy.of(settings(proxies="127.0.0.1, 10.0.0.0/8"))
    assert policy.trusts("127.0.0.1")
    assert policy.trusts("10.200.0.1")
    assert not policy.trusts("192.168.0.1")
    assert not policy.trusts("testclient")
    with pytest.raises(InvalidSetting, match="POST_AUDIT_PROXIES"):
        AccessPolicy.of(settings(proxies="nginx"))


@pytest.mark.parametrize(
    ("peer", "counted"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:bbbb::9", "2001:db8:1:2::/64"),
        ("somebody", "somebody"),
    ],
)
def test_a_household_counts_as_one(peer: str, counted: str) -> None:
    assert household(peer) == counted
