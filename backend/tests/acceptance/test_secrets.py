"""A secret of the settings is in no log, in no output and in no table, whatever happens."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest

from tests.support import marketplace
from tests.support.planted import PLANTED, QUOTED, everything, found, planted_settings
from tests.support.product import Product

pytestmark = pytest.mark.acceptance


@pytest.fixture
def planted(tmp_path: Path, reached: dict[str, str]) -> Product:
    return Product(tmp_path, planted_settings(reached), preloaded=True)


def test_a_run_its_failure_and_its_undo_tell_no_secret(
    tmp_path: Path, demonstration_reached: dict[str, str], looking: psycopg.Connection
) -> None:
    product = Product(tmp_path, planted_settings(demonstration_reached), preloaded=True)
    said: list[str] = []

    def told(code: int, *command: str) -> None:
        ended = product.run(*command)
        assert ended.returncode == code, ended.stderr
        said.extend((ended.stdout, ended.stderr))

    told(0, "run", "--json")
    told(0, "undo", "2")
    told(0, "status")
    told(2, "import", "nowhere.json")
    looking.execute("DROP FUNCTION public.post_audit_read_fake_data")
    told(1, "run")
    assert found(*said, product.log.read_text(), everything(looking)) == []


def test_a_secret_that_the_server_repeats_in_its_error_is_told_to_nobody(
    planted: Product, connection: psycopg.Connection
) -> None:
    """As foreign tables and links to other databases do: the address and its password stand in the message."""
    way_in = planted.settings.get("DATABASE_URL", planted.settings["SUPABASE_SERVICE_ROLE_KEY"])
    message = f"could not connect to {way_in}"
    marketplace.rewrite(
        connection, "post_audit_read_bugs", f"RAISE EXCEPTION '%', $address${message}$address$"
    )
    ran = [planted.run("run"), planted.run("step", "bugs", "--json")]
    assert [ended.returncode for ended in ran] == [1, 1]
    places = {
        "output": "".join(ended.stdout + ended.stderr for ended in ran),
        "log": planted.log.read_text(),
        "tables": everything(connection),
    }
    assert [place for place, text in places.items() if found(text)] == []


@pytest.mark.direct_only("what is changed is DATABASE_URL; test_supabase_fails.py changes keys")
@pytest.mark.parametrize(
    "change",
    [
        (QUOTED, "PLANTEDwrong"),
        ("/scratch", "/no_such_scratch"),
        ("127.0.0.1:", "127.0.0.1:9"),
        ("127.0.0.1", "no-such-host.invalid"),
        ("postgresql://", "postgresql//"),
        ("postgresql://", ""),
        (QUOTED, "PLANTED p@ss/word:1"),
        (QUOTED, "PLANTED%zz"),
    ],
    ids=["password", "database", "port", "host", "no colon", "no scheme", "not quoted", "badly quoted"],
)
def test_what_cannot_connect_tells_no_secret(planted: Product, change: tuple[str, str]) -> None:
    address = planted.settings["DATABASE_URL"].replace(*change)
    assert address != planted.settings["DATABASE_URL"]
    product = Product(planted.folder, PLANTED | {"DATABASE_URL": address}, preloaded=True)
    told = product.run("run")
    document = product.run("status", "--json")
    assert (told.returncode, document.returncode) == (2, 2)
    assert json.loads(document.stdout)["error"]["cure"]
    log = product.log.read_text() if product.log.exists() else ""
    assert found(told.stdout, told.stderr, document.stdout, document.stderr, log) == []


@pytest.mark.parametrize("name", ["POST_AUDIT_PORT", "POST_AUDIT_LEASE_SECONDS", "SUPABASE_URL"])
def test_a_secret_in_the_wrong_setting_is_not_repeated(tmp_path: Path, name: str) -> None:
    ended = Product(tmp_path, {name: "PLANTED-in-the-wrong-place"}, preloaded=True).run("run")
    assert ended.returncode == 2
    assert name in ended.stderr
    assert found(ended.stdout, ended.stderr) == []
