"""Supabase fails in the middle of `post-audit run`: one sentence, a cure, an exit code, and no key anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from tests.database.test_rest_runs import ALWAYS, IN_THE_MIDDLE, LASTING
from tests.support import marketplace
from tests.support.gateway import Gateway
from tests.support.product import Product

pytestmark = pytest.mark.acceptance


@pytest.fixture
def owner(supabase_conninfo: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(supabase_conninfo, autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize("key", ["secret_key", pytest.param("service_key", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(fault, marks=[] if fault == "expired" else pytest.mark.slow)
        for fault in LASTING
        # these take ten seconds a call
        if fault not in {"silence", "trickle", "drip"}
    ],
)
def test_it_is_told_in_a_sentence(
    tmp_path: Path, gateway: Gateway, owner: psycopg.Connection, fault: str, key: str
) -> None:
    secret = getattr(gateway, key)
    settings = gateway.settings() | {"SUPABASE_SERVICE_ROLE_KEY": secret, "POST_AUDIT_LOG_LEVEL": "DEBUG"}
    product = Product(tmp_path, settings, preloaded=True)
    what, kind, said = LASTING[fault]
    gateway.fail(replace(what, after=IN_THE_MIDDLE, times=ALWAYS))
    ended = product.run("run")
    assert ended.returncode == kind.exit_code, (ended.stdout, ended.stderr)
    assert said in " ".join(ended.stderr.split())
    assert "Traceback" not in ended.stdout + ended.stderr
    everywhere = ended.stdout + ended.stderr + product.log.read_text()
    assert secret not in everywhere
    assert gateway.service_key.rpartition(".")[2] not in everywhere
    decided = marketplace.one(owner, "SELECT count(*) FROM post_audit.decisions")
    assert 0 < decided < 6

    # it comes back, and so does the run: the dead owner's lease is not waited for
    gateway.recover()
    report = product.json("run")
    assert (report["state"], report["origin"]) == ("completed", "resumed")
    assert marketplace.one(owner, "SELECT count(*) FROM post_audit.decisions") == 6
    assert marketplace.one(owner, "SELECT count(*) FROM post_audit.runs") == 1
