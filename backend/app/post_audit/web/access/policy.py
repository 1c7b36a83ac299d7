"""Who may reach the server, by which names, and for how long a login holds."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Final, Self

from app.post_audit.errors import ConfigurationError, InvalidSetting

if TYPE_CHECKING:
    from app.post_audit.settings import Settings

__all__ = ["LOOPBACK", "AccessPolicy", "household", "is_loopback"]

LOOPBACK: Final = "127.0.0.1"
_IPV4: Final = 4


def is_loopback(host: str) -> bool:
    """Whether a host, without a port, is this machine: `localhost`, or an address such as 127.0.0.1 or ::1."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def household(peer: str) -> str:
    """What tries to sign in are counted by: an address, and of IPv6 the network of 64 bits that one customer gets."""
    try:
        address = ip_address(peer)
    except ValueError:
        return peer
    if address.version == _IPV4:
        return peer
    return str(ip_network(f"{address}/64", strict=False))


def _own_key() -> bytes:
    return secrets.token_bytes(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessPolicy:
    """The rules of the gate.

    Without a configured secret everything is signed with a key that ends with the process, only this machine is
    served, and `is_guarded` is false.
    """

    key: bytes = field(default_factory=_own_key, repr=False)
    is_guarded: bool = False
    address: str = LOOPBACK
    hosts: frozenset[str] = frozenset()
    """Names beside those of this machine that requests may be sent to, in lower case, without ports."""
    proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    """Whose X-Forwarded-Proto and X-Forwarded-For are believed."""
    session: timedelta = timedelta(hours=12)
    """For how long a login holds: a working day; then the password again."""
    recheck: timedelta = timedelta(seconds=2)
    """For how long reading does not look again whether a session still holds; writing always looks."""
    socket_recheck: timedelta = timedelta(seconds=30)
    """How often the session of an open page is looked at again, whatever the page does."""
    attempts_per_name: int = 10
    attempts_per_peer: int = 30
    attempts_window: timedelta = timedelta(minutes=15)
    """10 tries in 15 minutes are 350,000 a year: a password of twelve signs outlives that."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Read the settings; raises `ConfigurationError` where others than this machine would need no secret."""
        secret = settings.secret
        if secret is None and not is_loopback(settings.address):
            raise ConfigurationError(
                f"Without a secret only this machine is served, and POST_AUDIT_ADDRESS is {settings.address}.",
                cure="Set POST_AUDIT_SECRET to 32 random signs or more (openssl rand -hex 32), or leave "
                "POST_AUDIT_ADDRESS at 127.0.0.1.",
            )
        return cls(
            key=_own_key() if secret is None else secret.get_secret_value().encode(),
            is_guarded=secret is not None,
            address=settings.address,
            hosts=frozenset(_listed(settings.hosts, lower=True)),
            proxies=cls.networks(settings.proxies),
        )

    @staticmethod
    def networks(text: str | None) -> tuple[IPv4Network | IPv6Network, ...]:
        """Read addresses and networks with commas between; raises `InvalidSetting` naming the one that is none."""
        return tuple(_network(entry) for entry in _listed(text))

    def sign(self, purpose: str, text: str) -> str:
        """Sign a text for one purpose alone, as 64 hexadecimal signs."""
        return hmac.digest(self.key, f"{purpose}\n{text}".encode(), "sha256").hex()

    def is_signed(self, purpose: str, text: str, signature: str) -> bool:
        """Whether `sign` made this signature."""
        return hmac.compare_digest(self.sign(purpose, text).encode(), signature.encode(errors="replace"))

    def answers_to(self, host: str) -> bool:
        """Whether requests may name this host (without a port).

        A page of somebody else can make its own name lead to this machine (DNS rebinding), but not an address: so
        addresses are taken where a login is needed for everything.
        """
        if is_loopback(host) or host.lower() in self.hosts:
            return True
        return self.is_guarded and _is_address(host)

    def trusts(self, peer: str) -> bool:
        """Whether what this peer says of whom it speaks for is believed."""
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        return any(address in network for network in self.proxies)


def _listed(text: str | None, *, lower: bool = False) -> list[str]:
    parts = [part.strip() for part in (text or "").split(",")]
    return [part.lower() if lower else part for part in parts if part]


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text)
    except ValueError:
        raise InvalidSetting(
            f"POST_AUDIT_PROXIES holds {text}, which is neither an address nor a network.",
            cure="For example: POST_AUDIT_PROXIES=127.0.0.1,10.0.0.0/8",
        ) from None


def _is_address(host: str) -> bool:
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
