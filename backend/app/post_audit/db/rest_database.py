"""The database port over Supabase's REST interface (PostgREST's RPC).

    POST {SUPABASE_URL}/rest/v1/rpc/{function}    arguments as one JSON object, the answer as bare JSON

PostgREST runs each call in one transaction and answers after its commit; a function that is STABLE runs read only.
So a call that was not answered may have been done, and is repeated only where that is known to be harmless.
"""

from __future__ import annotations

import base64
import binascii
import json
import random
import time
from typing import Final
from urllib.parse import urlsplit

import httpx2

from app.post_audit.codec import encode, utf8
from app.post_audit.db.rest_answers import KEY, URL, Answer, Failure, Outcome, read_answer
from app.post_audit.db.rest_exchange import Exchange
from app.post_audit.errors import (
    ConnectionLost,
    CredentialsRefused,
    DatabaseUnreachable,
    FunctionMissing,
    InvalidSetting,
    NotMigrated,
)
from app.post_audit.logs import get_logger
from app.post_audit.ports import JSON

__all__ = ["LONG_CALLS", "REPEATABLE", "RestDatabase"]

# Supabase ends a call of service_role after 8 s; its answer has two more to arrive.
_ANSWER_SECONDS: Final = 10.0
# Those that may carry out an import of 100,000 findings, 2 to 4 s of a server that has nothing else to do, declare 25 s
# for themselves, and PostgREST obeys that.
LONG_CALLS: Final = frozenset(
    {
        "post_audit_apply_approval",
        "post_audit_apply_batch",
        "post_audit_apply_decision",
        "post_audit_apply_import",
        "post_audit_apply_undo",
    }
)
# 27 s instead of 10
_TIMES_LONGER: Final = 2.7
# No repetition begins later than this after the call began. A lease lasts 30 s, and its heartbeat has 20 of them.
_PATIENCE_SECONDS: Final = 8.0
_TRIES: Final = 4
_FIRST_PAUSE_SECONDS: Final = 0.15
# PostgREST looks at the schema again within a second or so of a migration.
_TRIES_TO_FIND_A_FUNCTION: Final = 2
_SCHEMA_SECONDS: Final = 1.0

REPEATABLE: Final = frozenset(
    {
        # the same tick and owner get the same run and token
        "post_audit_apply_begin_run",
        # one decision for each run and step: the stored one is the answer
        "post_audit_apply_decision",
        # what was carried out is not carried out again; the next batch is
        "post_audit_apply_batch",
        # each sets what it says, whatever it was
        "post_audit_apply_extend_lease",
        "post_audit_apply_step_outcome",
        "post_audit_apply_initial_modes",
        # a content that is known is answered as known
        "post_audit_apply_audit",
        # what has ended, is given back or is settled just so stays as it is
        "post_audit_apply_finish_run",
        "post_audit_apply_release_run",
        "post_audit_apply_settle_message",
    }
)
"""Functions that change something and may be called twice with the same arguments."""

_log = get_logger(__name__)


def _base(url: str) -> tuple[str, str]:
    """The address of the REST interface and the host's name, or `InvalidSetting`."""
    parts = urlsplit(url.strip())
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if parts.scheme not in {"http", "https"} or not host or parts.query or parts.fragment or parts.username:
        raise InvalidSetting(
            f"{URL} is not the address of a Supabase project.",
            cure="Write it as https://PROJECT.supabase.co.",
        )
    path = parts.path.rstrip("/").removesuffix("/rest/v1")
    return f"{parts.scheme}://{parts.netloc}{path}/rest/v1", host if port is None else f"{host}:{port}"


def _headers(key: str) -> dict[str, str]:
    """Who we are: a JSON web token goes as both, an `sb_secret_` key as `apikey` alone."""
    if not key.isascii() or not key.isprintable() or " " in key:
        raise InvalidSetting(
            f"{KEY} is no key: it has signs that no key has.",
            cure="Copy it again, without line breaks or quotes.",
        )
    role = _role_of(key)
    if key.startswith("sb_publishable_") or role in {"anon", "authenticated"}:
        raise CredentialsRefused(
            f"The key in {KEY} is the project's public one ({role or 'publishable'}).",
            cure="Set it to the project's secret key (sb_secret_...) or its service_role key "
            "(Supabase: Project Settings > API Keys).",
        )
    headers = {"apikey": key}
    if not key.startswith("sb_"):
        headers["Authorization"] = f"Bearer {key}"
    return headers


def _role_of(key: str) -> str | None:
    """The role that a JSON web token claims; None for anything else. Its signature is the server's business."""
    parts = key.split(".")
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (IndexError, ValueError, binascii.Error):
        return None
    role = claims.get("role") if isinstance(claims, dict) else None
    return role if isinstance(role, str) else None


class RestDatabase:
    """Calls the migration's functions over HTTP; safe to use from several threads.

    `answer_seconds` is how long one answer may take, `patience_seconds` how long after its begin a call is still
    repeated.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        connections: int = 6,
        answer_seconds: float = _ANSWER_SECONDS,
        patience_seconds: float = _PATIENCE_SECONDS,
    ) -> None:
        """Prepare a client; nothing is sent before the first call."""
        base, self._host = _base(url)
        self._answer_seconds = answer_seconds
        self._patience_seconds = patience_seconds
        self._exchange = Exchange(
            base,
            {
                **_headers(key.strip()),
                "Content-Type": "application/json",
                "Content-Profile": "public",
                "Accept": "application/json",
                # a browser's name is refused for a secret key
                "User-Agent": "post-audit",
            },
            connections=connections,
        )

    def describe(self) -> str:
        """Say where this database is, without its key."""
        return f"{self._host} (Supabase REST)"

    def close(self) -> None:
        """Give back every connection."""
        self._exchange.close()

    def call(self, function: str, **arguments: object) -> JSON:
        """Run one SQL function in one transaction of its own. See `ports.Database`."""
        body = utf8(encode(arguments))
        may_repeat = function.startswith("post_audit_read_") or function in REPEATABLE
        began, pause = time.monotonic(), _FIRST_PAUSE_SECONDS
        tried = 0
        while True:
            answer, asked = self._once(function, body)
            if isinstance(answer, Answer):
                return answer.value
            tried += 1
            error = answer.error
            is_missing = isinstance(error, FunctionMissing)
            is_safe = answer.outcome is Outcome.NOT_DONE or (answer.outcome is Outcome.UNKNOWN and may_repeat)
            # spread, so that those who were refused together do not come back together
            spread = pause * random.uniform(0.75, 1.25)  # noqa: S311 - no secret
            wait = max(asked, _SCHEMA_SECONDS if is_missing else spread)
            is_late = time.monotonic() + wait - began > self._patience_seconds
            if not is_safe or is_late or tried >= (_TRIES_TO_FIND_A_FUNCTION if is_missing else _TRIES):
                break
            _log.info("rest.again", function=function, tried=tried, why=type(error).__name__)
            time.sleep(wait)
            pause *= 3
        if is_missing and not self._is_migrated():
            raise NotMigrated(
                f"The database {self.describe()} does not have the protocol's tables and functions.",
                cure="Apply the migration: set DATABASE_URL for once and call post-audit migrate, or paste the file "
                "into Supabase's SQL editor.",
            )
        if asked:
            error.cure = f"Supabase asks to wait {asked:.0f} s. {error.cure}".strip()
        raise error

    def _is_migrated(self) -> bool:
        answer, _ = self._once("post_audit_read_status", b"{}")
        return not (isinstance(answer, Failure) and isinstance(answer.error, FunctionMissing))

    def _once(self, function: str, body: bytes) -> tuple[Answer | Failure, float]:
        """Send one request; what came of it, and how many seconds the server asks us to wait."""
        seconds = self._answer_seconds * (_TIMES_LONGER if function in LONG_CALLS else 1.0)
        try:
            response, content = self._exchange.post(f"/rpc/{function}", body, seconds=seconds)
        except httpx2.HTTPError as error:
            return self._not_answered(error), 0.0
        if response.is_redirect:
            return Failure(
                DatabaseUnreachable(
                    f"{URL} leads to another address.", cure="Set it to the address that it leads to."
                )
            ), 0.0
        answer = read_answer(
            function, response.status_code, response.headers.get("content-type", ""), content
        )
        # Seconds; the other form, a date, is not used by Supabase. PostgREST always says 0.
        asked = response.headers.get("retry-after", "")
        return answer, float(asked) if asked.isdecimal() else 0.0

    def _not_answered(self, error: httpx2.HTTPError) -> Failure:
        """Name a request that got no whole answer. The library's text is left out: it may hold what was sent."""
        if isinstance(error, (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError)):
            unreachable = DatabaseUnreachable(
                f"Nobody answers at {self._host}.",
                cure=f"Check {URL}, and that the project is not paused.",
            )
            is_worth_repeating = isinstance(error, httpx2.ConnectError)
            return Failure(unreachable, Outcome.NOT_DONE if is_worth_repeating else Outcome.REFUSED)
        if isinstance(error, httpx2.PoolTimeout):
            return Failure(
                ConnectionLost("All connections to Supabase are busy.", cure="Run again."), Outcome.REFUSED
            )
        if isinstance(error, httpx2.TimeoutException):
            return Failure(
                ConnectionLost(
                    "Supabase did not answer in time.",
                    cure="Run again: what was decided before is kept and not decided twice.",
                ),
                Outcome.UNKNOWN,
            )
        return Failure(
            ConnectionLost(
                "The connection to Supabase broke.",
                cure="Run again: what was decided before is kept and not decided twice.",
            ),
            Outcome.UNKNOWN,
        )
