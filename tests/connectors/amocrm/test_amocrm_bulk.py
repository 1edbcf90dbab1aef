"""Leads mapped many at a time give what they give one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from amocrm_office import MOSCOW, lead

from connectors.amocrm import mapping_deals
from connectors.amocrm.settings import AmocrmSettings
from connectors.stream import BulkMapper, MapContext, Rows
from warehouse.mapping import BULK_RECORDS, Columns, Mapped, map_records

AT = 1_760_000_000
CATALOGS = {"3": b'{"id": 3, "type": "invoices"}'}


def context() -> MapContext:
    settings = AmocrmSettings(type="amocrm", base_url="https://example.amocrm.ru")
    dictionaries = {"catalogs": CATALOGS}
    return MapContext(
        source="amo", settings=settings, zone=MOSCOW, country="RU", currency="RUB", dictionaries=dictionaries
    )


def field(number: int, *values: Any) -> dict[str, Any]:
    return {"field_id": number, "field_name": f"Ф{number}", "field_type": "text", "values": list(values)}


def usual(number: int) -> dict[str, Any]:
    contacts = [{"id": 41, "is_main": True}, {"id": 42}, {"id": 41, "is_main": False}][: number % 4]
    elements = [{"id": 5, "metadata": {"catalog_id": 3}}][: number % 2]
    return lead(
        number,
        AT + number,
        price=number * 100,
        custom_fields_values=[field(7, {"value": f"т{number}"}), field(8, {"value": "а"}), field(7, {"value": "б"})],
        _embedded={"contacts": contacts, "catalog_elements": elements},
    )


def chunk(records: list[dict[str, Any] | bytes | None], ops: dict[int, str] | None = None) -> Columns:
    payloads = [record if isinstance(record, bytes | None) else msgspec.json.encode(record) for record in records]
    count = len(records)
    written = [(ops or {}).get(place, "put") for place in range(count)]
    return [[str(n) for n in range(count)], written, [AT] * count, [AT] * count, [None] * count, payloads]


def by_place(rows: Rows) -> dict[str, list[tuple[int, tuple[Any, ...]]]]:
    """What each target got, in the order of the records."""
    found = {}
    for made, places in ((rows.rows, rows.ordinals), (rows.owners, rows.owner_ordinals)):
        for into, values in made.items():
            pairs = sorted(zip(places[into], values, strict=True), key=lambda pair: pair[0])
            found[f"{into.relation} {into.columns} {made is rows.owners}"] = pairs
    return found


def both(columns: Columns, many: BulkMapper = mapping_deals.map_leads) -> tuple[Mapped, Mapped]:
    alone = map_records(mapping_deals.map_lead, context(), columns)
    return alone, map_records(mapping_deals.map_lead, context(), columns, many)


def test_usual_leads_give_the_same_rows() -> None:
    """A column in another's place, or a child list at a neighbour's record."""
    alone, many = both(chunk([usual(number) for number in range(9)]))
    assert by_place(alone.rows) == by_place(many.rows)
    assert len(many.rows.rows[mapping_deals.DEALS]) == 9


def test_odd_records_among_them_keep_their_verdicts_and_places() -> None:
    """A reject, a stub of the trash, a tombstone or a payload let go would shift the rows of those after it."""
    trash = {"id": 3, "is_deleted": True}
    records = [usual(0), b"{", usual(2), trash, usual(4), {"id": 5, "price": 10**20}, None, usual(7), usual(8)]
    alone, many = both(chunk(records, {7: "delete"}))
    assert by_place(alone.rows) == by_place(many.rows)
    assert [(place, bad.code) for place, bad in many.rejects] == [(place, bad.code) for place, bad in alone.rejects]
    assert [place for place, _ in many.rejects] == [1, 5]
    assert (many.told, many.let_go) == (alone.told, alone.let_go) == ([7], 1)


def test_a_bad_record_costs_only_its_own_part_of_the_chunk() -> None:
    """One unreadable lead would send the whole first load the slow way."""
    given: list[int] = []

    def many(places: Sequence[int], payloads: Sequence[bytes], known: MapContext, rows: Rows) -> Sequence[int]:
        left = mapping_deals.map_leads(places, payloads, known, rows)
        given.extend(places)
        return left

    count = 2 * BULK_RECORDS
    _, mapped = both(chunk([b"{", *map(usual, range(1, count))]), many)
    assert given == [*range(BULK_RECORDS, count)]
    assert sorted(mapped.rows.ordinals[mapping_deals.DEALS]) == [*range(1, count)]
