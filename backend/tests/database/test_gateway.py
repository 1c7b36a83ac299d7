"""The gateway of these tests speaks what PostgREST and Supabase document, case by case.

Each case names the specification of PostgREST, or the file of Supabase's, that it was taken from.
"""

from __future__ import annotations

import json
import threading
import time
from typing import Any, Final

import httpx2
import psycopg
import pytest

from tests.support.gateway import Gateway, token

pytestmark = pytest.mark.database

FUNCTIONS: Final = """
CREATE FUNCTION public.answer() RETURNS jsonb
  LANGUAGE sql STABLE AS $$SELECT '{"n": 1.5}'::jsonb$$;
CREATE FUNCTION public.nothing() RETURNS jsonb
  LANGUAGE sql STABLE AS 'SELECT NULL::jsonb';
CREATE FUNCTION public.void() RETURNS void LANGUAGE sql VOLATILE AS '';
CREATE FUNCTION public.none() RETURNS SETOF integer
  LANGUAGE sql STABLE AS 'SELECT 1 WHERE false';
CREATE FUNCTION public.three() RETURNS TABLE (n integer)
  LANGUAGE sql STABLE AS 'SELECT generate_series(1, 3)';
CREATE FUNCTION public.add(a integer, b integer DEFAULT 1) RETURNS jsonb
  LANGUAGE sql STABLE AS 'SELECT to_jsonb(a + b)';
CREATE FUNCTION public.named(document jsonb) RETURNS jsonb
  LANGUAGE sql STABLE AS 'SELECT document';
CREATE FUNCTION public.whole(jsonb) RETURNS jsonb
  LANGUAGE sql STABLE AS 'SELECT $1';
CREATE FUNCTION public.twice(a integer) RETURNS jsonb
  LANGUAGE sql STABLE AS 'SELECT to_jsonb(a)';
CREATE FUNCTION public.twice(a text) RETURNS jsonb
  LANGUAGE sql STABLE AS 'SELECT to_jsonb(a)';
CREATE TABLE public.marks (n integer, CONSTRAINT once UNIQUE (n) DEFERRABLE INITIALLY DEFERRED);
CREATE FUNCTION public.mark(n integer) RETURNS jsonb
  LANGUAGE sql VOLATILE AS
  'INSERT INTO public.marks VALUES (n) RETURNING to_jsonb(marks)';
CREATE FUNCTION public.write() RETURNS integer
  LANGUAGE sql VOLATILE AS 'INSERT INTO public.marks VALUES (0) RETURNING 0';
CREATE FUNCTION public.stable_writer() RETURNS jsonb
  LANGUAGE sql STABLE AS 'SELECT to_jsonb(public.write())';
CREATE FUNCTION public.pay() RETURNS jsonb
  LANGUAGE plpgsql VOLATILE AS $$BEGIN
  RAISE EXCEPTION 'Payment Required' USING ERRCODE = 'PT402', DETAIL = 'Quota exceeded',
    HINT = 'Upgrade your plan'; END$$;
CREATE FUNCTION public.secret() RETURNS jsonb
  LANGUAGE sql STABLE AS 'SELECT NULL::jsonb';
REVOKE ALL ON FUNCTION public.secret() FROM PUBLIC, anon, authenticated;
CREATE FUNCTION public.slow() RETURNS jsonb
  LANGUAGE sql VOLATILE SET statement_timeout = '50ms' AS 'SELECT to_jsonb(pg_sleep(30)::text)';
CREATE FUNCTION public.wait() RETURNS jsonb
  LANGUAGE sql VOLATILE AS 'SELECT to_jsonb(pg_advisory_xact_lock(7)::text)';
CREATE FUNCTION public.who() RETURNS jsonb
  LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object('role', current_user, 'claims', current_setting('request.jwt.claims')::jsonb, 'headers',
    current_setting('request.headers')::jsonb, 'read_only', current_setting('transaction_read_only'))$$;
"""


@pytest.fixture
def project(gateway: Gateway, supabase_conninfo: str) -> Gateway:
    with psycopg.connect(supabase_conninfo, autocommit=True) as owner:
        owner.execute(FUNCTIONS)
    return gateway


def ask(
    gateway: Gateway,
    function: str,
    body: object = None,
    *,
    method: str = "POST",
    key: str | None = None,
    **headers: str,
) -> httpx2.Response:
    key = gateway.service_key if key is None else key
    content = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
    bearer = {} if key.startswith("sb_") else {"Authorization": f"Bearer {key}"}
    return httpx2.request(
        method,
        f"{gateway.url}/rest/v1/rpc/{function}",
        content=None if method == "GET" else content,
        headers={
            "apikey": key,
            **bearer,
            **{name.replace("_", "-"): value for name, value in headers.items()},
        },
        timeout=30,
    )


CASES: Final[list[tuple[str, dict[str, Any], int, object]]] = [
    ("1 jsonb: the bare value (RpcSpec)", {"function": "answer"}, 200, {"n": 1.5}),
    ("2 NULL is null (RpcSpec)", {"function": "nothing"}, 200, None),
    ("4 an empty set is [] (RpcSpec)", {"function": "none"}, 200, []),
    ("5 no such function (RpcSpec)", {"function": "gone"}, 404, "PGRST202"),
    ("6 an argument too many (RpcSpec)", {"function": "add", "body": {"a": 1, "c": 2}}, 404, "PGRST202"),
    ("6 a required one missing (RpcSpec)", {"function": "add", "body": {"b": 2}}, 404, "PGRST202"),
    ("6 a default (RpcSpec)", {"function": "add", "body": {"a": 1}}, 200, 2),
    ("7 named json has to be wrapped (RpcSpec)", {"function": "named", "body": {"x": 1}}, 404, "PGRST202"),
    ("7 and is (RpcSpec)", {"function": "named", "body": {"document": {"x": 1}}}, 200, {"x": 1}),
    ("8 unnamed json is the whole body (RpcSpec)", {"function": "whole", "body": {"x": [1]}}, 200, {"x": [1]}),
    ("9 two candidates (RpcSpec)", {"function": "twice", "body": {"a": 1}}, 300, "PGRST203"),
    ("10 no JSON (RpcSpec)", {"function": "add", "body": b'{"a":'}, 400, "PGRST102"),
    ("11 DELETE (RpcSpec)", {"function": "answer", "method": "DELETE"}, 405, "PGRST101"),
    ("12 GET on what writes (RpcSpec)", {"function": "mark?n=1", "method": "GET"}, 405, "25006"),
    ("13 STABLE that writes (transactions)", {"function": "stable_writer"}, 405, "25006"),
    ("20 another profile (MultipleSchemaSpec)", {"function": "answer", "Content_Profile": "private"}, 406, "PGRST106"),
    ("21 too slow (io/test_settings)", {"function": "slow"}, 500, "57014"),
    ("an array's first object (RpcSpec)", {"function": "add", "body": [{"a": 1}, {"a": 5}]}, 200, 2),
    ("no body is {} (RpcSpec)", {"function": "answer", "body": b""}, 200, {"n": 1.5}),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_conformance(project: Gateway, case: tuple[str, dict[str, Any], int, object]) -> None:
    _, request, status, expected = case
    answer = ask(project, **request)
    assert answer.status_code == status, answer.text
    if status == 200:
        assert answer.json() == expected
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
    else:
        assert answer.json()["code"] == expected
        assert answer.json().keys() == {"code", "message", "details", "hint"}
        assert answer.headers["proxy-status"] == f"PostgREST; error={expected}"


def test_3_void_has_no_content_type_or_length(project: Gateway) -> None:
    answer = ask(project, "void")
    assert (answer.status_code, answer.content) == (204, b"")
    assert not {"content-type", "content-length"} & set(answer.headers)


def test_14_an_error_of_ones_own_has_four_fields(project: Gateway) -> None:
    answer = ask(project, "pay")
    assert answer.status_code == 402
    assert answer.json() == {
        "code": "PT402", "message": "Payment Required", "details": "Quota exceeded", "hint": "Upgrade your plan",
    }  # fmt: skip


def test_15_a_deferred_duplicate_is_known_before_the_answer(project: Gateway) -> None:
    """RollbackSpec: the commit comes before the answer."""
    assert ask(project, "mark", {"n": 1}).status_code == 200
    again = ask(project, "mark", {"n": 1})
    assert (again.status_code, again.json()["code"]) == (409, "23505")


def test_16_to_19_and_25_who_a_key_is(project: Gateway) -> None:
    """AuthSpec, ErrorSpec, errors, kong-entrypoint."""
    outsiders = ((project.anon_key, 401), (project.publishable_key, 401), (project.authenticated_key, 403))
    for key, status in outsiders:
        answer = ask(project, "secret", key=key)
        assert (answer.status_code, answer.json()["code"]) == (status, "42501")
    expired = ask(project, "answer", key=project.expired_key)
    assert (expired.status_code, expired.json()["code"]) == (401, "PGRST303")
    assert 'error="invalid_token"' in expired.headers["www-authenticate"]
    for wrong in ("two.parts", "sb_secret_as_a_bearer", token("service_role", secret="another")):
        answer = ask(project, "answer", Authorization=f"Bearer {wrong}")
        assert (answer.status_code, answer.json()["code"]) == (401, "PGRST301")
    for key in (project.service_key, project.secret_key):
        told: Any = ask(project, "who", key=key, User_Agent="a-test").json()
        assert (told["role"], told["claims"]["role"], told["read_only"]) == (
            "service_role",
            "service_role",
            "on",
        )
        assert told["headers"]["user-agent"] == "a-test"
    assert ask(project, "who", key=project.anon_key).json()["role"] == "anon"


def test_22_an_exhausted_pool(supabase_conninfo: str) -> None:
    """io/test_connection: no connection came free in time."""
    with psycopg.connect(supabase_conninfo, autocommit=True) as owner:
        owner.execute(FUNCTIONS)
        owner.execute("SELECT pg_advisory_lock(7)")
        with Gateway(supabase_conninfo, connections=1, pool_seconds=0.2) as gateway:
            holding = threading.Thread(target=ask, args=(gateway, "wait"))
            holding.start()
            waits = "SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            deadline = time.monotonic() + 30
            while owner.execute(waits).fetchone() != (True,):
                assert time.monotonic() < deadline
            answer = ask(gateway, "answer")
            owner.execute("SELECT pg_advisory_unlock(7)")
            holding.join()
    assert (answer.status_code, answer.json()["code"]) == (504, "PGRST003")


def test_23_a_set_is_cut_silently(supabase_conninfo: str) -> None:
    """QueryLimitedSpec, with max-rows = 2."""
    with psycopg.connect(supabase_conninfo, autocommit=True) as owner:
        owner.execute(FUNCTIONS)
    with Gateway(supabase_conninfo, max_rows=2) as gateway:
        answer = ask(gateway, "three")
    assert (answer.status_code, answer.json()) == (200, [{"n": 1}, {"n": 2}])
    assert answer.headers["content-range"] == "0-1/*"


def test_24_no_key_is_refused_by_kong_and_not_by_postgrest(project: Gateway) -> None:
    """kong.yml: its body has no code."""
    answer = httpx2.post(f"{project.url}/rest/v1/rpc/answer", content=b"{}")
    assert (answer.status_code, answer.json()) == (401, {"message": "No API key found in request"})


def test_a_bare_value_has_a_range(project: Gateway) -> None:
    assert ask(project, "answer").headers["content-range"] == "0-0/*"
