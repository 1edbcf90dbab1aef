"""Custom fields: found by code, name or id, never by position; every shape of value seen in amoCRM.

Names repeat, change and hold any character, so fields never become columns; what the configuration names is taken
out, everything else stays in the payload.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from base.times import from_unix
from connectors.decode import decode_record

NULL = msgspec.Raw(b"null")
# Stored as the midnight of the account's time zone: read in UTC they are one day early (amocrm-api-php #402).
DAY_TYPES = ("date", "birthday")
# Values of these types are objects; this key of theirs is what people mean by the field.
OBJECT_KEYS = {
    "legal_entity": "vat_id",
    "payer": "vat_id",
    "supplier": "vat_id",
    "linked_entity": "name",
    "file": "file_name",
}
_ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


class FieldValue(msgspec.Struct):
    """A custom field of a record. `values` is what the vendor sent: mostly a list of objects."""

    field_id: int | None = None
    field_name: str | None = None
    field_code: str | None = None
    field_type: str | None = None
    values: Any = None


_LIST = msgspec.json.Decoder(list[FieldValue], strict=False)
_TABLE = msgspec.json.Decoder(dict[str, FieldValue], strict=False)


def read_fields(raw: msgspec.Raw) -> list[FieldValue]:
    """`custom_fields_values` of a record: a list, null, or (PHP) an object with numbers for keys.

    Raises:
        BadRecord: something else.
    """
    first = bytes(raw)[:1]
    if first == b"[":
        return decode_record(_LIST, raw)
    if first == b"{":
        return list(decode_record(_TABLE, raw).values())
    return []


def texts_by_code(fields: Sequence[FieldValue], code: str, zone: ZoneInfo) -> list[str]:
    """All values of the fields with a code (`PHONE`, `EMAIL`, `UTM_SOURCE`) as text, in order."""
    found: list[str] = []
    for field in fields:
        if field.field_code == code:
            found += texts(field, zone)
    return found


def text_by_name(fields: Sequence[FieldValue], name: str | None, zone: ZoneInfo) -> str | None:
    """First value of the field a person calls `name` (or whose id it is), as text; None when it is not filled."""
    if not name:
        return None
    wanted = _fold(name)
    for field in fields:
        if _fold(field.field_name or "") == wanted or (wanted.isdecimal() and str(field.field_id) == wanted):
            found = texts(field, zone)
            if found:
                return found[0]
    return None


@lru_cache(maxsize=4096)
def _fold(name: str) -> str:
    """A field's name as it is compared; an account has some dozens of names and millions of values."""
    return name.strip().casefold()


def tax_id(fields: Sequence[FieldValue], name: str | None, zone: ZoneInfo) -> str | None:
    """Taxpayer id: from the field the configuration names, else from a field of the type for legal entities."""
    named = text_by_name(fields, name, zone)
    if named:
        return named
    for field in fields:
        if field.field_type == "legal_entity":
            found = texts(field, zone)
            if found:
                return found[0]
    return None


def texts(field: FieldValue, zone: ZoneInfo) -> list[str]:
    """The field's values as a person reads them, empty ones left out. `zone` is the account's, for days."""
    found = []
    for item in items_of(field):
        # Chained lists have no `value` key.
        value = item.get("value") if isinstance(item, dict) else item
        text = as_text(value, field.field_type or "", zone)
        if text:
            found.append(text)
    return found


def items_of(field: FieldValue) -> Iterable[Any]:
    """The field's values as they came; PHP may number them (`{"0": …}`) instead of listing them."""
    stated = field.values
    return stated.values() if isinstance(stated, dict) else stated if isinstance(stated, list) else ()


def as_text(value: Any, kind: str, zone: ZoneInfo) -> str | None:
    """One value as a person reads it; None when it has no such form."""
    if isinstance(value, str) and kind not in DAY_TYPES:
        return value.strip()
    if isinstance(value, dict):
        value = value.get(OBJECT_KEYS.get(kind, "value"))
    if value is None or isinstance(value, dict | list):
        return None
    if kind in DAY_TYPES:
        return as_day(value, zone)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _as_plain_number(value)
    return str(value).strip()


def as_day(value: Any, zone: ZoneInfo) -> str:
    """`YYYY-MM-DD`, from seconds (which may be negative: before 1970), text of seconds, or an ISO text."""
    text = str(value).strip()
    try:
        return from_unix(int(text)).astimezone(zone).date().isoformat()
    except (ValueError, OverflowError):
        pass
    if _ISO_DAY.fullmatch(text):
        return text
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return (moment.astimezone(zone) if moment.tzinfo else moment).date().isoformat()


def _as_plain_number(value: float) -> str:
    """`14012.0` is the number 14012; no exponent."""
    try:
        number = Decimal(repr(value))
    except InvalidOperation:
        return str(value)
    return format(number.to_integral_value() if number == number.to_integral_value() else number, "f")
