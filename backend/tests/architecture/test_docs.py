"""The documents tell the truth: the reference is what the code says, links lead somewhere, pictures are there."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import iter_route_contexts
from typer.main import get_command

from app.post_audit import errors
from app.post_audit.cli.shared import app
from app.post_audit.db.psycopg_database import PsycopgDatabase
from app.post_audit.settings import Settings
from app.post_audit.web.pages import all_pages
from app.post_audit.web.pages.page import Page
from app.post_audit.web.server import create_app
from tests.architecture.clone import ROOT

REFERENCE: Final = ROOT / "docs/reference"
MIGRATION: Final = ROOT / "supabase/migrations/20251109_post_audit_protocol.sql"
NOWHERE: Final = "postgresql://nobody@127.0.0.1:9/nothing"
_ENDINGS: Final = frozenset({"py", "sql", "md", "lock", "toml"})
SAMPLES: Final = "samples"
"""Audit reports as their tools wrote them; what they link to is not ours."""

_FENCE: Final = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)|(?:src|href)=\"([^\"]+)\"")
_HEADING: Final = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
_OUTSIDE: Final = re.compile(r"^(?:https?|mailto):")


def anchors(text: str) -> set[str]:
    """The anchors that GitHub makes of a document's headings."""
    found: set[str] = set()
    for heading in _HEADING.findall(_FENCE.sub("", text)):
        bare = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        name = re.sub(r"[^\w\- ]", "", bare).replace(" ", "-")
        number = 0
        while (numbered := f"{name}-{number}" if number else name) in found:
            number += 1
        found.add(numbered)
    return found


def broken_links(document: Path, root: Path) -> list[str]:
    """The links of a document that lead to no file of the project, or to no heading of it."""
    text = document.read_text(encoding="utf-8")
    broken: list[str] = []
    for in_brackets, in_tag in _LINK.findall(re.sub(r"`[^`\n]*`", "", _FENCE.sub("", text))):
        link = in_brackets or in_tag
        if _OUTSIDE.match(link):
            continue
        name, _, anchor = unquote(link).partition("#")
        target = (document.parent / name).resolve() if name else document
        if not target.is_relative_to(root) or not target.exists():
            broken.append(f"{document.relative_to(root)}: {link} leads nowhere")
        elif anchor and target.suffix == ".md" and anchor not in anchors(target.read_text(encoding="utf-8")):
            broken.append(f"{document.relative_to(root)}: {link} names no heading")
    return broken


def named_files(text: str) -> set[str]:
    """The project's files that a document names in code marks: what has a folder and an ending."""
    return set(re.findall(r"`((?:backend|supabase|docs|tools|requirements|n8n|bench)/[\w./-]+\.\w+)`", text))


def named_commands(text: str) -> list[tuple[str, str]]:
    """The commands of ours that a document names in code: the program, and its first word."""
    code = [*(found[0] for found in _FENCE.finditer(text)), *re.findall(r"`[^`\n]+`", _FENCE.sub("", text))]
    return [
        found
        for part in code
        for found in re.findall(r"(?:^|[\s`/])(post-audit|make) ([a-z][a-z0-9-]*)\b(?![./])", part)
    ]


def unknown_to_the_code(text: str) -> list[str]:
    """The modules, and the names `owner.name`, that a document gives in code marks and the protocol does not have."""
    code = {f"/{path.relative_to(ROOT).as_posix()}": path.read_text("utf-8") for path in _code()}
    modules = re.findall(r"`((?:\w+/)*\w+\.(?:py|sql))`", text)
    names = re.findall(r"`(\w+)\.(\w+)(?:\([^`]*)?`", text)
    missing = [
        module
        for module in modules
        if not (ROOT / module).is_file() and not any(path.endswith(f"/{module}") for path in code)
    ]
    return missing + [
        f"{owner}.{name}"
        for owner, name in names
        if name not in _ENDINGS
        and not any(name in body and owner in path + body for path, body in code.items())
    ]


def _code() -> Iterator[Path]:
    for folder, pattern in (("backend/app", "*.py"), ("supabase", "*.sql")):
        yield from (ROOT / folder).rglob(pattern)


def _commands(group: Any, words: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - Typer's own class
    for name, command in group.commands.items():
        full = f"{words} {name}".strip()
        if hasattr(command, "commands"):
            yield from _commands(command, full)
        else:
            yield full, command


def endpoints(app: FastAPI) -> set[str]:
    """Every method and path that an application answers to."""
    return {
        f"{method} {route.path_format}"
        for route in iter_route_contexts(app.routes)
        for method in (getattr(route, "methods", None) or set()) - {"HEAD"}
    }


def undocumented_pages(text: str, pages: Sequence[Page]) -> list[str]:
    """What the reference of the pages does not say of them: their address and purpose in the list, or who may."""
    missing = []
    for page in pages:
        listed = rf"^\| \[`{re.escape(page.path)}`\]\(#[^)]+\) \| {re.escape(page.title)} \| \S"
        if not re.search(listed, text, re.MULTILINE):
            missing.append(f"{page.path} is not listed")
        section = _section_of(text, page)
        if f"`{page.path}`" not in section or "Who may open it: " not in section:
            missing.append(f"{page.path} has no section")
    return missing


def _section_of(text: str, page: Page) -> str:
    found = re.search(rf"^## {re.escape(page.title)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return "" if found is None else found[1]


def _to_be_told(operation: dict[str, Any], described: dict[str, Any]) -> Iterator[str]:
    yield "Who may: "
    yield "Answers 20"
    for parameter in operation.get("parameters", []):
        yield f"| `{parameter['name']}` | {parameter['in']} | "
    for content in operation.get("requestBody", {}).get("content", {}).values():
        for option in (content["schema"], *content["schema"].get("anyOf", ())):
            shape = described["components"]["schemas"].get(option.get("$ref", "").rpartition("/")[2], {})
            yield from (f"| `{name}` | body | " for name in shape.get("properties", ()))


def _documents(project_files: list[Path]) -> list[Path]:
    found = [path for path in project_files if path.suffix == ".md"]
    return [path for path in found if path.relative_to(ROOT).parts[0] != SAMPLES]


def _reference(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


def test_the_reference_is_what_the_code_says() -> None:
    checked = subprocess.run(
        [sys.executable, str(ROOT / "tools/reference.py"), "--check"],
        env=os.environ | {"PYTHONPATH": str(ROOT / "backend")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert checked.returncode == 0, checked.stderr


def test_every_setting_is_documented() -> None:
    shown = re.findall(r"^\| `([A-Z0-9_]+)` \| \S", _reference("settings.md"), flags=re.MULTILINE)
    assert sorted(shown) == sorted(
        field.alias or name.upper() for name, field in Settings.model_fields.items()
    )


def test_every_command_and_option_is_documented() -> None:
    text = _reference("cli.md")
    sections = dict(re.findall(r"^## ([a-z -]+)\n(.*?)(?=^## |\Z)", text, flags=re.MULTILINE | re.DOTALL))
    commands = dict(_commands(get_command(app)))
    assert sorted(sections) == sorted(commands)
    missing = [
        f"{words} {option}"
        for words, command in commands.items()
        for parameter in command.params
        for option in parameter.opts
        if option.startswith("--") and option != "--help" and option not in sections[words]
    ]
    assert missing == []
    assert [words for words, command in commands.items() if not command.help] == []


def test_every_sql_function_is_documented() -> None:
    made = re.findall(
        r"^CREATE FUNCTION public\.(post_audit_\w+)", MIGRATION.read_text(encoding="utf-8"), re.MULTILINE
    )
    text = _reference("sql-functions.md")
    sections = dict(re.findall(r"^### (\w+)\n(.*?)(?=^#|\Z)", text, flags=re.MULTILINE | re.DOTALL))
    assert sorted(sections) == sorted(made)
    # behind the signature stands the comment from above the function
    unexplained = [name for name, section in sections.items() if not section.rpartition("```")[2].strip()]
    assert unexplained == [], "write a comment above these functions in supabase/schemas, then: make docs"


def test_every_error_is_documented() -> None:
    shown = set(
        re.findall(r"^\| (?:&nbsp;)*`(\w+)` \| \d \| \d{3} \| \S", _reference("errors.md"), re.MULTILINE)
    )
    assert shown == {name for name in errors.__all__ if name[0].isupper()}


def test_every_endpoint_is_documented() -> None:
    text = _reference("api.md")
    app = create_app(PsycopgDatabase(NOWHERE))
    listed = set(re.findall(r"^\| \[?`([A-Z]+ /[^`]*)`[^|]*\| [^| ]", text, re.MULTILINE))
    assert listed == endpoints(app)
    # what programs ask has a section: who may, and how it is answered
    sections = dict(re.findall(r"^### ([A-Z]+ /\S*)\n(.*?)(?=^##|\Z)", text, flags=re.MULTILINE | re.DOTALL))
    described = app.openapi()
    operations = {
        f"{method.upper()} {path}": operation
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    }
    assert sorted(sections) == sorted(operations)
    missing = [
        f"{endpoint}: {told}"
        for endpoint, section in sections.items()
        for told in _to_be_told(operations[endpoint], described)
        if told not in section
    ]
    assert missing == []


@pytest.mark.parametrize(
    ("endpoint", "who"),
    [
        ("GET /ready", "anybody"),
        ("POST /api/bugs", "anybody"),
        ("GET /api/admin/status", "viewer"),
        ("PUT /api/admin/modes/{step}", "operator"),
        ("GET /api/admin/audit-log", "approver"),
        ("POST /api/admin/decisions/{decision_id}/undo", "approver"),
        # the gate's own word: its route names no role
        ("POST /api/admin/audits", "operator"),
    ],
)
def test_who_may_is_what_the_gate_and_the_route_say(endpoint: str, who: str) -> None:
    section = _reference("api.md").partition(f"\n### {endpoint}\n")[2].partition("\n##")[0]
    assert f"Who may: {who}.\n" in section
    assert (" 401" in section) == (who != "anybody")


def test_every_page_is_documented() -> None:
    text = _reference("pages.md")
    assert undocumented_pages(text, all_pages()) == []
    assert len(re.findall(r"^\| \[`/", text, re.MULTILINE)) == len(all_pages()), (
        "a page that there is no more"
    )
    # where something is offered to a role, a page that is drawn there says what, and to whom
    drawn: dict[str, list[Page]] = {}
    for page in all_pages():
        for module in {part.draw.__module__ for part in page.parts}:
            drawn.setdefault(module, []).append(page)
    offering = {name for name in drawn if ".allows(Role." in inspect.getsource(sys.modules[name])}
    assert offering
    deed = re.compile(r"^\| .* \| (?:operator|approver)\b", re.MULTILINE)
    assert [
        name for name in offering if not any(deed.search(_section_of(text, page)) for page in drawn[name])
    ] == []


def test_every_link_leads_somewhere(project_files: list[Path]) -> None:
    documents = _documents(project_files)
    assert documents, "there is no document, so nothing was looked at"
    assert [line for document in documents for line in broken_links(document, ROOT)] == []


def test_every_file_that_a_document_names_is_there(project_files: list[Path]) -> None:
    # A log is named before it is written.
    missing = [
        f"{document.relative_to(ROOT)}: {name}"
        for document in _documents(project_files)
        for name in sorted(named_files(document.read_text(encoding="utf-8")))
        if "/logs/" not in name and not (ROOT / name).is_file()
    ]
    assert missing == []


def test_every_command_that_a_document_names_is_one(project_files: list[Path]) -> None:
    commands = {word for words, _ in _commands(get_command(app)) for word in (words.split()[0], words)}
    targets = set(
        re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    unknown = [
        f"{document.relative_to(ROOT)}: {program} {word}"
        for document in _documents(project_files)
        for program, word in named_commands(document.read_text(encoding="utf-8"))
        if word not in (commands if program == "post-audit" else targets)
    ]
    assert unknown == []


def test_the_architecture_has_its_picture() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+\.svg)\)", text)
    diagrams = re.findall(r"^```mermaid\n(?:flowchart|sequenceDiagram|stateDiagram)", text, re.MULTILINE)
    assert pictures or diagrams
    for picture in pictures:
        assert "<svg" in (ROOT / "docs" / picture).read_text(encoding="utf-8")


def test_the_architecture_tells_the_layers_as_the_linter_holds_them() -> None:
    (contract, *_) = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    held = [name.strip("() ") for line in contract["layers"] for name in line.split("|")]
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    table = text.partition("| Layer |")[2].partition("\n\n")[0]
    told = [name for line in table.splitlines() for name in re.findall(r"`(\w+)`", line.partition(" | ")[0])]
    assert told == held, "the table of layers in docs/architecture.md"


def test_every_module_and_name_of_the_architecture_is_there() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    assert unknown_to_the_code(text) == []


def test_a_name_that_is_gone_is_found() -> None:
    text = "`runner/loop.py` and `Runner.run`, `runner/gone.py` and `runner._Gone`"
    assert unknown_to_the_code(text) == ["runner/gone.py", "runner._Gone"]


def test_decisions_are_numbered_listed_and_short() -> None:
    records = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))
    numbers = [int(record.name[:4]) for record in records]
    assert numbers == list(range(1, len(records) + 1))
    listed = (ROOT / "docs/decisions/README.md").read_text(encoding="utf-8")
    for record in records:
        text = record.read_text(encoding="utf-8")
        assert f"({record.name})" in listed
        assert len(text.splitlines()) <= 40, record.name
        for part in ("Context", "Decision", "Refused", "Consequences"):
            assert f"\n## {part}\n" in text, (record.name, part)


@pytest.mark.parametrize(
    ("link", "is_broken"),
    [
        ("[x](other.md)", False),
        ("[x](other.md#a-heading)", False),
        ("[x](#here-it-is)", False),
        ("[x](https://example.org/gone)", False),
        ("`[x](gone.md)`", False),
        ("```\n[x](gone.md)\n```", False),
        ("[x](gone.md)", True),
        ("![x](gone.svg)", True),
        ('<img src="gone.svg">', True),
        ("[x](other.md#gone)", True),
        ("[x](../../outside.md)", True),
    ],
)
def test_a_broken_link_is_found(tmp_path: Path, link: str, *, is_broken: bool) -> None:
    (tmp_path / "other.md").write_text("# A heading\n")
    document = tmp_path / "document.md"
    document.write_text(f"# Here it is\n\n{link}\n")
    assert bool(broken_links(document, tmp_path)) == is_broken


def test_a_route_that_is_added_is_found() -> None:
    app = create_app(PsycopgDatabase(NOWHERE))
    before = endpoints(app)
    planted = APIRouter()
    planted.add_api_route("/api/planted/{number}", lambda number: number, methods=["PATCH"])
    app.include_router(planted)
    assert endpoints(app) - before == {"PATCH /api/planted/{number}"}
    assert {"GET /login", "GET /openapi.json", "PUT /api/admin/modes/{step}"} <= before


def test_a_page_that_is_added_is_found() -> None:
    planted = Page(path="/admin/planted", title="Planted", load=lambda _house, _query: None, parts=())
    assert undocumented_pages(_reference("pages.md"), [*all_pages(), planted]) == [
        "/admin/planted is not listed",
        "/admin/planted has no section",
    ]


def test_commands_are_found_in_code_alone() -> None:
    text = (
        "make sure of `make lint` and `post-audit undo 3`\n```\n.venv/bin/post-audit run --json\n"
        "make test ARGS=x\nsystemctl status post-audit\n```\n"
    )
    assert sorted(named_commands(text)) == [
        ("make", "lint"),
        ("make", "test"),
        ("post-audit", "run"),
        ("post-audit", "undo"),
    ]


def test_the_anchors_of_headings_are_githubs() -> None:
    text = "# Kill -9, and then?\n## `arm` and `pause`\n## Twice\n## Twice\n```\n# no heading\n```\n"
    assert anchors(text) == {"kill--9-and-then", "arm-and-pause", "twice", "twice-1"}
