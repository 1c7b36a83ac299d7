"""Rules that no linter knows, read off the syntax tree of every module, and the faults each has to find."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

import pytest

from tests.architecture.clone import PROTOCOL, ROOT

APP: Final = sorted((ROOT / "backend/app").rglob("*.py"))
TESTS: Final = sorted((ROOT / "backend/tests").rglob("*.py"))
READERS_OF_THE_ENVIRONMENT: Final = {
    ROOT / PROTOCOL / "settings.py",
    ROOT / PROTOCOL / "db/embedded.py",  # hands a few variables on to a process of its own and looks at none
}
STEPS: Final = ROOT / PROTOCOL / "steps"
PURE: Final = [
    path
    for path in APP
    if path.name == "formats.py" or (STEPS in path.parents and path.name != "__init__.py")
]

_CLOCKS: Final = {"now", "utcnow", "today"}
_WORLD: Final = {"open", "input", "print", "exec", "eval", "breakpoint", "__import__"}
# Neither type variables nor kinds of reasons are offered by name: a reason is known by its code, a string.
_NOT_OFFERED: Final = {"TypeVar", "ParamSpec", "TypeVarTuple", "ReasonCode"}


def _named(path: Path) -> str:
    return str(path.relative_to(ROOT / "backend"))


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def impure_calls(tree: ast.Module) -> list[str]:
    """Calls that ask the world instead of the facts: a clock, a file, dice without a seed."""
    found: list[ast.Call] = []
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in _WORLD:
                found.append(node)
            case ast.Call(func=ast.Attribute(attr=name)) if name in _CLOCKS:
                found.append(node)
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[], keywords=[]) if (
                name in {"default_rng", "uuid4"}
            ):
                found.append(node)
            case _:
                pass
    return [f"line {call.lineno}: {ast.unparse(call)}" for call in found]


def environment_reads(tree: ast.Module) -> list[str]:
    """Places that read the environment: os.environ, os.getenv and what is imported of them."""
    found: list[str] = []
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="os"), attr="environ" | "environb" | "getenv"):
                found.append(f"line {node.lineno}: {ast.unparse(node)}")
            case ast.ImportFrom(module="os", names=names) if {"environ", "environb", "getenv"} & {
                name.name for name in names
            }:
                found.append(f"line {node.lineno}: {ast.unparse(node)}")
            case _:
                pass
    return found


def patches(tree: ast.Module) -> list[str]:
    """Places that put something else in the place of the code under test."""
    return [
        f"line {node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in {"setattr", "setitem", "delattr"}
    ]


def unexported(tree: ast.Module, *, may_reexport: bool) -> list[str]:
    """How `__all__` and the public names of a module disagree; nothing when they agree.

    Only a package's `__init__` offers what it imported. A command or a route (`@app.command()`,
    `@router.get(...)`) is offered by what it is registered with, not by its name.
    """
    defined: set[str] = set()
    imported: set[str] = set()
    exported: list[str] = []
    for node in tree.body:
        match node:
            case (
                ast.FunctionDef(decorator_list=[ast.Call(func=ast.Attribute())])
                | ast.AsyncFunctionDef(decorator_list=[ast.Call(func=ast.Attribute())])
            ):
                pass
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                defined.add(name)
            case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                exported = ast.literal_eval(value)
            case (
                ast.Assign(value=ast.Call(func=ast.Name(id=factory)))
                | ast.AnnAssign(value=ast.Call(func=ast.Name(id=factory)))
            ) if factory in _NOT_OFFERED:
                pass
            case ast.Assign(targets=targets):
                defined.update(target.id for target in targets if isinstance(target, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                defined.add(name)
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                imported.update(name.asname or name.name for name in names)
            case _:
                pass
    public = {name for name in defined if not name.startswith("_")}
    offered = defined | imported if may_reexport else defined
    return [
        *(f"{name} is public and not in __all__" for name in sorted(public - set(exported))),
        *(f"{name} is in __all__ and not defined here" for name in exported if name not in offered),
        *(f"{name} is in __all__ twice" for name in sorted({n for n in exported if exported.count(n) > 1})),
    ]


@pytest.mark.parametrize("path", PURE, ids=_named)
def test_what_decides_asks_only_the_facts(path: Path) -> None:
    assert impure_calls(_tree(path)) == []


@pytest.mark.parametrize("path", [path for path in APP if path not in READERS_OF_THE_ENVIRONMENT], ids=_named)
def test_only_settings_read_the_environment(path: Path) -> None:
    assert environment_reads(_tree(path)) == []


@pytest.mark.parametrize("path", TESTS, ids=_named)
def test_no_test_patches_the_code_it_tests(path: Path) -> None:
    assert patches(_tree(path)) == []


@pytest.mark.parametrize("path", APP, ids=_named)
def test_all_names_what_is_public(path: Path) -> None:
    assert unexported(_tree(path), may_reexport=path.name == "__init__.py") == []


@pytest.mark.parametrize(
    "text",
    [
        "datetime.now(UTC)",
        "datetime.datetime.utcnow()",
        "date.today()",
        "open('facts.json')",
        "print('decided')",
        "numpy.random.default_rng()",
        "uuid.uuid4()",
    ],
)
def test_a_call_that_asks_the_world_is_found(text: str) -> None:
    assert impure_calls(ast.parse(f"def decide(facts):\n    return {text}")) == [f"line 2: {text}"]


@pytest.mark.parametrize("text", ["default_rng(facts.seed)", "facts.as_of.date()", "facts.opened()"])
def test_a_call_that_asks_the_facts_is_none_of_these(text: str) -> None:
    assert impure_calls(ast.parse(text)) == []


@pytest.mark.parametrize("text", ["os.environ['HOME']", "os.getenv('HOME')", "from os import environ"])
def test_a_reader_of_the_environment_is_found(text: str) -> None:
    assert environment_reads(ast.parse(text))


def test_a_patch_is_found() -> None:
    assert patches(ast.parse("monkeypatch.setattr(engine, 'clock', lambda: 0)"))
    assert not patches(ast.parse("monkeypatch.setenv('TZ', 'Asia/Kolkata')"))


@pytest.mark.parametrize(
    ("text", "may_reexport", "said"),
    [
        ("def decide(): ...", False, "decide is public and not in __all__"),
        ("LIMIT: int = 1", False, "LIMIT is public and not in __all__"),
        ("class Facts: ...", True, "Facts is public and not in __all__"),
        ("__all__ = ['gone']", False, "gone is in __all__ and not defined here"),
        ("from a import b\n__all__ = ['b']", False, "b is in __all__ and not defined here"),
        ("X = 1\n__all__ = ['X', 'X']", False, "X is in __all__ twice"),
    ],
)
def test_a_disagreement_about_public_names_is_found(text: str, *, may_reexport: bool, said: str) -> None:
    assert unexported(ast.parse(text), may_reexport=may_reexport) == [said]


@pytest.mark.parametrize(
    ("text", "may_reexport"),
    [
        ("_LIMIT = 1\ndef _help(): ...", False),
        ("KindT = TypeVar('KindT')", False),
        ("@router.get('/health')\ndef health(): ...", False),
        ("@router.get('/health')\nasync def health(): ...", False),
        ("TOO_FEW: Final = ReasonCode('planted.too_few', 'Too few.')", False),
        ("from a import b\n__all__ = ['b']", True),
        ("from a import b\nX = b()\n__all__ = ['X']", False),
        ("", False),
    ],
)
def test_agreement_about_public_names_is_left_alone(text: str, *, may_reexport: bool) -> None:
    assert unexported(ast.parse(text), may_reexport=may_reexport) == []
