"""Records to rows: the definitions of custom fields, with the options of list fields."""

from __future__ import annotations

from typing import Any

import msgspec

from connectors.decode import decode_record
from connectors.stream import MapContext, Mapper, RawRecord, Rows, target

FIELDS = target("core.custom_fields", "field_id entity_type name code field_type position currency")
OPTIONS = target(
    "core.custom_field_options", "field_id option_id name code position parent_option_id", owned_by="field_id"
)


class _Option(msgspec.Struct):
    id: int | None = None
    value: str | None = None
    code: str | None = None
    sort: int | None = None
    parent_id: int | None = None


class _Field(msgspec.Struct):
    id: int
    name: str | None = None
    code: str | None = None
    type: str | None = None
    sort: int | None = None
    currency: str | None = None
    enums: list[_Option] | dict[str, _Option] | None = None
    # A tree (`category`).
    nested: list[_Option] | dict[str, _Option] | None = None


_FIELD = msgspec.json.Decoder(_Field)


def field_mapper(entity_type: str) -> Mapper:
    """A mapping of the fields of one kind of record: the definition itself does not always tell."""

    def map_field(record: RawRecord, context: MapContext, rows: Rows) -> None:
        field = decode_record(_FIELD, record.payload)
        field_id = f"{entity_type}-{field.id}"
        rows.add(FIELDS, (field_id, entity_type, field.name, field.code, field.type, field.sort, field.currency))
        options: dict[str, tuple[Any, ...]] = {}
        for option in [*_listed(field.enums), *_listed(field.nested)]:
            if option.id is not None:
                parent = None if not option.parent_id else str(option.parent_id)
                options[str(option.id)] = (
                    field_id,
                    str(option.id),
                    option.value,
                    option.code,
                    option.sort,
                    parent,
                )
        rows.add_children(OPTIONS, (field_id,), list(options.values()))

    return map_field


def _listed(options: list[_Option] | dict[str, _Option] | None) -> list[_Option]:
    return list(options.values()) if isinstance(options, dict) else options or []
