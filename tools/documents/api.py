"""docs/reference/api.md: every endpoint, from the application's own OpenAPI document and its routes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from documents.markdown import HEAD, anchor, cell, listed, table
from documents.roles import guarded_app, least_role
from documents.shapes import fields, kind, meaning, named, shape_section, told, without_null

__all__ = ["document"]

_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_REFUSED_FROM: Final = 400
_FEW: Final = 8
"""So many fields of an answer are named with the endpoint; more stand with the shape alone."""
_ANYBODY: Final = "anybody"
_ERRORS: Final = frozenset({"ErrorAnswer", "ErrorDetail"})
_ABOUT: Final = (
    "`post-audit serve` answers here; `/docs` and `/openapi.json` of a running server tell the same to people and to"
    " programs. Programs send a token (`post-audit tokens add NAME`) as `Authorization: Bearer TOKEN`; pages send the"
    " cookie of a session. Each role may do what the one before it may: viewer, operator, approver; *anybody* need not"
    " sign in. Without `POST_AUDIT_SECRET` only this machine is served, and it may read without signing in.\n\n"
    "Bodies and answers are JSON unless said otherwise; what is not required may be left out. A moment is ISO 8601"
    " with its zone (`2025-11-09T10:00:00Z`), a day `2025-11-09`; money is in paise. Keys may be added to answers,"
    " none is removed.\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Endpoint:
    """One endpoint: what the OpenAPI document says of it (nothing for what is a page), and who may ask."""

    method: str
    path: str
    told: str
    role: str
    operation: Mapping[str, Any] | None

    @property
    def heading(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def area(self) -> str:
        return str(self.operation["tags"][0]) if self.operation is not None else "login and description"


def document() -> str:
    """Make the text of the document."""
    app = guarded_app()
    schema = app.openapi()
    areas: dict[str, list[_Endpoint]] = {}
    for endpoint in _endpoints(app, schema):
        areas.setdefault(endpoint.area, []).append(endpoint)
    described = [one.operation for group in areas.values() for one in group if one.operation is not None]
    always = set.intersection(*(set(operation["responses"]) for operation in described))
    parts = [HEAD.format(source="the routes of backend/app/post_audit/web", title="HTTP API"), _ABOUT]
    for area, group in areas.items():
        rows = [
            (
                f"[`{one.heading}`](#{anchor(one.heading)})"
                if one.operation is not None
                else f"`{one.heading}`",
                cell(one.told.split("\n\n")[0]),
                one.role,
            )
            for one in group
        ]
        parts += [f"\n## {area}\n\n", table(("Endpoint", "What it does", "Who may"), rows)]
        parts += [_section(one, one.operation, schema, always) for one in group if one.operation is not None]
    return "".join([*parts, _refusal_section(described, always), *_shape_sections(schema, described)])


def _endpoints(app: FastAPI, schema: Mapping[str, Any]) -> Iterator[_Endpoint]:
    """Every method of every route, in the order in which they are mounted; what people open in a browser comes last."""
    found: list[_Endpoint] = []
    for route in iter_route_contexts(app.routes):
        for method in _METHODS:
            if method not in (getattr(route, "methods", None) or ()):
                continue
            path = str(route.path_format)
            operation = schema["paths"].get(path, {}).get(method.lower())
            role = least_role(app, method, path, getattr(route, "dependant", None))
            endpoint: Any = route.endpoint
            words = operation["description"] if operation else endpoint.__doc__ or "The OpenAPI document."
            found.append(
                _Endpoint(
                    method=method,
                    path=path,
                    told=words.replace("<", "&lt;"),
                    role=_ANYBODY if role is None else role.value,
                    operation=operation,
                )
            )
    return iter(sorted(found, key=lambda one: one.operation is None))


def _section(
    endpoint: _Endpoint, operation: Mapping[str, Any], schema: Mapping[str, Any], always: set[str]
) -> str:
    parts = [f"\n### {endpoint.heading}\n\n{endpoint.told.strip()}\n\nWho may: {endpoint.role}.\n"]
    bodies = _bodies(operation)
    rows = [
        (f"`{one['name']}`", one["in"], meaning(_given(one), is_required=one["required"]))
        for one in operation.get("parameters", [])
    ]
    rows += [
        (f"`{name}`", "body", meaning(without_null(field), is_required=is_required))
        for shape in bodies
        for name, field, is_required in fields(schema["components"]["schemas"][shape])
    ]
    if rows:
        parts += ["\n", table(("Name", "In", "What it is"), rows)]
    parts += [f"\nThe body: {told(schema['components']['schemas'][shape])}\n" for shape in bodies]
    answers: dict[str, list[str]] = {}
    for status, answer in operation["responses"].items():
        if status not in _refusals(operation):
            answers.setdefault(_answer(answer, schema), []).append(status)
    shown = [f"{' or '.join(statuses)}{words}" for words, statuses in answers.items()]
    parts.append(f"\nAnswers {'; or '.join(shown)}.")
    refusals = sorted(set(_refusals(operation)) - always)
    if refusals:
        parts.append(f" [Refuses](#refusals) with {listed(refusals)}.")
    return "".join([*parts, "\n"])


def _given(parameter: Mapping[str, Any]) -> dict[str, Any]:
    """What a parameter takes, and what it is."""
    return without_null(parameter["schema"]) | {"description": parameter.get("description")}


def _bodies(operation: Mapping[str, Any]) -> list[str]:
    """The names of the shapes that a body has, one for each kind of content."""
    schemas = [content["schema"] for content in operation.get("requestBody", {}).get("content", {}).values()]
    options = [option for schema in schemas for option in (schema, *schema.get("anyOf", ()))]
    return [name for option in options if (name := named(option)) is not None]


def _refusals(operation: Mapping[str, Any]) -> dict[str, str]:
    """The statuses that answer with an error, and when."""
    return {
        status: answer["description"]
        for status, answer in operation["responses"].items()
        if int(status) >= _REFUSED_FROM and _shape_of(answer) in _ERRORS
    }


def _shape_of(answer: Mapping[str, Any]) -> str | None:
    return next((named(content.get("schema", {})) for content in answer.get("content", {}).values()), None)


def _answer(answer: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """What an answer has, behind its status: the shape, and the names of its fields."""
    name = _shape_of(answer)
    if name is None:
        when = str(answer["description"])
        return "" if when == "Successful Response" else f" ({when[:1].lower()}{when[1:]})"
    names = [f"`{field}`" for field, _, _ in fields(schema["components"]["schemas"][name])]
    shown = f" ({', '.join(names)})" if len(names) <= _FEW else ""
    return f" with {kind({'$ref': name})}{shown}"


def _refusal_section(operations: list[Mapping[str, Any]], always: set[str]) -> str:
    when: dict[str, dict[str, None]] = {}
    for operation in operations:
        for status, words in _refusals(operation).items():
            when.setdefault(status, {})[words] = None
    rows = [
        (status, "every endpoint" if status in always else "where it is named", cell("; or ".join(words)))
        for status, words in sorted(when.items())
    ]
    return (
        '\n## refusals\n\nEach has the body `{"error": {"code", "message", "cure"}}` ([errors](errors.md)).\n\n'
        + table(("Status", "From", "When"), rows)
    )


def _shape_sections(schema: Mapping[str, Any], operations: list[Mapping[str, Any]]) -> Iterator[str]:
    bodies = {name for operation in operations for name in _bodies(operation)}
    yield "\n## shapes\n\nWhat answers and bodies are made of.\n"
    for name, shape in sorted(schema["components"]["schemas"].items()):
        if name not in bodies | _ERRORS:
            yield shape_section(name, shape)
