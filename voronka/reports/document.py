"""`--json`: one document with stable names. Numbers are numbers (amounts with all their digits), times RFC 3339."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec

from base.text import Language, Text


def encode(document: Any, language: Language) -> str:
    """The document as indented JSON; texts in the given language."""
    encoder = msgspec.json.Encoder(decimal_format="number")
    return msgspec.json.format(encoder.encode(_plain(document, language)), indent=2).decode()


def _plain(value: Any, language: Language) -> Any:
    if isinstance(value, Text):
        return value.render(language)
    if isinstance(value, Mapping):
        return {str(key): _plain(item, language) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item, language) for item in value]
    if isinstance(value, Decimal):
        return _shortest(value)
    if isinstance(value, float):
        # JSON has no NaN and no infinity: there is no value.
        return value if value - value == 0 else None
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z") if value.tzinfo else value.isoformat()
    if isinstance(value, date | Path):
        return str(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name), language) for item in fields(value)}
    return value if isinstance(value, str | int | bool | None) else str(value)


def _shortest(value: Decimal) -> Decimal | int:
    """No zeros after the last digit that says something: 430000, 102500.5."""
    return int(value) if value == value.to_integral_value() else value.normalize()
