"""Values as SQL literals, for the texts of views and queries that DuckDB can't take parameters in."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any


def literal(value: Any) -> str:
    """A value as DuckDB SQL; instants must be aware.

    Raises:
        TypeError: a type nobody has decided about, or an instant without its zone.
    """
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise TypeError("an aware datetime is needed")
        return f"TIMESTAMPTZ '{value.isoformat(sep=' ')}'"
    if isinstance(value, date):
        return f"DATE '{value.isoformat()}'"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]::VARCHAR[]"
    raise TypeError(f"no literal for {type(value).__name__}")


def values(rows: list[tuple[Any, ...]]) -> str:
    """A VALUES list; `rows` must not be empty."""
    return "VALUES " + ", ".join(f"({', '.join(map(literal, row))})" for row in rows)
