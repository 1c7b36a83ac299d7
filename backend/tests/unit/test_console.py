"""How a document's terminal is read and compared; the mechanism that the tests of documents stand on."""

from __future__ import annotations

import pytest

from tests.support.console import Exchange, File, below, differing_line, pieces, unchecked

DOCUMENT = """# A document

```console
$ post-audit run
Run 1
...
$ post-audit import \\
    report.sarif
```

```ini .env
DATABASE_URL=postgresql://somewhere
```

```sql
SELECT 1;
```

```console
$ post-audit serve
Serving http://127.0.0.1:8000
^C
```
"""


def test_commands_outputs_and_files_are_read_with_their_lines() -> None:
    assert pieces(DOCUMENT) == [
        Exchange(4, "post-audit run", ("Run 1", "...")),
        Exchange(7, "post-audit import \\\n    report.sarif"),
        File(12, ".env", "DATABASE_URL=postgresql://somewhere\n"),
        Exchange(20, "post-audit serve", ("Serving http://127.0.0.1:8000",), is_stopped=True),
    ]
    first, second, _, _ = pieces(DOCUMENT)
    assert isinstance(first, Exchange)
    assert isinstance(second, Exchange)
    assert (first.shown_at, second.shown_at) == (5, 9)


def test_a_terminal_begins_with_a_command() -> None:
    with pytest.raises(ValueError, match="Line 2"):
        pieces("```console\nno command\n```\n")


def test_a_fence_without_a_kind_is_found() -> None:
    assert unchecked("text\n```\npost-audit run\n```\n") == [2]
    assert unchecked(DOCUMENT) == []


def test_what_stands_below_a_heading_keeps_its_lines() -> None:
    text = "## One\n```console\n$ ls\n```\n## Two, more\n```console\n$ pwd\n```\n"
    assert pieces(below(text, ("Two",))) == [Exchange(7, "pwd")]


@pytest.mark.parametrize(
    ("shown", "printed", "differing"),
    [
        ([], "whatever", None),
        (["one", "two"], "one  \ntwo\n", None),
        (["one", "two"], "one\n2\n", 1),
        (["one"], "one\ntwo\n", 1),
        (["one", "two"], "one\n", 1),
        (["...", "three"], "one\ntwo\nthree\n", None),
        (["one", "..."], "one\n", None),
        (["...", "four"], "one\ntwo\n", 1),
        (["SMS gets ... a day."], "SMS gets 30,000 a day.", None),
        (["SMS gets ... a day."], "SMS gets\n30,000 a day.", 0),
        (["a.c (x)"], "abc (x)", 0),
        (["done in 0.3 s"], "done in 12.0 s", None),
        (["done in 0.3 s"], "done at once", 0),
        (["bell24h on 127.0.0.1:45217 (embedded)"], "scratch_3 on localhost:5", None),
        (["as of 12 Nov, 18:00 IST"], "as of 2 Jan, 07:15 IST", None),
        (["until 2026-03-31"], "until 2026-04-01", None),
    ],
)
def test_what_is_shown_is_compared_line_by_line(
    shown: list[str], printed: str, differing: int | None
) -> None:
    assert differing_line(shown, printed) == differing
