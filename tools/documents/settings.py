"""docs/reference/settings.md: the fields of `Settings`, which say themselves what they are."""

from __future__ import annotations

from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Le
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from app.post_audit.settings import Settings, project_folder
from documents.markdown import HEAD, cell, table

__all__ = ["document", "setting_name"]


def setting_name(name: str, field: FieldInfo) -> str:
    """The name of a setting as it stands in the environment."""
    return field.alias or name.upper()


def _setting_type(field: FieldInfo) -> str:
    annotation: Any = field.annotation
    if isinstance(annotation, UnionType):
        annotation = next(kind for kind in get_args(annotation) if kind is not type(None))
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(f"`{value}`" for value in get_args(annotation))
    least = next((limit.ge for limit in field.metadata if isinstance(limit, Ge)), None)
    most = next((limit.le for limit in field.metadata if isinstance(limit, Le)), None)
    if annotation is int and least is not None and most is not None:
        return f"whole number, {least} to {most}"
    names = {SecretStr: "text, secret", Path: "path", int: "whole number", str: "text"}
    return names.get(annotation, str(getattr(annotation, "__name__", annotation)))


def _setting_default(field: FieldInfo) -> str:
    match field.default:
        case None:
            return "not set"
        case Path() as path:
            return f"`{path.relative_to(project_folder())}`"
        case value:
            return f"`{value}`"


def document() -> str:
    """Make the text of the document."""
    rows = [
        (
            f"`{setting_name(name, field)}`",
            cell(field.description or ""),
            _setting_type(field),
            _setting_default(field),
        )
        for name, field in Settings.model_fields.items()
    ]
    return (
        HEAD.format(source="backend/app/post_audit/settings.py", title="Settings")
        + "Read from the environment and from `.env` (UTF-8) in the project's folder and in the working folder;"
        " the environment wins, then the working folder. A value that is empty counts as not given. Paths that are"
        " shown as relative lie in the project's folder, or in the working folder when the product is installed as a"
        " wheel. A value that cannot be used ends every command with exit code 2 and names the setting, never its"
        " value.\n\n" + table(("Name", "What it is", "Type", "When it is not given"), rows)
    )
