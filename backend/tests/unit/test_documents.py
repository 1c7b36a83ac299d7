"""What documents promise is found and compared: each way to differ is told with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.documents import Command, blocks, commands, compare, read

TEXT = """# A title

```
$ not looked at
```

```console
$ post-audit run --dry-run
Run 1
...
$ post-audit bind suppliers \\
    --column name=companyName
```

1. In a list:

   ```dotenv
   DATABASE_URL=postgresql:///bell24h
   ```
"""


def command(*shown: str) -> Command:
    return Command(document="docs/x.md", line=9, text="post-audit run", shown=shown, shown_line=10)


def test_blocks_have_their_language_and_line() -> None:
    found = blocks(TEXT, "docs/x.md")
    assert [(block.language, block.line) for block in found] == [("", 4), ("console", 8), ("dotenv", 18)]
    assert found[2].lines == ("DATABASE_URL=postgresql:///bell24h",)


def test_commands_have_their_output_and_go_on_after_a_backslash() -> None:
    first, second = commands(blocks(TEXT, "docs/x.md")[1])
    assert (first.text, first.shown, first.place) == (
        "post-audit run --dry-run",
        ("Run 1", "..."),
        "docs/x.md:8",
    )
    assert (second.text, second.shown, second.line) == (
        "post-audit bind suppliers --column name=companyName",
        (),
        11,
    )


def test_a_file_is_named_from_the_projects_root(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/y.md").write_text("```console\n$ true\n```\n", encoding="utf-8")
    assert [block.document for block in read(tmp_path / "docs/y.md", tmp_path)] == ["docs/y.md"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a\n```console\n$ true\n", "x.md:2: the block never ends"),
        ("```console\n\ntrue\n```\n", "x.md:2: a console block begins with"),
    ],
)
def test_what_is_no_block_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        [commands(block) for block in blocks(text, "x.md")]


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ((), "whatever"),
        (("one", "two"), "one\ntwo\n"),
        (("one", "two"), "\n  one   \ntwo\n\n\n"),
        (("a  table   of", "columns"), "a table of\n    columns"),
        (("one", "..."), "one"),
        (("one", "..."), "one\ntwo\nthree"),
        (("...", "three"), "one\ntwo\nthree"),
        (("one", "...", "three", "...", "five"), "one\ntwo\nthree\nfour\nfive"),
        (("...", "two", "..."), "one\ntwo\nthree"),
        (("...", "one", "two"), "one\none\ntwo"),
        (("migrated ... of 4,000",), "migrated 3,999 (audit 17) of 4,000"),
        (("Serving http://127.0.0.1:8000",), "Serving http://127.0.0.1:45217"),
        (("took 1.5 s on 12 Nov, 18:00 IST",), "took 320 ms on 1 Dec, 09:30 IST"),
        (("sign in: /login?link=QF2N-k_",), "sign in: /login?link=abc"),
        (("PostgreSQL 18.6, migration 12644a3a, 45 MB",), "PostgreSQL 15, migration 0badc0de, 1,200 kB"),
        (("0d0c42bc-61f0-4d8e-9a2b-2f4a5e1c7d11",), "ffffffff-61f0-4d8e-9a2b-2f4a5e1c7d11"),
        (("a [b] (c) * d?",), "a [b] (c) * d?"),
    ],
)
def test_what_agrees(shown: tuple[str, ...], said: str) -> None:
    assert compare(command(*shown), said) is None


@pytest.mark.parametrize(
    ("shown", "said", "line", "problem"),
    [
        (("one",), "", 10, "shows 'one'"),
        (("one", "two"), "one\nthree", 11, "shows 'two'"),
        (("one", "two"), "one", 11, "shows 'two'"),
        (("one",), "one\ntwo", 10, "shows nothing more after 'one'"),
        (("one", "...", "five", "six"), "one\nfour\nfive\nsix\nseven", 13, "shows nothing more after 'six'"),
        (("one", "...", "five", "..."), "one\ntwo", 12, "shows 'five'"),
        (("...", "two"), "one\ntwo\nthree", 11, "shows nothing more after 'two'"),
        (("one", "...", "one"), "one", 12, "shows 'one'"),
        (("took 2 s",), "took long", 10, "shows 'took 2 s'"),
        (("a.c",), "abc", 10, "shows 'a.c'"),
        (("8 suppliers",), "9 suppliers", 10, "shows '8 suppliers'"),
    ],
)
def test_what_differs_is_told_with_its_line(
    shown: tuple[str, ...], said: str, line: int, problem: str
) -> None:
    told = compare(command(*shown), said)
    assert told is not None
    assert told.startswith(f"docs/x.md:{line}: {problem}, but `post-audit run` said from there on:")
