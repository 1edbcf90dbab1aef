"""Custom-field values in typed form: one row a value (`core.custom_field_values`), whatever shape amoCRM gave it.

Called for every record that is loaded, so the common shapes (a text, a choice from a list) take the short way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from base.times import MICROS
from connectors.amocrm.fields import DAY_TYPES, Field, as_day, as_text
from connectors.stream import Rows, target

VALUES = target(
    "core.custom_field_values",
    "entity_type record_id field_id position text_value number_value day_value time_value option_id option_code"
    " details",
    owned_by="entity_type record_id",
)
# DECIMAL(38,6): what is larger or no number at all stays in the text.
_PLACES = Decimal("0.000001")
_LARGEST = Decimal(10) ** 32

# text_value, number_value, day_value, time_value, option_id, option_code, details
_Typed = tuple[str | None, Decimal | None, date | None, int | None, str | None, str | None, str | None]


def add_values(rows: Rows, entity_type: str, record_id: str, fields: Sequence[Field], zone: ZoneInfo) -> None:
    """The whole of a record's values; it replaces what was read of it before. `zone` is the account's, for days."""
    record = (entity_type, record_id)
    rows.add_children(VALUES, record, read_values(record, fields, zone))


def read_values(record: tuple[Any, ...], fields: Sequence[Field], zone: ZoneInfo) -> list[tuple[Any, ...]]:
    """The rows of a record, its kind and id given."""
    for field in fields:
        if field.typed is None:
            field.typed = _read_values(field, record[0], zone)
    values = [value for field in fields if field.typed for value in field.typed]
    known = {field.field_id for field in fields}
    if len(known) < len(fields) or None in known:
        values = _renumber(values)
    return [record + value for value in values]


def _renumber(values: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The same field may come twice: its values go on counting."""
    counts: dict[str, int] = {}
    found = []
    for field_id, _, *said in values:
        position = counts.get(field_id, 0)
        counts[field_id] = position + 1
        found.append((field_id, position, *said))
    return found


def _read_values(field: Field, entity_type: str, zone: ZoneInfo) -> list[tuple[Any, ...]]:
    """The field's rows but for the record: field, place among its own values, and what the value says."""
    field_id = f"{entity_type}-{field.name if field.field_id is None else field.field_id}"
    kind = field.kind
    read = _READERS.get(kind, _read_text)
    found: list[tuple[Any, ...]] = []
    for item in field.items:
        typed = read(item, kind, zone)
        if typed is not None:
            found.append((field_id, len(found), *typed))
    return found


def _read_text(item: Any, kind: str, zone: ZoneInfo) -> _Typed | None:
    """Texts, choices, phones, addresses: a value and, for a choice, its option. An unknown shape keeps its JSON."""
    if not isinstance(item, dict):
        text = as_text(item, kind, zone)
        return (text, None, None, None, None, None, None) if text else None
    value = item.get("value")
    option_id = item.get("enum_id")
    # Old answers call the code `enum`.
    code = item.get("enum_code") or item.get("enum")
    if isinstance(value, dict | list):
        return _read_parts(item, kind, zone)
    text = value.strip() if isinstance(value, str) else as_text(value, kind, zone)
    if not text and option_id is None:
        return None
    return (
        text or None,
        None,
        None,
        None,
        None if option_id is None else str(option_id),
        None if code is None else str(code),
        None,
    )


def _read_number(item: Any, kind: str, zone: ZoneInfo) -> _Typed | None:
    text = as_text(_value_of(item), kind, zone)
    if not text:
        return None
    return text, _as_number(text), None, None, None, None, None


def _read_tick(item: Any, kind: str, zone: ZoneInfo) -> _Typed | None:
    value = _value_of(item)
    if value is None or value == "":
        return None
    is_on = value in (True, 1, "1", "true")
    return "true" if is_on else "false", Decimal(is_on), None, None, None, None, None


def _read_day(item: Any, kind: str, zone: ZoneInfo) -> _Typed | None:
    """The account's midnight as an instant: read in UTC it is the day before."""
    value = _value_of(item)
    if value is None or value == "":
        return None
    text = as_day(value, zone)
    return text, None, _as_date(text), None, None, None, None


def _read_moment(item: Any, kind: str, zone: ZoneInfo) -> _Typed | None:
    value = _value_of(item)
    if value is None or value == "":
        return None
    text = str(value).strip()
    try:
        seconds = int(text)
    except ValueError:
        return text, None, None, None, None, None, None
    # Beyond the year 9999 it is no time.
    return text, None, None, seconds * MICROS if abs(seconds) < 253_402_300_800 else None, None, None, None


def _read_parts(item: Any, kind: str, zone: ZoneInfo) -> _Typed | None:
    """Values with parts: what people mean by it as text, its sum as number, everything as JSON."""
    value = _value_of(item)
    if not value:
        return None
    if not isinstance(value, dict):
        return as_text(value, kind, zone), None, None, None, None, None, _as_json(value)
    name = _NAMES.get(kind, "name")
    text = value.get(name) or as_text(value, kind, zone)
    total = value.get("total_sum") if kind == "items" else None
    return (
        None if text is None or isinstance(text, dict | list) else str(text).strip() or None,
        None if total is None else _as_number(str(total)),
        None,
        None,
        None,
        None,
        _as_json(value),
    )


def _read_chain(item: Any, kind: str, zone: ZoneInfo) -> _Typed | None:
    """A chained list has no `value`: the element stands in the item itself, or, in some answers, within it."""
    if not isinstance(item, dict):
        return None
    inner = item.get("value")
    parts = inner if isinstance(inner, dict) else item
    element = parts.get("catalog_element_id")
    if element is None:
        return None
    return None, None, None, None, str(element), None, _as_json(parts)


def _value_of(item: Any) -> Any:
    return item.get("value") if isinstance(item, dict) else item


def _as_number(text: str) -> Decimal | None:
    try:
        number = Decimal(text.replace(",", ".").replace(" ", "").replace("\u00a0", ""))
    except InvalidOperation:
        return None
    if not number.is_finite() or abs(number) >= _LARGEST:
        return None
    try:
        return number.quantize(_PLACES, rounding=ROUND_HALF_UP)
    except InvalidOperation:
        # More digits than Decimal's context holds.
        return None


def _as_date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _as_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


_Reader = Callable[[Any, str, ZoneInfo], _Typed | None]
# What people mean by a value with parts.
_NAMES = {"items": "description", "file": "file_name"}
_READERS: dict[str, _Reader] = {
    **dict.fromkeys(("numeric", "price", "monetary"), _read_number),
    **dict.fromkeys(DAY_TYPES, _read_day),
    **dict.fromkeys(("legal_entity", "payer", "supplier", "linked_entity", "items", "file"), _read_parts),
    "checkbox": _read_tick,
    "date_time": _read_moment,
    "chained_list": _read_chain,
}
