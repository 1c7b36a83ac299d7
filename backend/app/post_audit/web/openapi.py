"""The description of the API: `/openapi.json` with every status that an address can answer, and `/docs` to read it.

`/docs` is made here and not by Swagger's page, whose scripts would come from another machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request, Response

from app.post_audit.web.access.login_page import BASE_STYLE, plain_page
from app.post_audit.web.errors import ErrorAnswer

__all__ = ["describe_errors", "router"]

router = APIRouter(include_in_schema=False)

_METHODS: Final = ("get", "post", "put", "patch", "delete")
_ADMIN: Final = "/api/admin"
_ALWAYS: Final = {
    "400": "The request cannot be read, or names a host that this server does not answer to",
    "500": "The program met a fault of its own",
    "503": "The database or a setting is not as it has to be; the cure says what to do",
}
_ADMIN_ONLY: Final = {"401": "Nobody is signed in", "403": "Not with this role, or from another site"}
_ASKED: Final = {"404": "There is none of that name", "422": "A value cannot be taken"}
_WRITES: Final = {
    "409": "What it was decided on has moved since",
    "413": "The body is too large",
    "415": "The body is of another kind",
}
_HOT: Final = {"304": "The same as the answer with this ETag"}


def describe_errors(app: FastAPI) -> None:
    """Let the description say of every address how it refuses, in the one shape."""
    original = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is not None:
            return app.openapi_schema
        schema = original()
        schemas = schema.setdefault("components", {}).setdefault("schemas", {})
        schemas.update(_error_schemas())
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        schema["components"]["securitySchemes"] = {
            "token": {"type": "http", "scheme": "bearer", "description": "post-audit tokens add NAME"},
            "session": {"type": "apiKey", "in": "cookie", "name": "post_audit_session"},
        }
        for path, method, operation in _operations(schema):
            _describe(path, method, operation)
        app.openapi_schema = schema
        return schema

    app.openapi = described  # type: ignore[method-assign]  # the way that FastAPI documents


def _error_schemas() -> dict[str, Any]:
    whole = ErrorAnswer.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**whole.pop("$defs", {}), "ErrorAnswer": whole}


def _operations(schema: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in schema["paths"].items():
        for method in _METHODS:
            if method in methods:
                yield path, method, methods[method]


def _describe(path: str, method: str, operation: dict[str, Any]) -> None:
    told = dict(_ALWAYS)
    if path.startswith(_ADMIN):
        told |= _ADMIN_ONLY
        operation["security"] = [{"token": []}, {"session": []}]
    if operation.get("parameters") or "requestBody" in operation or method != "get":
        told |= _ASKED
    if method != "get":
        told |= _WRITES
    for status, description in told.items():
        operation["responses"].setdefault(status, {})
        if status == "503" and "content" in operation["responses"][status]:
            continue
        operation["responses"][status] = {
            "description": description,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}},
        }
    if path in {"/api/admin/ab-test/stats", "/api/admin/tasks/pending"}:
        operation["responses"] |= {status: {"description": text} for status, text in _HOT.items()}


_STYLE: Final = (
    BASE_STYLE
    + """
main { max-width: 960px; margin: 0 auto; padding: 32px 16px 56px }
h1 { font-size: 28px; line-height: 36px; font-weight: 620; margin: 0 0 8px }
h2 { font-size: 17px; line-height: 24px; font-weight: 620; margin: 40px 0 8px }
p { color: var(--ink2); margin: 0 0 8px; white-space: pre-line }
details { background: var(--surface); border: 1px solid var(--line); border-radius: 12px; margin: 8px 0 }
summary { padding: 12px 16px; cursor: pointer; min-height: 48px; overflow-wrap: anywhere }
summary b { display: inline-block; min-width: 64px; font-weight: 620; color: var(--accent) }
details > div { padding: 0 16px 16px }
table { width: 100%; border-collapse: collapse; font-size: 14px; line-height: 20px; margin: 8px 0 }
th, td { text-align: left; vertical-align: top; padding: 6px 12px 6px 0; border-top: 1px solid var(--line);
  overflow-wrap: anywhere }
th { color: var(--ink3); font-weight: 500; border: 0 }
"""
)


@router.get("/docs")
def docs(request: Request) -> Response:
    """Show the description as a page without scripts."""
    schema = request.app.openapi()
    groups: dict[str, list[str]] = {}
    for path, method, operation in _operations(schema):
        group = (operation.get("tags") or ["other"])[0]
        groups.setdefault(group, []).append(_shown(path, method, operation, schema))
    body = "".join(f"<h2>{escape(name)}</h2>{''.join(parts)}" for name, parts in groups.items())
    return plain_page(
        "API · Post-Audit Protocol",
        _STYLE,
        f"<main><h1>API</h1><p>{escape(schema['info']['description'])} For programs: "
        '<a href="/openapi.json">/openapi.json</a>. Send a token as <code>Authorization: Bearer TOKEN</code>. '
        'Every error has the shape <code>{"error": {"code", "message", "cure"}}</code>.</p>'
        f"{body}</main>",
    )


def _shown(path: str, method: str, operation: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    asked = [
        (parameter["name"], parameter["in"], _kind(parameter["schema"]), parameter.get("description", ""))
        for parameter in operation.get("parameters", [])
    ]
    content = operation.get("requestBody", {}).get("content", {})
    for kind in content.values():
        asked += [(name, "body", shape, told) for name, shape, told in _fields(kind["schema"], schema)]
    answers = [(status, answer["description"]) for status, answer in sorted(operation["responses"].items())]
    told = escape(operation.get("description", ""))
    return (
        f"<details><summary><b>{method.upper()}</b> <code>{escape(path)}</code></summary><div><p>{told}</p>"
        + (_table(("name", "in", "type", "what it is"), asked) if asked else "")
        + _table(("status", "when"), answers)
        + "</div></details>"
    )


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    top = "".join(f'<th scope="col">{name}</th>' for name in head)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _fields(shape: Mapping[str, Any], schema: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    for option in (shape, *shape.get("anyOf", ())):
        if "$ref" in option:
            found = schema["components"]["schemas"][option["$ref"].rpartition("/")[2]]
            return [
                (name, _kind(field), field.get("description", ""))
                for name, field in found.get("properties", {}).items()
            ]
    return []


def _kind(shape: Mapping[str, Any]) -> str:
    if "$ref" in shape:
        return str(shape["$ref"]).rpartition("/")[2]
    if "anyOf" in shape:
        return " or ".join(_kind(option) for option in shape["anyOf"])
    if "enum" in shape:
        return ", ".join(str(value) for value in shape["enum"])
    if shape.get("type") == "array":
        return f"list of {_kind(shape.get('items', {}))}"
    return str(shape.get("type", "any"))
