"""Who is behind a cookie, a token or a link: sessions, and what is remembered of them."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Final

from app.post_audit.ports import Database
from app.post_audit.web.access import passwords
from app.post_audit.web.access.people import Person, Role, Way
from app.post_audit.web.access.policy import AccessPolicy, household
from app.post_audit.web.access.refusals import TooManyAttempts

__all__ = ["Door", "cookie_name", "digest"]

_COOKIE: Final = "post_audit_session"
_PURPOSE: Final = "session"
# What one process remembers of who was let in lately; more than this at once is no house of five people.
_REMEMBERED: Final = 1000


def cookie_name(scheme: str) -> str:
    """What the session's cookie is called. With TLS its name keeps neighbouring hosts from setting it (RFC 6265bis)."""
    return f"__Host-{_COOKIE}" if scheme == "https" else _COOKIE


def digest(token: str) -> str:
    """What is stored of a token. It is 256 random bits, so a plain hash cannot be guessed back."""
    return hashlib.sha256(token.encode()).hexdigest()


@dataclass(slots=True)
class _LocalSession:
    person: Person
    ends: float


@dataclass(slots=True)
class _Memory:
    """Who was behind a token when it was last looked up."""

    at: dict[str, tuple[float, Person | None]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Door:
    """Opens to whoever shows a valid session, token or link. Safe to use from several threads.

    Sessions of named users live in the database, so every process knows them and any may end them. A session that a
    link opened lives in this process alone and ends with it.
    """

    def __init__(self, database: Database, policy: AccessPolicy) -> None:
        self._database = database
        self._policy = policy
        self._links: dict[str, str] = {}
        self._local: dict[str, _LocalSession] = {}
        self._memory = _Memory()

    @property
    def policy(self) -> AccessPolicy:
        """The rules it goes by."""
        return self._policy

    # ---- the link ----

    def make_link(self, name: str) -> str:
        """Make a link's token that lets `name` in once, as an approver."""
        token = secrets.token_urlsafe(32)
        self._links[digest(token)] = name
        return token

    def use_link(self, token: str) -> str | None:
        """Let in who has the link; the cookie's value, or None where it is unknown or was used."""
        name = self._links.pop(digest(token), None)
        if name is None:
            return None
        session = secrets.token_urlsafe(32)
        ends = time.monotonic() + self._policy.session.total_seconds()
        self._local[digest(session)] = _LocalSession(Person(name=name, role=Role.APPROVER, way="link"), ends)
        return self._seal(session)

    # ---- sessions and tokens ----

    def person_of_cookie(self, cookie: str, *, fresh: bool) -> Person | None:
        """Who the session belongs to; None where it is forged, has ended or was ended. `fresh` looks again."""
        token, _, signature = cookie.partition(".")
        if not self._policy.is_signed(_PURPOSE, token, signature):
            return None
        found = self._local.get(digest(token))
        if found is not None:
            return found.person if time.monotonic() < found.ends else None
        return self._known("session", token, fresh=fresh)

    def person_of_token(self, token: str, *, fresh: bool) -> Person | None:
        """Who an API token belongs to, with the smaller of both roles; None where it is unknown or was revoked."""
        return self._known("token", token, fresh=fresh)

    def open_session(self, name: str, peer: str, attempt: int) -> str:
        """Begin a session of a user who has shown the password in this attempt; the cookie's value."""
        token = secrets.token_urlsafe(32)
        self._database.call(
            "post_audit_apply_session",
            name=name,
            token_hash=digest(token),
            peer=peer,
            seconds=int(self._policy.session.total_seconds()),
            attempt=attempt,
        )
        return self._seal(token)

    def end_session(self, cookie: str, peer: str) -> None:
        """End the session behind a cookie, here and for every other process."""
        token, _, signature = cookie.partition(".")
        if not self._policy.is_signed(_PURPOSE, token, signature):
            return
        hashed = digest(token)
        if self._local.pop(hashed, None) is None:
            self._database.call("post_audit_apply_session_end", token_hash=hashed, peer=peer)
        self.forget()

    def record(self, person: Person, action: str, subject: str, peer: str = "") -> None:
        """Write into the audit log what somebody did."""
        self._database.call(
            "post_audit_apply_audit_entry",
            actor=person.name,
            way=person.way,
            peer=peer,
            action=action,
            subject=subject,
        )

    def try_password(self, name: str, password: str, peer: str) -> str | None:
        """Try to sign in; the cookie's value, or None where name and password do not belong together.

        Raises `TooManyAttempts`. Takes as long for a name that nobody has as for one that somebody has.
        """
        limits = self._policy
        known = name.strip().lower()
        answer: Any = self._database.call(
            "post_audit_apply_login_attempt",
            name=known,
            peer=household(peer),
            per_name=limits.attempts_per_name,
            per_peer=limits.attempts_per_peer,
            window_seconds=int(limits.attempts_window.total_seconds()),
        )
        if not answer["allowed"]:
            raise TooManyAttempts(answer["retry_after_seconds"])
        stored = answer["password_hash"]
        if not passwords.fits(stored, password):
            return None
        if passwords.is_outdated(stored):
            self._database.call(
                "post_audit_apply_user_password",
                name=known,
                password_hash=passwords.hashed(password),
                actor=known,
                rehash=stored,
            )
        return self.open_session(known, peer, answer["attempt"])

    def forget(self) -> None:
        """Look everybody up again from now on."""
        with self._memory.lock:
            self._memory.at.clear()

    def _seal(self, token: str) -> str:
        return f"{token}.{self._policy.sign(_PURPOSE, token)}"

    def _known(self, way: Way, token: str, *, fresh: bool) -> Person | None:
        hashed = digest(token)
        key = f"{way}:{hashed}"
        now = time.monotonic()
        with self._memory.lock:
            seen = self._memory.at.get(key)
        if not fresh and seen is not None and now - seen[0] < self._policy.recheck.total_seconds():
            return seen[1]
        found: Any = self._database.call("post_audit_read_visitor", way=way, token_hash=hashed)
        person = None if found is None else Person(name=found["name"], role=Role(found["role"]), way=way)
        with self._memory.lock:
            if len(self._memory.at) >= _REMEMBERED:
                self._memory.at.clear()
            self._memory.at[key] = (now, person)
        return person
