"""What can be done on a page and which role it needs: read out of the code that draws it."""

from __future__ import annotations

import ast
import functools
import inspect
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Final

from app.post_audit.web import pages
from app.post_audit.web.pages.page import Page

__all__ = ["Deed", "deeds_of"]

_ASKING: Final = frozenset({"act", "require"})
"""The methods that ask for the role that is their first argument, before something is done."""
_BETWEEN: Final = " / "
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """Something that can be done: the words on its buttons, as far as they stand in the code; what it is; the roles."""

    buttons: tuple[str, ...]
    told: str
    roles: tuple[str, ...]


def deeds_of(page: Page) -> list[Deed]:
    """Everything that a page's parts lead to and that asks for a role, in the order in which it is drawn."""
    found: dict[FunctionType, dict[str, None]] = {}
    for part in page.parts:
        draw = inspect.unwrap(part.draw)
        if isinstance(draw, FunctionType):
            for entry, label in _entries(draw, "", set()):
                found.setdefault(entry, {}).update({label: None} if label else {})
    deeds = []
    for entry, labels in found.items():
        roles = tuple(dict.fromkeys(role for function in _reached(entry) for role in _roles(function)))
        if roles:
            deeds.append(Deed(buttons=tuple(labels), told=_told(entry), roles=roles))
    return deeds


def _entries(
    drawing: FunctionType, label: str, seen: set[FunctionType]
) -> Iterator[tuple[FunctionType, str]]:
    """Where drawing ends and doing begins: the coroutines that are behind buttons, each with a button's words."""
    if drawing in seen:
        return
    seen.add(drawing)
    for function, words in _named(drawing):
        if inspect.iscoroutinefunction(function):
            yield function, words or label
        else:
            yield from _entries(function, words or label, seen)


def _reached(entry: FunctionType) -> list[FunctionType]:
    """The functions that one leads to, itself first."""
    reached = [entry]
    for function in reached:
        reached += [below for below, _ in _named(function) if below not in reached]
    return list(dict.fromkeys(reached))


def _told(entry: FunctionType) -> str:
    """The first docstring on the way, without its ending."""
    said = (inspect.getdoc(function) for function in _reached(entry) if _asks(function))
    return next((text.split("\n\n")[0] for text in said if text), "")


def _asks(function: FunctionType) -> bool:
    return any(True for below in _reached(function) for _ in _roles(below))


def _roles(function: FunctionType) -> Iterator[str]:
    """The roles that a function asks for by itself, as words."""
    for node in ast.walk(_node(function) or ast.Pass()):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _ASKING:
            yield from (role for expression in node.args[:1] if (role := _role(expression)))


def _role(expression: ast.expr) -> str:
    match expression:
        case ast.Attribute(value=ast.Name(id="Role"), attr=name):
            return name.lower()
        case ast.IfExp(test=test, body=body, orelse=orelse) if _role(body) and _role(orelse):
            return f"{_role(orelse)} ({_role(body)} where `{ast.unparse(test)}`)"
    return ""


@functools.cache
def _named(function: FunctionType) -> tuple[tuple[FunctionType, str], ...]:
    """The functions of the pages that a function names, with the words of the button that they stand behind."""
    node = _node(function)
    if node is None:
        return ()
    return tuple(_below(node, function.__globals__, _looped(node, function.__globals__), ""))


def _below(
    node: ast.AST, names: Mapping[str, object], looped: Mapping[str, list[str]], label: str
) -> Iterator[tuple[FunctionType, str]]:
    for child in ast.iter_child_nodes(node):
        target: object = None
        match child:
            case ast.Name(id=name):
                target = names.get(name)
            case ast.Attribute(value=ast.Name(id=name), attr=attribute):
                module = names.get(name)
                target = getattr(module, attribute, None) if isinstance(module, ModuleType) else None
        if isinstance(target, FunctionType) and target.__module__.startswith(f"{pages.__name__}."):
            yield target, label
        is_button = isinstance(child, ast.Call) and ast.unparse(child.func).endswith("button") and child.args
        words = _words(child.args[0], looped) if isinstance(child, ast.Call) and is_button else ""
        yield from _below(child, names, looped, words or label)


def _words(shown: ast.expr, looped: Mapping[str, list[str]]) -> str:
    """The words on a button, those that take turns with a stroke between; what is filled in is an ellipsis."""
    match shown:
        case ast.Constant(value=str(words)):
            return words
        case ast.JoinedStr(values=values):
            return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in values)
        case ast.IfExp(body=body, orelse=orelse):
            return _BETWEEN.join(dict.fromkeys(filter(None, (_words(body, looped), _words(orelse, looped)))))
        case ast.Name(id=name):
            return _BETWEEN.join(looped.get(name, ()))
    return ""


def _looped(function: _Function, names: Mapping[str, object]) -> dict[str, list[str]]:
    """The words that a loop's variables take, where the loop goes over a tuple of texts that stands in the code."""
    found: dict[str, list[str]] = {}
    for loop in (node for node in ast.walk(function) if isinstance(node, ast.For)):
        places = loop.target.elts if isinstance(loop.target, ast.Tuple) else [loop.target]
        for position, place in enumerate(places):
            if isinstance(place, ast.Name):
                found[place.id] = list(_texts(loop.iter, position, names))
    return found


def _texts(iterated: ast.expr, position: int, names: Mapping[str, object]) -> Iterator[str]:
    match iterated:
        case ast.Name(id=name):
            items = names.get(name)
            for item in items if isinstance(items, tuple) else ():
                if isinstance(item, tuple) and isinstance(item[position], str):
                    yield item[position]
        case ast.Tuple(elts=elements):
            for element in elements:
                match element:
                    case ast.Tuple(elts=parts) if isinstance(parts[position], ast.Constant):
                        yield str(ast.literal_eval(parts[position]))


def _node(function: FunctionType) -> _Function | None:
    return _functions(function.__module__).get(function.__name__)


@functools.cache
def _functions(module: str) -> dict[str, _Function]:
    """The functions of a module, by name."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {node.name: node for node in tree.body if isinstance(node, _Function)}
