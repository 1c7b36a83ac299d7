"""How arguments and answers travel as JSON; the same for every transport."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum

from app.post_audit.errors import InvalidArgument
from app.post_audit.ports import JSON

__all__ = ["decode", "encode", "to_json", "utf8"]


def to_json(value: object) -> JSON:  # noqa: C901, PLR0911 - one line a type, nothing else
    """Turn dataclasses, enumerations, dates and tuples into what JSON can hold.

    Raises `TypeError` for anything else, and for a moment without a time zone: UTC is never guessed.
    """
    match value:
        case None | bool() | int() | float():
            return value
        case Enum():
            return to_json(value.value)
        case str():
            return value
        case datetime():
            if value.tzinfo is None:
                message = f"a moment without a time zone cannot be sent: {value.isoformat()}"
                raise TypeError(message)
            return value.isoformat()
        case date():
            return value.isoformat()
        case Decimal():
            return float(value)
        case Mapping():
            return {str(key): to_json(item) for key, item in value.items()}
        case Sequence() | set() | frozenset() if not isinstance(value, bytes | bytearray):
            return [to_json(item) for item in value]
        case _ if is_dataclass(value) and not isinstance(value, type):
            return {field.name: to_json(getattr(value, field.name)) for field in fields(value)}
    message = f"{type(value).__name__} cannot be sent as JSON"
    raise TypeError(message)


def encode(value: object) -> str:
    """Write a value as JSON text; NaN and infinities, which jsonb refuses, raise `ValueError`."""
    # The encoder asks only for what it does not know itself: a third of the time of turning over every value first.
    return json.dumps(value, default=to_json, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def decode(text: str | bytes) -> JSON:
    """Read JSON text."""
    answer: JSON = json.loads(text)
    return answer


def utf8(text: str) -> bytes:
    """Encode a text for the database. Raises `InvalidArgument` for what PostgreSQL cannot hold.

    That is NUL, and half of a surrogate pair: an argument of the command line that is not UTF-8 has some.
    """
    try:
        encoded = text.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgument(
            f"A text cannot be stored: {error.object[error.start]!a} is half a character.",
            cure="Write it in UTF-8, or leave it out.",
            sqlstate="22021",
        ) from None
    if b"\0" in encoded:
        raise InvalidArgument(
            "A text cannot be stored: it holds the character NUL.", cure="Leave it out.", sqlstate="22021"
        )
    return encoded
