"""Why somebody is not let in, or may not do something."""

from __future__ import annotations

from app.post_audit.errors import PostAuditError

__all__ = ["CrossSite", "NotAllowed", "NotSignedIn", "TooManyAttempts", "WrongHost"]


class NotSignedIn(PostAuditError):
    """Nobody is signed in, or no longer."""

    http_status = 401

    def __init__(self, message: str = "Nobody is signed in.") -> None:
        super().__init__(
            message,
            cure="Sign in at /login, or send an API token: Authorization: Bearer TOKEN (post-audit tokens add).",
        )


class NotAllowed(PostAuditError):
    """Whoever is signed in may not do this."""

    http_status = 403


class CrossSite(PostAuditError):
    """The request was made by a page of another site, or does not say whose page made it."""

    http_status = 403


class WrongHost(PostAuditError):
    """The request names a host that this server does not answer to."""

    http_status = 400


class TooManyAttempts(PostAuditError):
    """Too many failed logins; `retry_after_seconds` says how long to wait."""

    http_status = 429

    def __init__(self, retry_after_seconds: int) -> None:
        minutes = -(-retry_after_seconds // 60)
        super().__init__(
            "Too many attempts to sign in have failed.",
            cure=f"Wait {minutes} {'minute' if minutes == 1 else 'minutes'}, then try again.",
        )
        self.retry_after_seconds = retry_after_seconds
