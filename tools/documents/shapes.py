"""What JSON schemas say, in words: the kind of a value, and the shapes that answers are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from documents.markdown import anchor, cell, table

__all__ = ["fields", "kind", "meaning", "named", "shape_section", "told", "without_null"]

_LARGEST: Final = 2**31
"""A limit above this is that of the database's numbers, and none that anybody meets."""
_FORMATS: Final = {"date-time": "moment", "date": "day"}


def named(schema: Mapping[str, Any]) -> str | None:
    """The name of the shape that a schema refers to, where it does."""
    return str(schema["$ref"]).rpartition("/")[2] if "$ref" in schema else None


def kind(schema: Mapping[str, Any]) -> str:
    """Say in a few words which values a schema takes; shapes that it names are links."""
    name = named(schema)
    if name is not None:
        return f"[{name}](#{anchor(_heading(name))})"
    if "anyOf" in schema:
        kinds = dict.fromkeys(kind(option) for option in schema["anyOf"])
        return " or ".join(sorted(kinds, key=lambda words: words == "null"))
    if "enum" in schema or "const" in schema:
        values = [f"`{value}`" for value in schema.get("enum", (schema.get("const"),))]
        return f"one of {', '.join(values)}" if len(values) > 1 else values[0]
    say = _KINDS.get(schema.get("type", ""))
    return "anything" if say is None else say(schema)


def _object(schema: Mapping[str, Any]) -> str:
    below = schema.get("additionalProperties")
    return f"object of {kind(below)} by name" if isinstance(below, dict) and below else "object"


def _text(schema: Mapping[str, Any]) -> str:
    most = schema.get("maxLength")
    return _FORMATS.get(schema.get("format", ""), "text") + (f", at most {most} signs" if most else "")


def _list(schema: Mapping[str, Any]) -> str:
    if "prefixItems" in schema:
        kinds = [kind(item) for item in schema["prefixItems"]]
        return f"list of {len(kinds)} ({', '.join(kinds)})"
    most = schema.get("maxItems")
    return f"list of {kind(schema.get('items', {}))}" + (f" (at most {most})" if most else "")


def _limits(schema: Mapping[str, Any]) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    if most is not None and most >= _LARGEST:
        most = None
    if least is not None and most is not None:
        return f" from {least:g} to {most:.0f}"
    if least is not None:
        return f" from {least:g}"
    return f" up to {most:g}" if most is not None else ""


_KINDS: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "array": _list,
    "boolean": lambda _: "true or false",
    "integer": lambda schema: f"whole number{_limits(schema)}",
    "null": lambda _: "null",
    "number": lambda schema: f"number{_limits(schema)}",
    "object": _object,
    "string": _text,
}


def without_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The same without null, which says no more than leaving it out."""
    found = dict(schema)
    options = [option for option in found.pop("anyOf", ()) if option.get("type") != "null"]
    return found | (options[0] if len(options) == 1 else {"anyOf": options} if options else {})


def meaning(field: Mapping[str, Any], *, is_required: bool) -> str:
    """What a field or parameter is: its kind, whether it has to be given, and its description."""
    words = [kind(field)]
    default = field.get("default")
    if default not in (None, "", []):
        words.append(f"`{str(default).lower() if isinstance(default, bool) else default}` when not given")
    elif is_required:
        words.append("required")
    return cell("; ".join([*words, field["description"]] if field.get("description") else words))


def fields(schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    """Every field of a shape: its name, its schema, and whether it has to be given."""
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        yield name, field, name in required


def told(schema: Mapping[str, Any]) -> str:
    """What the docstring of a shape says of it and of its fields, as one paragraph."""
    return " ".join(str(schema.get("description", "")).replace("<", "&lt;").split())


def shape_section(name: str, schema: Mapping[str, Any]) -> str:
    """Describe a shape under a heading of its own."""
    text = f"\n### {_heading(name)}\n\n{told(schema)}\n"
    if "enum" in schema:
        return f"{text}\n{kind(schema).capitalize()}.\n"
    rows = [(f"`{field}`", meaning(below, is_required=False)) for field, below, _ in fields(schema)]
    return f"{text}\n{table(('Field', 'What it is'), rows)}" if rows else text


def _heading(name: str) -> str:
    """The heading of a shape: no area and no endpoint is called so."""
    return f"Shape {name}"
