"""A Supabase project's REST interface, as small as it can be: RPC only, over a real database.

It speaks what Kong and PostgREST 14 to 16 document (docs.postgrest.org, its specs, Supabase's kong.yml): who a key is,
one transaction a call, read only for what is STABLE, the shape and status of answers and of errors. And it can be told
to fail on its next calls in the ways that networks and gateways do.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar, Final, Literal, Self
from urllib.parse import parse_qsl, urlsplit

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg_pool import ConnectionPool, PoolTimeout

__all__ = ["Call", "Fault", "Gateway", "Refusal", "token"]

_PREFIX: Final = "/rest/v1/rpc/"
_SKEW_SECONDS: Final = 30
_JSON: Final = "application/json; charset=utf-8"
_SIGNING_SECRET: Final = "the-gateway-s-own-signing-secret-of-32-bytes"

# By SQLSTATE or the beginning of one, the longest first (PostgREST's table of errors).
_STATUS: Final = {
    "25006": 405, "42501": 403, "42883": 404, "42P01": 404, "42P17": 500, "23503": 409, "23505": 409,
    "P0001": 400, "57P01": 503, "40001": 500, "40P01": 500, "55P03": 500, "57014": 500, "53400": 500, "22023": 400,
    "21000": 500, "P0": 500, "08": 503, "09": 500, "0L": 403, "0P": 403, "25": 500, "28": 403, "2D": 500, "38": 500,
    "39": 500, "3B": 500, "40": 500, "53": 503, "54": 500, "55": 500, "57": 500, "58": 500, "F0": 500, "HV": 500,
    "XX": 500,
}  # fmt: skip

_FUNCTIONS: Final = """
SELECT p.provolatile <> 'v', p.proretset, p.prorettype = 'void'::regtype,
  coalesce(p.proargnames, '{}'), p.pronargs, p.pronargdefaults,
  ARRAY(SELECT pg_catalog.format_type(t.type, NULL)
    FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY AS t (type, n) ORDER BY n),
  -- a limit that a function sets for itself begins too late; PostgREST sets it before the call
  (SELECT substr(c.setting, strpos(c.setting, '=') + 1) FROM unnest(p.proconfig) AS c (setting)
    WHERE c.setting LIKE 'statement_timeout=%%')
FROM pg_catalog.pg_proc AS p WHERE p.pronamespace = %s::regnamespace AND p.proname = %s
"""
_ROLE_SETTINGS: Final = """
SELECT split_part(s.setting, '=', 1), substr(s.setting, strpos(s.setting, '=') + 1)
FROM pg_catalog.pg_db_role_setting AS r CROSS JOIN LATERAL unnest(r.setconfig) AS s (setting)
WHERE r.setrole = to_regrole(%s) AND r.setdatabase = 0
"""


def _part(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def token(role: str | None, *, expires: float | None = None, secret: str = _SIGNING_SECRET) -> str:
    """A JSON web token as Supabase's legacy keys are (HS256)."""
    claims = {"iss": "supabase", **({} if role is None else {"role": role})}
    claims |= {} if expires is None else {"exp": expires}  # type: ignore[dict-item]
    head = f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{_part(claims)}"
    return f"{head}.{_part(hmac.digest(secret.encode(), head.encode(), hashlib.sha256))}"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What happens to the next calls: before they reach the database, or after they were done.

    `status` answers with that status in place of the result; `silence` never answers; `cut` breaks the answer off in
    the middle; `drop` closes the connection without a word; `trickle` gives the answer a sign at a time, and never the
    last one; `drip` does so from the headers on, a sign every `seconds`. `after` calls of the same function come first.
    """

    kind: Literal["status", "silence", "cut", "drop", "trickle", "drip"]
    done: bool = False
    status: int = 503
    seconds: float = 0.02
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "text/html"
    body: str = "<html><body>upstream</body></html>"
    function: str = ""
    times: int = 1
    after: int = 0


@dataclass(frozen=True)
class Call:
    """One request that came in, and the status that it was answered with (0: none)."""

    function: str
    status: int


@dataclass
class Refusal(Exception):
    """An error body of PostgREST's."""

    status: int
    code: str
    message: str
    details: object = None
    hint: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        document = {"code": self.code, "details": self.details, "hint": self.hint, "message": self.message}
        return json.dumps(document).encode()


@dataclass(frozen=True)
class _Function:
    reads_only: bool
    is_set: bool
    is_void: bool
    names: tuple[str, ...]
    required: frozenset[str]
    types: tuple[str, ...]
    statement_timeout: str | None

    @property
    def takes_body(self) -> bool:
        return self.names == ("",) and self.types[0] in {"json", "jsonb"}


@dataclass(frozen=True)
class _Request:
    name: str
    role: str
    claims: Mapping[str, Any]
    headers: Mapping[str, str]
    is_post: bool


@dataclass(frozen=True)
class _Answer:
    status: int
    body: bytes = b""
    content_type: str = _JSON
    headers: Mapping[str, str] = field(default_factory=dict)


class Gateway:
    """The interface of one database. `conninfo` leads there; it logs in as `authenticator`, as PostgREST does."""

    def __init__(
        self, conninfo: str, *, connections: int = 10, pool_seconds: float = 10, max_rows: int | None = 1000
    ) -> None:
        self.service_key: Final = token("service_role")
        self.anon_key: Final = token("anon")
        self.authenticated_key: Final = token("authenticated")
        # a word that tests find again wherever it comes to light (support/planted.py)
        self.secret_key: Final = "sb_secret_PLANTED-service-key"
        self.publishable_key: Final = "sb_publishable_gateway0123456789"
        self.expired_key: Final = token("service_role", expires=time.time() - 3600)
        self.calls: Final[list[Call]] = []
        self.max_rows: Final = max_rows
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self.pool: Final = ConnectionPool(
            make_conninfo(conninfo, user="authenticator"),
            min_size=0,
            max_size=connections,
            timeout=pool_seconds,
            open=True,
            check=ConnectionPool.check_connection,
            kwargs={"prepare_threshold": None, "application_name": "gateway"},
        )
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"gateway": self}))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The project's address."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def fail(self, *faults: Fault) -> None:
        """Let the next calls fail so, one after the other."""
        with self._lock:
            for fault in faults:
                again = replace(fault, after=0)
                self._faults.extend([fault, *[again] * (fault.times - 1)])

    def recover(self) -> None:
        """Fail no more."""
        with self._lock:
            self._faults.clear()

    def settings(self) -> dict[str, str]:
        """What a user of the product sets."""
        return {"SUPABASE_URL": self.url, "SUPABASE_SERVICE_ROLE_KEY": self.service_key}

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self.pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def next_fault(self, function: str) -> Fault | None:
        with self._lock:
            for place, fault in enumerate(self._faults):
                if fault.function not in {"", function}:
                    continue
                if fault.after:
                    self._faults[place] = replace(fault, after=fault.after - 1)
                else:
                    del self._faults[place]
                    return fault
                break
        return None

    def hold(self, seconds: float | None = None) -> bool:
        """Say nothing for so long, or for as long as this gateway lives; whether it has been closed."""
        return self._closing.wait(seconds)

    def role(self, headers: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
        """Who calls: Kong looks at `apikey`, PostgREST at the token."""
        key = headers.get("apikey")
        known = {
            self.service_key: None, self.anon_key: None, self.authenticated_key: None, self.expired_key: None,
            self.secret_key: self.service_key, self.publishable_key: self.anon_key,
        }  # fmt: skip
        if key is None or key not in known:
            raise _Unauthorized("No API key found in request" if key is None else "Invalid API key")
        bearer = headers.get("authorization", "").removeprefix("Bearer ").strip() or known[key]
        claims = {} if bearer is None else _claims(bearer)
        role = str(claims.setdefault("role", "anon"))
        return role, claims

    def run(self, method: str, path: str, headers: Mapping[str, str], content: bytes) -> _Answer:
        """Carry out one request, as PostgREST does."""
        role, claims = self.role(headers)
        address = urlsplit(path)
        name = address.path.removeprefix(_PREFIX)
        if method not in {"GET", "HEAD", "POST"}:
            raise Refusal(405, "PGRST101", f"Cannot use the {method} method on RPC")
        is_post = method == "POST"
        schema = headers.get("content-profile" if is_post else "accept-profile", "public")
        # what PostgREST hands on; the key stays here
        shown = {name: value for name, value in headers.items() if name in {"user-agent", "host"}}
        if schema != "public":
            raise Refusal(
                406,
                "PGRST106",
                f"Invalid schema: {schema}",
                hint="Only the following schemas are exposed: public",
            )
        body = _body(content) if is_post else dict(parse_qsl(address.query, keep_blank_values=True))
        try:
            with self.pool.connection() as connection:
                function, arguments = _chosen(self._functions(connection, name), name, body)
                connection.rollback()
                asked = _Request(name, role, claims, shown, is_post)
                return self._call(connection, asked, function, arguments)
        except PoolTimeout:
            raise Refusal(504, "PGRST003", "Timed out acquiring connection from connection pool.") from None
        except psycopg.Error as error:
            raise _refusal(error, role) from error

    @staticmethod
    def _functions(connection: psycopg.Connection, name: str) -> list[_Function]:
        found = []
        for reads_only, is_set, is_void, names, count, defaults, types, limit in connection.execute(
            _FUNCTIONS, ("public", name)
        ):
            inputs = tuple(names[:count]) or ("",) * count
            required = frozenset(inputs[: count - defaults])
            found.append(_Function(reads_only, is_set, is_void, inputs, required, tuple(types), limit))
        return found

    def _call(
        self, connection: psycopg.Connection, request: _Request, function: _Function, arguments: object
    ) -> _Answer:
        with connection.transaction():
            if not request.is_post or function.reads_only:
                connection.execute("SET TRANSACTION READ ONLY")
            settings = dict(connection.execute(_ROLE_SETTINGS, (request.role,)).fetchall()) | {
                "role": request.role,
                "search_path": '"public", "extensions"',
                "request.jwt.claims": json.dumps(request.claims),
                "request.headers": json.dumps(request.headers),
            }
            if function.statement_timeout is not None:
                settings["statement_timeout"] = function.statement_timeout
            for setting, value in settings.items():
                connection.execute("SELECT set_config(%s, %s, true)", (setting, value))
            text, rows = self._result(connection, request.name, function, arguments)
        if function.is_void:
            return _Answer(204, content_type="")
        ends = "*" if rows == 0 else f"0-{rows - 1}"
        return _Answer(200, text.encode(), headers={"Content-Range": f"{ends}/*"})

    def _result(
        self, connection: psycopg.Connection, name: str, function: _Function, arguments: object
    ) -> tuple[str, int]:
        source, values = _source(name, function, arguments)
        if function.is_set:
            limit = sql.SQL("") if self.max_rows is None else sql.SQL(" LIMIT {}").format(self.max_rows)
            query = sql.SQL(
                "SELECT coalesce(json_agg(r), '[]')::text, count(*) FROM (SELECT * FROM {}{}) AS r"
            ).format(source, limit)
        elif function.is_void:
            query = sql.SQL("SELECT {}::text, 1").format(source)
        else:
            query = sql.SQL("SELECT coalesce(to_json({})::text, 'null'), 1").format(source)
        row = connection.execute(query, values).fetchone()
        assert row is not None
        return str(row[0]), int(row[1])


def _source(name: str, function: _Function, arguments: object) -> tuple[sql.Composed, list[str]]:
    """The call in SQL, each argument read out of the body as the type of its parameter."""
    called = sql.Identifier("public", name)
    text = json.dumps(arguments)
    if function.takes_body:
        return sql.SQL("{}(%s::{})").format(called, sql.SQL(function.types[0])), [text]
    given = [
        (one, kind)
        for one, kind in zip(function.names, function.types, strict=True)
        if isinstance(arguments, dict) and one in arguments
    ]
    passed = [
        sql.SQL("{0} => (SELECT a.{0} FROM json_to_record(%s::json) AS a ({0} {1}))").format(
            sql.Identifier(one), sql.SQL(kind)
        )
        for one, kind in given
    ]
    return sql.SQL("{}({})").format(called, sql.SQL(", ").join(passed)), [text] * len(given)


class _Unauthorized(Exception):
    """Kong's refusal, whose body is not PostgREST's."""


def _claims(bearer: str) -> dict[str, Any]:
    parts = bearer.split(".")
    if len(parts) != 3:
        raise Refusal(401, "PGRST301", f"Expected 3 parts in JWT; got {len(parts)}")
    head, _, signature = bearer.rpartition(".")
    expected = _part(hmac.digest(_SIGNING_SECRET.encode(), head.encode(), hashlib.sha256))
    if not hmac.compare_digest(expected, signature):
        raise Refusal(401, "PGRST301", "No suitable key or wrong key type")
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    if "exp" in claims and claims["exp"] < time.time() - _SKEW_SECONDS:
        says = 'Bearer error="invalid_token", error_description="JWT expired"'
        raise Refusal(401, "PGRST303", "JWT expired", headers={"WWW-Authenticate": says})
    return claims


def _body(content: bytes) -> Any:  # noqa: ANN401 - JSON
    try:
        body = json.loads(content or b"{}")
    except ValueError:
        raise Refusal(400, "PGRST102", "Empty or invalid json") from None
    return body[0] if isinstance(body, list) and body and isinstance(body[0], dict) else body


def _chosen(candidates: list[_Function], name: str, body: Any) -> tuple[_Function, object]:  # noqa: ANN401 - JSON
    given = frozenset(body) if isinstance(body, dict) else frozenset[str]()
    fitting = [
        one for one in candidates
        if isinstance(body, dict) and one.required <= given <= frozenset(one.names) and "" not in one.names
    ]  # fmt: skip
    fitting = fitting or [one for one in candidates if one.takes_body]
    if len(fitting) > 1:
        raise Refusal(
            300,
            "PGRST203",
            f"Could not choose the best candidate function between: public.{name}, public.{name}",
        )
    if not fitting:
        asked = f"public.{name}({', '.join(sorted(given))})" if given else f"public.{name}"
        known = candidates[0] if candidates else None
        raise Refusal(
            404,
            "PGRST202",
            f"Could not find the function {asked} in the schema cache",
            details=f"Searched for the function {asked}, but no matches were found in the schema cache.",
            hint=None
            if known is None
            else f"Perhaps you meant to call the function public.{name}({', '.join(known.names)})",
        )
    return fitting[0], body


def _refusal(error: psycopg.Error, role: str) -> Refusal:
    code = error.sqlstate
    diagnosis = error.diag
    message = diagnosis.message_primary
    if code is None or message is None:
        return Refusal(503, "PGRST001", "Database client error. Retrying the connection.")
    status = next((_STATUS[code[:n]] for n in range(5, 1, -1) if code[:n] in _STATUS), 400)
    if code == "42501" and role == "anon":
        status = 401
    if code == "21000" and "requires a WHERE clause" in message:
        status = 400
    if re.fullmatch(r"PT\d{3}", code):
        status = int(code[2:])
    elif code.startswith("PT"):
        status = 500
    return Refusal(status, code, message, diagnosis.message_detail, diagnosis.message_hint)


class _Handler(BaseHTTPRequestHandler):
    gateway: ClassVar[Gateway]
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        function = urlsplit(self.path).path.removeprefix(_PREFIX)
        fault = self.gateway.next_fault(function)
        if fault is not None and not fault.done:
            self._misbehave(fault, function, b"[]")
            return
        answer = self._answer(content)
        if fault is not None:
            self._misbehave(fault, function, answer.body)
            return
        self.gateway.calls.append(Call(function, answer.status))
        self._send(answer)

    do_GET = do_HEAD = do_POST = do_DELETE = do_PUT = do_PATCH = _serve  # noqa: N815 - named by the library

    def _answer(self, content: bytes) -> _Answer:
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            return self.gateway.run(self.command, self.path, headers, content)
        except _Unauthorized as error:
            return _Answer(401, json.dumps({"message": str(error)}).encode())
        except Refusal as refused:
            told = {"Proxy-Status": f"PostgREST; error={refused.code}", **refused.headers}
            if refused.status == 503:
                told["Retry-After"] = "0"
            return _Answer(refused.status, refused.body, headers=told)

    def _misbehave(self, fault: Fault, function: str, body: bytes) -> None:
        self.gateway.calls.append(Call(function, fault.status if fault.kind == "status" else 0))
        self.close_connection = True
        match fault.kind:
            case "status":
                self._send(_Answer(fault.status, fault.body.encode(), fault.content_type, fault.headers))
                return
            case "silence":
                self.gateway.hold()
            case "cut":
                self._send(_Answer(200, body), cut=True)
            case "trickle":
                self._send(_Answer(200, body), trickles=True)
            case "drip":
                self._drip(fault.seconds)
            case "drop":
                pass

    def _drip(self, seconds: float) -> None:
        # whoever asked may have gone
        with suppress(ConnectionError):
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not self.gateway.hold(seconds):
                self.wfile.write(b"-")

    def _send(self, answer: _Answer, *, cut: bool = False, trickles: bool = False) -> None:
        # whoever asked may have gone
        with suppress(ConnectionError):
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.content_type:
                self.send_header("Content-Type", answer.content_type)
            if answer.status != 204:
                # of what trickles, 50 signs a second, nobody waits for the last
                more = 1_000_000 if trickles else 100 if cut else 0
                self.send_header("Content-Length", str(len(answer.body) + more))
            self.end_headers()
            if trickles:
                while not self.gateway.hold(0.02):
                    self.wfile.write(b" ")
            elif self.command != "HEAD":
                self.wfile.write(answer.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""
