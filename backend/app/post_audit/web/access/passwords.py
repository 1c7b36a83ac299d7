"""Passwords: hashed by argon2id as RFC 9106 recommends for servers, and compared in the same time for everybody."""

from __future__ import annotations

import functools
import secrets
import threading
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from app.post_audit.errors import InputError

__all__ = ["MINIMUM_LENGTH", "checked", "fits", "hashed", "is_outdated"]

MINIMUM_LENGTH: Final = 12
_MAXIMUM_LENGTH: Final = 200

_hasher: Final = PasswordHasher()
# One hash takes 64 MiB and 0.1 s of two cores: two at once, so that many logins cannot exhaust the machine.
_at_once: Final = threading.BoundedSemaphore(2)


def checked(password: str) -> str:
    """Give back a password that may be set; raises `InputError` for one that is too short or too long."""
    if len(password) < MINIMUM_LENGTH:
        raise InputError(
            f"A password has at least {MINIMUM_LENGTH} signs.",
            cure="Three or four words do well, for example.",
        )
    if len(password) > _MAXIMUM_LENGTH:
        raise InputError(f"A password has at most {_MAXIMUM_LENGTH} signs.")
    return password


def hashed(password: str) -> str:
    """Hash a password under a fresh salt."""
    with _at_once:
        return _hasher.hash(password)


def fits(stored: str | None, password: str) -> bool:
    """Whether a password is the one behind a stored hash. Without a hash it takes as long, and is false."""
    with _at_once:
        try:
            _hasher.verify(_nobodys() if stored is None else stored, password[:_MAXIMUM_LENGTH])
        except (VerificationError, InvalidHashError):
            return False
    return stored is not None


def is_outdated(stored: str) -> bool:
    """Whether a hash was made with weaker parameters than today's."""
    return _hasher.check_needs_rehash(stored)


@functools.cache
def _nobodys() -> str:
    return _hasher.hash(secrets.token_urlsafe(32))
