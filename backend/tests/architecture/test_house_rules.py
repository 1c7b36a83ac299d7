"""Rules that no linter knows, read off the syntax tree of every module."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.architecture.clone import PROTOCOL, ROOT

APP: Final = sorted((ROOT / "backend/app").rglob("*.py"))
TESTS: Final = sorted((ROOT / "backend/tests").rglob("*.py"))
PURE: Final = [
    path
    for path in APP
    if path.name == "formats.py" or (path.is_relative_to(ROOT / PROTOCOL / "steps") and path.name != "__init__.py")
]

_CLOCKS: Final = {"now", "utcnow", "today"}
_WORLD: Final = {"open", "input", "print", "exec", "eval", "breakpoint", "__import__"}
_TYPE_FACTORIES: Final = {"TypeVar", "ParamSpec", "TypeVarTuple", "NewType"}


def _names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


def _parse(text: str) -> ast.Module:
    return ast.parse(text)


def impure_calls(tree: ast.Module) -> list[str]:
    """Calls that ask the world instead of the facts: a clock, a file, a dice without a seed."""
    return [f"line {call.lineno}: {ast.unparse(call)}" for call in ast.walk(tree) if _is_impure(call)]


def _is_impure(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Name(id=name)) if name in _WORLD:
            return True
        case ast.Call(func=ast.Attribute(attr=name)) if name in _CLOCKS:
            return True
        case ast.Call(func=ast.Attribute(attr="default_rng") | ast.Name(id="default_rng"), args=[], keywords=[]):
            return True
    return False
