"""No UPDATE and no DELETE of the migration is without a WHERE."""

from __future__ import annotations

from typing import Final

import pytest

from tests.database.migration.conftest import MIGRATION
from tests.database.migration.statements import Statement, statements

FAULTS: Final = [
    "UPDATE post_audit.runs SET owner = 'x'",
    "UPDATE ONLY post_audit.runs AS r SET owner = (SELECT o.name FROM owners AS o WHERE o.id = 1); SELECT 1 WHERE true",
    "DELETE FROM post_audit.runs;",
    "DELETE FROM post_audit.runs USING others AS o -- WHERE true",
    "WITH gone AS (DELETE FROM a RETURNING id) SELECT * FROM gone WHERE true",
    "CREATE FUNCTION f() RETURNS void AS $body$ BEGIN DELETE FROM a; PERFORM 1 WHERE true; END $body$",
    "EXECUTE format('UPDATE %I.%I SET a = ''WHERE''', x, y)",
    "EXECUTE format('WITH k AS (SELECT 1 WHERE true) UPDATE %1$s AS c SET %2$s FROM k', x, y)",
    'DELETE FROM "where"',
]
HARMLESS: Final = [
    "UPDATE a SET b = CASE WHEN EXISTS (SELECT 1 FROM c) THEN 1 END WHERE d = 2 RETURNING e",
    "WITH gone AS (DELETE FROM a WHERE b = 1 RETURNING id) SELECT * FROM gone",
    "EXECUTE format('DELETE FROM %s AS c USING k WHERE c.id = k.id', x)",
]
NOTHING: Final = [
    "INSERT INTO a VALUES (1) ON CONFLICT (id) DO UPDATE SET b = EXCLUDED.b",
    "SELECT 1 FROM a FOR UPDATE; SELECT set_config('a', 'b', true); SET LOCAL x = 1",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON a TO b; ALTER TABLE a SET (fillfactor = 70)",
    "CREATE TRIGGER t BEFORE UPDATE OR DELETE ON a FOR EACH ROW EXECUTE FUNCTION f()",
    "CREATE TABLE a (b integer REFERENCES c (d) ON DELETE SET NULL ON UPDATE SET NULL)",
    "-- UPDATE a SET b = 1",
]


def test_every_statement_has_a_where() -> None:
    found = list(statements(MIGRATION.read_text(encoding="utf-8")))
    # nearly all of them write into the tables of one schema; fewer would mean that the bodies were not read
    assert len([one for one in found if "post_audit" in one.start]) > 40
    assert [one.start for one in found if not one.has_where] == []


@pytest.mark.parametrize("sql", FAULTS)
def test_one_without_is_found(sql: str) -> None:
    assert [one.has_where for one in statements(sql)] == [False]


@pytest.mark.parametrize("sql", HARMLESS)
def test_one_with_is_found_and_passes(sql: str) -> None:
    assert [one.has_where for one in statements(sql)] == [True]


@pytest.mark.parametrize("sql", NOTHING)
def test_what_is_none_is_left_alone(sql: str) -> None:
    assert list(statements(sql)) == []


def test_a_statement_tells_how_it_starts() -> None:
    assert list(statements("UPDATE a SET b = 1")) == [Statement("UPDATE a SET b = 1", has_where=False)]
