"""Custom fields: found by code, name or id, never by position; every shape of value seen in amoCRM.

Names repeat, change and hold any character, so fields never become columns; what the configuration names is taken
out, everything else stays in the payload.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Generic, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from base.times import from_unix
from connectors.decode import decode_record

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


class _Stated(msgspec.Struct, gc=False):
    """A custom field of a record. `values` is what the vendor sent: mostly a list of objects."""

    field_id: int | None = None
    field_name: str | None = None
    field_code: str | None = None
    field_type: str | None = None
    values: Any = None


class Field:
    """A custom field of a record, and what was made of it: one statement is shared by all records that make it."""

    __slots__ = ("code", "field_id", "folded", "items", "kind", "name", "texts", "typed")

    def __init__(self, stated: _Stated) -> None:
        self.field_id = stated.field_id
        self.name = name = stated.field_name
        self.folded = _fold(name) if name else ""
        self.code = stated.field_code
        self.kind = stated.field_type or ""
        # The values as they came; PHP may number them (`{"0": …}`) instead of listing them.
        values = stated.values
        if isinstance(values, dict):
            values = [*values.values()]
        self.items: list[Any] = values if isinstance(values, list) else []
        # Filled when they are first asked for, by `texts` and by values.py.
        self.texts: list[str] | None = None
        self.typed: list[tuple[Any, ...]] | None = None


# What stands for the custom fields in a record's type: as nearly every record states them, or anything at all.
FieldsT = TypeVar("FieldsT")
# A record without the key has none of either.
ABSENT: Any = None
Usual = list[msgspec.Raw] | None
Odd = msgspec.Raw
RecordT = TypeVar("RecordT")

_STATED = msgspec.json.Decoder(_Stated, strict=False)
_LIST = msgspec.json.Decoder(list[_Stated], strict=False)
_TABLE = msgspec.json.Decoder(dict[str, _Stated], strict=False)
# What is chosen comes again and again, byte for byte; what people type in does not.
_REPEATED = frozenset({"select", "multiselect", "radiobutton", "checkbox", "category", "chained_list", "tracking_data"})
# How many statements are kept in mind, and how long a one, in bytes.
MOST_KNOWN = 4096
LONGEST_KNOWN = 1000
# Where they stand in `MapContext.cache`.
KNOWN = "amocrm.fields"


class RecordDecoder(Generic[RecordT]):
    """Reads records that have custom fields. `usual` and `odd` are one type with `Usual` and `Odd` in their place."""

    def __init__(self, usual: type[RecordT], odd: type[RecordT]) -> None:
        self._usual = msgspec.json.Decoder(usual)
        self._odd = msgspec.json.Decoder(odd)

    def decode(self, payload: bytes) -> RecordT:
        """The record; what it has of custom fields is read by `read_fields`.

        Raises:
            BadRecord: as `decode_record` does.
        """
        try:
            return self._usual.decode(payload)
        except msgspec.DecodeError:
            return decode_record(self._odd, payload)


def read_fields(stated: Usual | Odd, cache: dict[str, Any]) -> list[Field]:
    """`custom_fields_values` of a record: a list, null, or (PHP) an object with numbers for keys.

    `cache` is `MapContext.cache`: what fields were found to say is known there for as long as a stream is conformed.

    Raises:
        BadRecord: something else.
    """
    if stated is None:
        return []
    if isinstance(stated, list):
        known = cache.get(KNOWN)
        if known is None:
            known = cache[KNOWN] = {}
        try:
            return [known.get(field) or _read_field(field, known) for field in map(bytes, stated)]
        except msgspec.DecodeError:
            # The verdict names the place in the list.
            stated = msgspec.Raw(b"[" + b",".join(map(bytes, stated)) + b"]")
    first = bytes(stated)[:1]
    if first == b"[":
        listed: list[_Stated] = decode_record(_LIST, stated)
        return [*map(Field, listed)]
    if first == b"{":
        return [*map(Field, decode_record(_TABLE, stated).values())]
    return []


def _read_field(stated: bytes, known: dict[bytes, Field]) -> Field:
    field = Field(_STATED.decode(stated))
    if field.kind in _REPEATED and len(stated) <= LONGEST_KNOWN:
        if len(known) >= MOST_KNOWN:
            known.clear()
        known[stated] = field
    return field


def texts_by_code(fields: Sequence[Field], code: str, zone: ZoneInfo) -> list[str]:
    """All values of the fields with a code (`PHONE`, `EMAIL`, `UTM_SOURCE`) as text, in order."""
    found: list[str] = []
    for field in fields:
        if field.code == code:
            found += texts(field, zone)
    return found


def text_by_name(fields: Sequence[Field], name: str | None, zone: ZoneInfo) -> str | None:
    """First value of the field a person calls `name` (or whose id it is), as text; None when it is not filled."""
    if not name:
        return None
    wanted = _fold(name)
    is_id = wanted.isdecimal()
    for field in fields:
        if field.folded == wanted or (is_id and str(field.field_id) == wanted):
            found = texts(field, zone)
            if found:
                return found[0]
    return None


@lru_cache(maxsize=4096)
def _fold(name: str) -> str:
    """A field's name as it is compared; an account has some dozens of names and millions of values."""
    return name.strip().casefold()


def tax_id(fields: Sequence[Field], name: str | None, zone: ZoneInfo) -> str | None:
    """Taxpayer id: from the field the configuration names, else from a field of the type for legal entities."""
    named = text_by_name(fields, name, zone)
    if named:
        return named
    for field in fields:
        if field.kind == "legal_entity":
            found = texts(field, zone)
            if found:
                return found[0]
    return None


def texts(field: Field, zone: ZoneInfo) -> list[str]:
    """The field's values as a person reads them, empty ones left out. `zone` is the account's, for days."""
    found = field.texts
    if found is None:
        found = field.texts = []
        for item in field.items:
            # Chained lists have no `value` key.
            value = item.get("value") if isinstance(item, dict) else item
            text = as_text(value, field.kind, zone)
            if text:
                found.append(text)
    return found


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
