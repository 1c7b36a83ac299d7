"""What an answer of Supabase's REST interface means: the JSON that was asked for, or an error of ours.

PostgREST answers with the SQLSTATE in the body's `code`, or with a code of its own (PGRST...); the gateway in front
of it (Kong, Cloudflare) has shapes of its own. The HTTP status decides only where the body says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from app.post_audit.codec import decode
from app.post_audit.errors import (
    ConfigurationError,
    ConnectionLost,
    Contention,
    CredentialsRefused,
    DatabaseUnreachable,
    FunctionMissing,
    InvalidArgument,
    PermissionRefused,
    PostAuditError,
    UnexpectedAnswer,
    error_for_sqlstate,
)
from app.post_audit.ports import JSON

__all__ = ["KEY", "URL", "Answer", "Failure", "Outcome", "read_answer"]

URL: Final = "SUPABASE_URL"
KEY: Final = "SUPABASE_SERVICE_ROLE_KEY"

_SQLSTATE: Final = re.compile(r"[0-9A-Z]{5}")
_SIGNATURE: Final = re.compile(r"public\.(\w+)\(")
# Long enough for a sentence of the server's, short enough for a line of a log.
_LONGEST_QUOTE: Final = 200

_OK: Final = 200
_NO_CONTENT: Final = 204
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_TOO_LARGE: Final = 413
_TOO_MANY: Final = 429
_SERVER: Final = 500


class Outcome(Enum):
    """What has become of a call that failed: this decides who may repeat it."""

    REFUSED = "refused"
    """It failed for a reason that stays: repeating is of no use."""
    NOT_DONE = "not done"
    """It never ran, or was rolled back: repeating is safe."""
    UNKNOWN = "unknown"
    """It may have been done: only what may be done twice is repeated."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the function returned."""

    value: JSON


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed call: our error, and what is known of its outcome."""

    error: PostAuditError
    outcome: Outcome = Outcome.REFUSED


# Rolled back by PostgreSQL. 57014 as well, but what was too slow once is likely to be again.
_ROLLED_BACK: Final = frozenset({"40001", "40P01", "55P03", "57014"})
_AGAIN: Final = "Run again: what was decided before is kept and not decided twice."
_TAKE_THE_SERVICE_KEY: Final = (
    "Set it to the project's secret key (sb_secret_...) or its service_role key "
    "(Supabase: Project Settings > API Keys)."
)
# Of 000, 002 and 003 it is known that the call never ran: no connection, no picture of the schema yet, no free
# connection within ten seconds.
_TRANSIENT: Final = {
    "PGRST000": ("Supabase cannot reach its database; the project may be paused.", Outcome.NOT_DONE),
    "PGRST001": ("Supabase lost its database.", Outcome.UNKNOWN),
    "PGRST002": ("Supabase cannot read its database's schema at the moment.", Outcome.NOT_DONE),
    "PGRST003": ("All of Supabase's database connections are busy.", Outcome.NOT_DONE),
}
_STANDING: Final[dict[str, tuple[type[PostAuditError], str, str]]] = {
    "PGRST106": (
        ConfigurationError,
        "Supabase does not expose the schema public.",
        "Add public to the exposed schemas (Supabase: Project Settings > Data API).",
    ),
    "PGRST203": (
        FunctionMissing,
        "The database has more than one function {function}.",
        "Drop the one that the migration did not make, then: post-audit migrate.",
    ),
    "PGRST302": (
        CredentialsRefused,
        f"Supabase found no key: {KEY} is not a key of this project.",
        _TAKE_THE_SERVICE_KEY,
    ),
}


def _takes_no_such_argument(function: str, body: Mapping[str, JSON]) -> bool:
    """Whether PGRST202 knows the function and only not these arguments: its hint then names the same function."""
    return _SIGNATURE.findall(str(body.get("hint") or ""))[:1] == [function]


def read_answer(function: str, status: int, content_type: str, content: bytes) -> Answer | Failure:
    """Name what came back for one call of `function`."""
    if status == _NO_CONTENT:
        return Answer(None)
    is_json = content_type.partition(";")[0].strip().lower().endswith("json")
    try:
        body = decode(content) if is_json else None
    except ValueError:
        return Failure(
            ConnectionLost("Supabase's answer was cut short or is no JSON.", cure=_AGAIN), Outcome.UNKNOWN
        )
    if status == _OK:
        return Answer(body) if is_json else Failure(_not_supabase(status))
    code = body.get("code") if isinstance(body, Mapping) else None
    if isinstance(body, Mapping) and isinstance(code, str) and code.startswith("PGRST"):
        return _of_postgrest(function, code, body)
    if isinstance(body, Mapping) and isinstance(code, str) and _SQLSTATE.fullmatch(code):
        return _of_postgresql(code, status, body)
    return _of_gateway(status, body)


def _not_supabase(status: int) -> DatabaseUnreachable:
    return DatabaseUnreachable(
        f"What answers at {URL} is not Supabase's REST interface (status {status}).",
        cure=f"Set {URL} to the project's address (Supabase: Project Settings > Data API).",
    )


def _text(body: Mapping[str, JSON], key: str) -> str:
    value = body.get(key)
    return value if isinstance(value, str) else ""


def _of_postgresql(code: str, status: int, body: Mapping[str, JSON]) -> Failure:
    """PostgreSQL itself refused or failed: the class of the SQLSTATE, as over a direct connection."""
    message, hint = _text(body, "message"), _text(body, "hint")
    if code == "42501" and status == _UNAUTHORIZED:
        return Failure(_not_the_service_key())
    error: PostAuditError = error_for_sqlstate(code, message, hint)
    if isinstance(error, PermissionRefused) and not hint:
        error.cure = f"Use the service_role key in {KEY}, and apply the migration again."
    if code in _ROLLED_BACK:
        return Failure(error, Outcome.NOT_DONE)
    return Failure(error, Outcome.UNKNOWN if isinstance(error, ConnectionLost) else Outcome.REFUSED)


def _not_the_service_key() -> CredentialsRefused:
    return CredentialsRefused(
        f"The key in {KEY} is not the service key: Supabase takes it for an anonymous visitor.",
        cure=_TAKE_THE_SERVICE_KEY,
    )


def _of_postgrest(function: str, code: str, body: Mapping[str, JSON]) -> Failure:
    """PostgREST refused or failed before or instead of PostgreSQL."""
    if code in _TRANSIENT:
        message, outcome = _TRANSIENT[code]
        kind = Contention if code == "PGRST003" else ConnectionLost
        return Failure(kind(message, cure=_AGAIN), outcome)
    if code == "PGRST202":
        return _not_found(function, body)
    if code in _STANDING:
        kind_of_standing, message, cure = _STANDING[code]
        return Failure(kind_of_standing(message.format(function=function), cure=cure))
    said = _text(body, "message")
    if code in {"PGRST301", "PGRST303"}:
        why = "has expired" if "expired" in said.lower() else "is not accepted"
        return Failure(
            CredentialsRefused(
                f"The key in {KEY} {why}.",
                cure="Copy the project's current secret key (Supabase: Project Settings > API Keys).",
            )
        )
    return Failure(UnexpectedAnswer(f"Supabase refused the call with {code}: {said[:_LONGEST_QUOTE]}"))


def _not_found(function: str, body: Mapping[str, JSON]) -> Failure:
    if _takes_no_such_argument(function, body):
        return Failure(
            InvalidArgument(f"{function} does not take these arguments.", cure="Apply the migration again.")
        )
    # Seen for a moment after a migration too, until PostgREST has looked at the schema again.
    missing = FunctionMissing(
        f"The database has no function {function}.", cure="Apply the migration again: post-audit migrate."
    )
    return Failure(missing, Outcome.NOT_DONE)


def _of_gateway(status: int, body: JSON) -> Failure:
    """Something in front of PostgREST answered."""
    if status in {_UNAUTHORIZED, _FORBIDDEN}:
        return Failure(
            CredentialsRefused(
                f"Supabase does not accept the key in {KEY}.",
                cure=f"Copy the project's secret key (Supabase: Project Settings > API Keys), and check that {URL} "
                "is the same project's.",
            )
        )
    if status == _TOO_MANY:
        return Failure(
            Contention("Supabase takes no more requests for now.", cure="Run again in a moment."),
            Outcome.NOT_DONE,
        )
    if status == _TOO_LARGE:
        return Failure(
            InvalidArgument(
                "The call is too large for Supabase.", cure="Send less at once, or set DATABASE_URL."
            )
        )
    if status >= _SERVER:
        return Failure(
            ConnectionLost(f"Supabase's gateway answered {status} in place of the database.", cure=_AGAIN),
            Outcome.UNKNOWN,
        )
    if status == _NOT_FOUND or not isinstance(body, Mapping):
        return Failure(_not_supabase(status))
    return Failure(UnexpectedAnswer(f"Supabase refused the call with status {status}."))
