"""What a request says about where it comes from: its peer, its host, the page that made it."""

from __future__ import annotations

from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers

from app.post_audit.web.access.policy import AccessPolicy, is_loopback

if TYPE_CHECKING:
    from starlette.types import Scope

__all__ = ["Asked", "host_alone"]

_PROXY_HEADERS: Final = (
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
)
_PORTS: Final = {"http": "80", "https": "443"}


def host_alone(host: str) -> str:
    """Take the port off: `localhost:8000` and `[::1]:8000` become `localhost` and `::1`."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request or handshake, as the gate judges it."""

    method: str
    path: str
    headers: Headers
    host: str
    """What the header Host says, with its port."""
    peer: str
    """Whose request it is: for a trusted proxy, whom it speaks for."""
    scheme: str
    is_plain: bool
    """Whether it came straight from this machine to this machine, with no sign of a proxy."""

    @classmethod
    def of(cls, scope: Scope, policy: AccessPolicy) -> Asked:
        """Read an ASGI scope of the kind http or websocket."""
        headers = Headers(scope=scope)
        peer = str((scope.get("client") or ("", 0))[0])
        named = headers.getlist("host")
        host = named[0] if len(named) == 1 else ""
        said = str(scope["scheme"])
        scheme = {"ws": "http", "wss": "https"}.get(said, said)
        is_plain = (
            is_loopback(peer)
            and is_loopback(host_alone(host))
            and not any(name in headers for name in _PROXY_HEADERS)
        )
        if policy.trusts(peer):
            if headers.get("x-forwarded-proto", "").rpartition(",")[2].strip() == "https":
                scheme = "https"
            peer = _spoken_for(headers, policy) or peer
        return cls(scope.get("method", "GET"), scope["path"], headers, host, peer, scheme, is_plain)

    @property
    def changes(self) -> bool:
        """Whether its method may change something."""
        return self.method not in {"GET", "HEAD", "OPTIONS"}

    @property
    def bearer(self) -> str | None:
        """The API token it brings."""
        kind, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if kind.lower() == "bearer" else None

    def cookie(self, name: str) -> str | None:
        """One of its cookies."""
        try:
            found = SimpleCookie(self.headers.get("cookie", "")).get(name)
        except CookieError:
            return None
        return None if found is None else found.value

    @property
    def is_cross_site(self) -> bool:
        """Whether a page of another site made it, as far as the browser tells."""
        site = self.headers.get("sec-fetch-site")
        if site is not None and site not in {"same-origin", "none"}:
            return True
        origin = self.headers.get("origin")
        return origin is not None and not self._is_own(origin)

    @property
    def is_same_origin(self) -> bool:
        """Whether the browser says that one of our own pages made it; a browser never says nothing."""
        says = "origin" in self.headers or self.headers.get("sec-fetch-site") == "same-origin"
        return says and not self.is_cross_site

    def _is_own(self, origin: str) -> bool:
        scheme, separator, host = origin.partition("://")
        if not separator or _with_port(host, scheme) != _with_port(self.host, self.scheme):
            return False
        return scheme == self.scheme


def _with_port(host: str, scheme: str) -> str:
    has_port = host.rpartition("]")[2].count(":") == 1
    return host.lower() if has_port else f"{host.lower()}:{_PORTS.get(scheme, '')}"


def _spoken_for(headers: Headers, policy: AccessPolicy) -> str:
    """The last peer of X-Forwarded-For that is no proxy of ours: what stands before it, anybody can write."""
    named = [part.strip() for part in headers.get("x-forwarded-for", "").split(",") if part.strip()]
    return next((peer for peer in reversed(named) if not policy.trusts(peer)), "")
