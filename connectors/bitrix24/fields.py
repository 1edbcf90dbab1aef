"""User fields: found by code or label, their values as a person reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from connectors.bitrix24.settings import FieldNames
from connectors.bitrix24.values import as_day
from connectors.decode import decode_record

LABELS = ("form_label", "list_label", "filter_label", "title")


class Field(msgspec.Struct, rename="camel"):
    """A description from `crm.deal.fields`."""

    type: str | None = None
    title: str | None = None
    list_label: str | None = None
    form_label: str | None = None
    filter_label: str | None = None
    items: list[dict[str, Any]] | None = None

    def is_called(self, name: str) -> bool:
        wanted = name.strip().casefold()
        return any((getattr(self, label) or "").strip().casefold() == wanted for label in LABELS)

    def option(self, option_id: str) -> str:
        """An enumeration's text by its id; the id itself for an option removed since."""
        for item in self.items or []:
            if str(item.get("ID")) == option_id:
                return str(item.get("VALUE"))
        return option_id


_FIELD = msgspec.json.Decoder(Field)
_ANY = msgspec.json.Decoder(Any)


class FieldBook:
    """The portal's fields of deals, and which of them the configuration means."""

    def __init__(self, payloads: Mapping[str, bytes], names: FieldNames) -> None:
        self._fields = {code: decode_record(_FIELD, payload) for code, payload in payloads.items()}
        wanted = msgspec.structs.asdict(names)
        self.codes = {key: self.find(name) for key, name in wanted.items() if name}

    def find(self, name: str) -> str | None:
        """The code of a field a person calls `name`, or whose code it is."""
        if name in self._fields:
            return name
        return next((code for code, field in self._fields.items() if field.is_called(name)), None)

    def text(self, key: str, record: Mapping[str, msgspec.Raw]) -> str | None:
        """The configured field's first value as text; None when it is empty or not configured."""
        code = self.codes.get(key)
        if code is None or code not in record:
            return None
        value = decode_record(_ANY, record[code])
        first = next(iter(value), None) if isinstance(value, list) else value
        if first is None or isinstance(first, bool | dict | list) or str(first).strip() == "":
            return None
        text = str(first).strip()
        field = self._fields[code]
        if field.type == "enumeration":
            return field.option(text)
        if field.type == "money":
            return text.partition("|")[0]
        if field.type == "date":
            day = as_day(text, f"$.{code}")
            return None if day is None else day.isoformat()
        return text
