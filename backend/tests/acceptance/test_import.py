"""`post-audit import`: a real report becomes tasks once; a hostile file is refused, named, and changes nothing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

import psycopg
import pytest

from tests.support import marketplace
from tests.support.product import BACKEND, Product

pytestmark = [pytest.mark.acceptance]

AUDITS: Final = BACKEND.parent.parent / "shared" / "data" / "audits"
REAL: Final = AUDITS / "client-security-audit.json"
FINDING: Final = {"title": "Debug route is open", "severity": "low", "file": "debug.ts", "line": 3}

BILLION_LAUGHS: Final = (
    '<?xml version="1.0"?>\n<!DOCTYPE report [\n <!ENTITY l0 "lol">\n'
    + "".join(f' <!ENTITY l{n} "{f"&l{n - 1};" * 10}">\n' for n in range(1, 10))
    + "]>\n<report><finding>&l9;</finding></report>\n"
)


def _cut_off(path: Path) -> None:
    whole = json.dumps([FINDING] * 100)
    path.write_text(whole[: len(whole) // 2])


def _cut_off_at_a_bracket(path: Path) -> None:
    whole = json.dumps({"findings": [FINDING] * 100})
    path.write_text(whole[: whole.rindex("}", 0, len(whole) // 2) + 1])


def _far_too_large(path: Path) -> None:
    with path.open("wb") as file:
        file.write(b"[")
        file.seek(200_000_000 - 1)  # takes no room on the disk
        file.write(b"]")


def _large_and_hollow(path: Path) -> None:
    with path.open("wb") as file:
        file.write(b"[")
        file.seek(99_000_000 - 1)
        file.write(b"]")


def _billion_laughs(path: Path) -> None:
    path.write_text(BILLION_LAUGHS)


def _deep(path: Path) -> None:
    path.write_text("[" * 200_000 + "]" * 200_000)


def _deep_mapping(path: Path) -> None:
    path.write_text('{"a":' * 200_000 + "1" + "}" * 200_000)


def _million_digits(path: Path) -> None:
    path.write_text('[{"title": "x", "severity": "low", "line": ' + "9" * 1_000_000 + "}]")


def _not_a_number(path: Path) -> None:
    path.write_text('[{"title": "x", "severity": "low", "line": NaN}]')


def _binary(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 4_000)


def _program(path: Path) -> None:
    path.write_bytes(b"\x7fELF\x02\x01\x01" + b"\0" * 9_000)


def _archive(path: Path) -> None:
    path.write_bytes(b"PK\x03\x04\x14\0\0\0\x08\0" + b"\x9c\xed" * 500)


def _empty(path: Path) -> None:
    path.touch()


def _only_space(path: Path) -> None:
    path.write_text(" \n\t\n" * 1_000)


def _directory(path: Path) -> None:
    path.mkdir()


def _nothing(_path: Path) -> None:
    """There is no such file."""


def _prose(path: Path) -> None:
    path.write_text("Dear all,\nwe looked at everything and it is fine.\n" * 3)


def _number_alone(path: Path) -> None:
    path.write_text("42\n")


def _endless_line(path: Path) -> None:
    path.write_text("title,severity,file\n" + "x" * 20_000_000 + ",low,a.ts\n")


HOSTILE: Final[dict[str, Callable[[Path], None]]] = {
    "cut off": _cut_off,
    "cut off at a bracket": _cut_off_at_a_bracket,
    "200 MB": _far_too_large,
    "99 MB of nothing": _large_and_hollow,
    "billion laughs": _billion_laughs,
    "nested 200,000 deep": _deep,
    "mappings 200,000 deep": _deep_mapping,
    "a number of a million digits": _million_digits,
    "not a number": _not_a_number,
    "binary": _binary,
    "a program": _program,
    "an archive": _archive,
    "empty": _empty,
    "only white space": _only_space,
    "a directory": _directory,
    "no file": _nothing,
    "prose": _prose,
    "a number alone": _number_alone,
    "a field of 20 MB": _endless_line,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_file_is_refused_and_changes_nothing(
    product: Product, connection: psycopg.Connection, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / ("report.xml" if kind == "billion laughs" else "report.json")
    HOSTILE[kind](path)
    before = marketplace.untouched(connection)
    # 2 s are promised; only what hangs or grows without end takes as long as this
    ended = product.run("import", str(path), timeout=20)
    assert ended.returncode == 2, (ended.stdout, ended.stderr)
    assert ended.stdout == ""
    assert path.name in ended.stderr
    message, cure = ended.stderr.rstrip().splitlines()
    assert message.startswith("Error ")
    assert cure.strip().endswith(".")
    assert len(ended.stderr) < 1_000
    assert marketplace.untouched(connection) == before


@pytest.mark.parametrize("line", ["1e999999999", "-7", "1e308", "0.5", "99999999999999999999"])
def test_an_absurd_line_is_no_line_and_the_finding_stays(
    product: Product, connection: psycopg.Connection, tmp_path: Path, line: str
) -> None:
    report = tmp_path / "review.json"
    report.write_text(f'[{{"title": "Debug route", "severity": "low", "file": "a.ts", "line": {line}}}]')
    (finding,) = product.json("import", str(report), "--dry-run")["findings"]
    assert (finding["title"], finding["line"]) == ("Debug route", None)
    marketplace.arm_all(connection)
    assert product.json("import", str(report))["run"]["state"] == "completed"
    assert marketplace.one(connection, "SELECT array_agg(t.line) FROM public.enhancement_tasks AS t") == [
        None
    ]


def test_one_hostile_file_among_good_ones_refuses_them_all(
    product: Product, connection: psycopg.Connection, tmp_path: Path
) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(json.dumps([FINDING]))
    _cut_off(bad)
    before = marketplace.untouched(connection)
    document = product.json("import", str(good), str(bad), code=2)
    assert document["error"]["code"] == "InputError"
    assert "bad.json" in document["error"]["message"]
    assert marketplace.untouched(connection) == before


def test_a_hostile_file_in_the_inbox_stays_there_and_stops_nothing(
    product: Product, connection: psycopg.Connection
) -> None:
    inbox = product.folder / "audit-inbox"
    inbox.mkdir()
    (inbox / "good.json").write_text(json.dumps([FINDING]))
    _deep(inbox / "deep.json")
    _billion_laughs(inbox / "laughs.xml")
    marketplace.arm_all(connection)
    document = product.json("run")
    assert document["state"] == "completed"
    assert sorted(entry.name for entry in inbox.iterdir()) == [
        "archive",
        "deep.json",
        "deep.json.error.txt",
        "laughs.xml",
        "laughs.xml.error.txt",
    ]
    notes = " ".join(document["notes"])
    assert "deep.json stays in the inbox: " in notes
    assert "good.json was taken in" in notes
    assert marketplace.one(connection, "SELECT count(*) FROM public.enhancement_tasks") == 1


def test_a_real_report_becomes_tasks_once(product: Product, connection: psycopg.Connection) -> None:
    if not REAL.exists():
        pytest.skip(f"the real report {REAL.name} is not on this machine")
    read = product.json("import", str(REAL), "--dry-run")
    assert Counter(finding["priority"] for finding in read["findings"]) == {"high": 2, "medium": 4, "low": 4}
    assert (read["needs_review"], read["errors"]) == ([], [])
    assert marketplace.one(connection, "SELECT count(*) FROM post_audit.audits") == 0

    marketplace.arm_all(connection)
    imported = product.json("import", str(REAL))
    assert imported["run"]["state"] == "completed"
    assert len(imported["run"]["steps"]) == 6
    tasks = "SELECT jsonb_agg(to_jsonb(t) ORDER BY t.id) FROM public.enhancement_tasks AS t"
    stored = marketplace.one(connection, tasks)
    assert Counter(task["priority"] for task in stored) == {"high": 2, "medium": 4, "low": 4}

    again = product.json("import", str(REAL))
    assert (again["audits"][0]["is_known"], again["run"]) == (True, None)
    assert "nothing is new" in product.run("import", str(REAL)).stdout
    assert marketplace.one(connection, tasks) == stored
    assert marketplace.one(connection, "SELECT count(*) FROM post_audit.runs") == 1


def test_a_report_only_proposes_where_nobody_armed_the_step(
    product: Product, connection: psycopg.Connection, tmp_path: Path
) -> None:
    report = tmp_path / "review.json"
    report.write_text(json.dumps([FINDING]))
    imported = product.json("import", str(report))
    decision = next(s["decision"] for s in imported["run"]["steps"] if s["step"] == "enhancements")
    assert decision["state"] == "proposed"
    assert marketplace.one(connection, "SELECT count(*) FROM public.enhancement_tasks") == 0
    assert product.json("approve", str(decision["id"]))["state"] == "applied"
    assert marketplace.one(connection, "SELECT count(*) FROM public.enhancement_tasks") == 1
