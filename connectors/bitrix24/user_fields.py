"""The portal's own fields of its records: their descriptions with the texts of lists, and their values as rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from connectors.bitrix24.answers import documented
from connectors.bitrix24.asking import ask_each
from connectors.bitrix24.client import Bitrix24Client, Command
from connectors.bitrix24.fields import LABELS, Field
from connectors.bitrix24.settings import Bitrix24Settings
from connectors.bitrix24.values import as_day, as_flag, as_micros, as_text
from connectors.decode import decode_record
from connectors.stream import BadRecord, MapContext, Mapper, Page, RawRecord, Request, Rows, target

KINDS = ("deal", "contact", "company", "lead")
OWN = "UF_"
SIX_PLACES, LARGEST = Decimal("0.000001"), Decimal(10) ** 20

FIELDS = target("core.custom_fields", "field_id entity_type name code field_type")
OPTIONS = target("core.custom_field_options", "field_id option_id name position", owned_by="field_id")
VALUES = target(
    "core.custom_field_values",
    "entity_type record_id field_id position text_value number_value day_value time_value option_id details",
    owned_by="entity_type record_id",
)

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_FIELD = msgspec.json.Decoder(Field)
_ANY = msgspec.json.Decoder(Any)


# ── descriptions ────────────────────────────────────────────────────────────────────────────────────────────────


def fetch_user_fields(client: Bitrix24Client, request: Request) -> Iterator[Page]:
    """One record a field; ids are `deal-UF_CRM_…`."""
    commands = [Command(key=kind, method=f"crm.{kind}.fields", params={}) for kind in KINDS]
    found: dict[str, bytes] = {}
    for kind, result in ask_each(client, commands).items():
        with documented(client.source, f"crm.{kind}.fields"):
            # PHP writes an empty object as a list.
            fields = {} if bytes(result) == b"[]" else _OBJECT.decode(result)
        found |= {f"{kind}-{code}": bytes(raw) for code, raw in sorted(fields.items()) if code.startswith(OWN)}
    yield Page(ids=list(found), payloads=list(found.values()), versions=[0] * len(found), cursors=[0] * len(found))


def map_user_field(record: RawRecord, context: MapContext, rows: Rows) -> None:
    """A field with the choices of a list."""
    field = decode_record(_FIELD, record.payload)
    kind, _, code = record.record_id.partition("-")
    labels = (as_text(getattr(field, label)) for label in LABELS)
    rows.add(FIELDS, (record.record_id, kind, next(filter(None, labels), code), code, field.type))
    options = {str(item.get("ID")): as_text(item.get("VALUE")) for item in field.items or []}
    rows.add_children(
        OPTIONS,
        (record.record_id,),
        [(record.record_id, option_id, name, place) for place, (option_id, name) in enumerate(options.items())],
    )


# ── values ──────────────────────────────────────────────────────────────────────────────────────────────────────


def with_values(kind: str, mapper: Mapper) -> Mapper:
    """The same mapping, and with `user_fields = "all"` the values of the record's own fields beside it."""

    def map_with_values(record: RawRecord, context: MapContext, rows: Rows) -> None:
        mapper(record, context, rows)
        settings = context.settings
        assert isinstance(settings, Bitrix24Settings)
        if settings.user_fields == "all":
            _add_values(kind, record, context, rows)

    return map_with_values


def _add_values(kind: str, record: RawRecord, context: MapContext, rows: Rows) -> None:
    stated = decode_record(_OBJECT, record.payload)
    if any(as_flag(_plain(stated.get(name))) for name in ("IS_RECURRING", "IS_MY_COMPANY")):
        # The template of a recurring deal, the portal's own firm: their records are not loaded either.
        return
    known = _descriptions(kind, context)
    values: list[tuple[Any, ...]] = []
    for code, raw in stated.items():
        if code.startswith(OWN):
            field = known.get(code, Field())
            read = decode_record(_ANY, raw)
            for place, value in enumerate(read if isinstance(read, list) else [read]):
                if value not in (None, False, "", [], {}):
                    values.append((kind, record.record_id, f"{kind}-{code}", place, *_typed(field, value)))
    rows.add_children(VALUES, (kind, record.record_id), values)


def _descriptions(kind: str, context: MapContext) -> Mapping[str, Field]:
    cached: dict[str, Field] | None = context.cache.get(f"bitrix24.user_fields.{kind}")
    if cached is None:
        listed = context.dictionaries.get("user_fields", {})
        own = {key.partition("-")[2]: payload for key, payload in listed.items() if key.startswith(f"{kind}-")}
        cached = {code: field for code, payload in own.items() if (field := _described(payload)) is not None}
        context.cache[f"bitrix24.user_fields.{kind}"] = cached
    return cached


def _described(payload: bytes) -> Field | None:
    """None: unreadable, which its own stream has rejected. It must not cost every deal of the portal."""
    try:
        return decode_record(_FIELD, payload)
    except BadRecord:
        return None


Typed = tuple[str | None, Decimal | None, date | None, int | None, str | None, str | None]


def _typed(field: Field, value: Any) -> Typed:
    """Text, number, day, time, option, details. What is not as its type promises stays text: one odd field must not
    cost the record."""
    if isinstance(value, dict):
        # A file's addresses let anybody in who has them: only its id is kept.
        return as_text(value.get("id")), None, None, None, None, None
    text = as_text(value)
    try:
        if field.type == "enumeration":
            return field.option(text or ""), None, None, None, text, None
        if field.type == "date":
            day = as_day(text, "$")
            return (day.isoformat() if day else text), None, day, None, None, None
        if field.type == "datetime":
            return text, None, None, as_micros(text, "$"), None, None
        if field.type == "boolean":
            return text, Decimal(1 if as_flag(text) else 0), None, None, None, None
        if field.type == "money":
            amount, _, currency = (text or "").partition("|")
            return f"{amount} {currency}".strip(), _number(amount), None, None, None, None
        if field.type in ("integer", "double"):
            return text, _number(text or ""), None, None, None, None
    except BadRecord:
        pass
    if field.type == "address":
        # `text|lat;lng|id`
        return (text or "").partition("|")[0], None, None, None, None, text
    return text, None, None, None, None, None


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    # The column holds six places.
    return number.quantize(SIX_PLACES) if number.is_finite() and abs(number) < LARGEST else None


def _plain(raw: msgspec.Raw | None) -> Any:
    return None if raw is None else decode_record(_ANY, raw)


# ── files ───────────────────────────────────────────────────────────────────────────────────────────────────────


def file_codes(client: Bitrix24Client, method: str) -> frozenset[str]:
    """Codes of the file fields of what `crm.KIND.list` lists; none for other methods."""
    kind = method.removeprefix("crm.").removesuffix(".list")
    if kind not in (*KINDS, "quote"):
        return frozenset()
    result = client.call(f"crm.{kind}.fields").result
    with documented(client.source, f"crm.{kind}.fields"):
        fields = {} if bytes(result) == b"[]" else _OBJECT.decode(result)
        return frozenset(code for code, raw in fields.items() if _FIELD.decode(raw).type == "file")


def without_addresses(payload: bytes, codes: frozenset[str]) -> bytes:
    """A record whose files are told by their ids alone: their addresses carry a way in."""
    record = _OBJECT.decode(payload)
    for code in codes & record.keys():
        value = _ANY.decode(record[code])
        listed = value if isinstance(value, list) else [value]
        kept = [{"id": item.get("id")} if isinstance(item, dict) else item for item in listed]
        record[code] = msgspec.Raw(msgspec.json.encode(kept if isinstance(value, list) else kept[0]))
    return msgspec.json.encode(record)
