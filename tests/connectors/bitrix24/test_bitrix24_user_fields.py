"""The portal's own fields: described with their lists, their values typed, and no file's address kept."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from bitrix24_office import NOW, Office, deal, empty_world, ids_of, map_payload, only_row, rows_of

from base.times import to_micros
from connectors.bitrix24 import mapping
from connectors.bitrix24.streams import STREAMS
from connectors.bitrix24.user_fields import map_user_field, with_values
from demo.bitrix24 import world_from_story
from demo.company import build_company

OpenPortal = Callable[..., Office]
FIELDS: dict[str, Any] = {
    "deal-UF_CRM_L": {"type": "enumeration", "formLabel": "Материал", "items": [{"ID": "45", "VALUE": "Стекло"}]},
    "deal-UF_CRM_M": {"type": "money", "listLabel": "Аванс"},
    "deal-UF_CRM_D": {"type": "date"},
    "deal-UF_CRM_T": {"type": "datetime"},
    "deal-UF_CRM_B": {"type": "boolean"},
    "deal-UF_CRM_N": {"type": "double"},
    "deal-UF_CRM_A": {"type": "address"},
    "deal-UF_CRM_F": {"type": "file"},
}
FILE = {"id": 9, "showUrl": "https://x/show?auth=secret", "downloadUrl": "https://x/get?auth=secret"}


def values(**fields: Any) -> dict[str, list[dict[str, Any]]]:
    rows = map_payload(
        with_values("deal", mapping.map_deal),
        {"ID": "5", **fields},
        record_id="5",
        settings={"user_fields": "all"},
        dictionaries={"user_fields": FIELDS},
    )
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows_of(rows, "core.custom_field_values"):
        found.setdefault(row["field_id"], []).append(row)
    return found


def test_a_field_and_the_choices_of_its_list() -> None:
    rows = map_payload(map_user_field, FIELDS["deal-UF_CRM_L"], record_id="deal-UF_CRM_L")
    row = only_row(rows, "core.custom_fields")
    assert (row["entity_type"], row["name"], row["code"]) == ("deal", "Материал", "UF_CRM_L")
    option = only_row(rows, "core.custom_field_options")
    assert (option["option_id"], option["name"]) == ("45", "Стекло")


def test_values_of_every_shape_are_typed() -> None:
    found = values(
        UF_CRM_L=["45", "46"],
        UF_CRM_M="1500.00|RUB",
        UF_CRM_D="2026-03-08T19:00:00-05:00",
        UF_CRM_T="2026-11-20T15:00:00+03:00",
        UF_CRM_B="1",
        UF_CRM_N="2.5",
        UF_CRM_A="Москва, Тверская 1|55.7;37.6|12",
        UF_CRM_UNKNOWN="новое",
    )
    first, second = found["deal-UF_CRM_L"]
    assert (first["text_value"], first["option_id"], second["text_value"], second["position"]) == (
        "Стекло",
        "45",
        "46",
        1,
    )
    [money] = found["deal-UF_CRM_M"]
    assert (money["text_value"], money["number_value"]) == ("1500.00 RUB", Decimal("1500"))
    # A day is told as its midnight shifted by the server's offset: the text's own first ten characters are wrong here.
    assert found["deal-UF_CRM_D"][0]["day_value"] == date(2026, 3, 9)
    assert found["deal-UF_CRM_T"][0]["time_value"] == to_micros(NOW)
    assert found["deal-UF_CRM_B"][0]["number_value"] == 1
    assert found["deal-UF_CRM_N"][0]["number_value"] == Decimal("2.5")
    assert found["deal-UF_CRM_A"][0]["text_value"] == "Москва, Тверская 1"
    # A field made since its description was read.
    assert found["deal-UF_CRM_UNKNOWN"][0]["text_value"] == "новое"


@pytest.mark.parametrize("empty", [False, None, "", [], [""]])
def test_empty_fields_have_no_rows(empty: Any) -> None:
    """An empty multiple field is `false`, not a list."""
    assert values(UF_CRM_L=empty) == {}


def test_a_value_unlike_its_type_stays_text_and_costs_no_record() -> None:
    found = values(UF_CRM_D="вчера", UF_CRM_N="много", UF_CRM_T="2026-11-20")
    assert found["deal-UF_CRM_D"][0]["text_value"] == "вчера"
    assert (found["deal-UF_CRM_N"][0]["text_value"], found["deal-UF_CRM_N"][0]["number_value"]) == ("много", None)
    assert found["deal-UF_CRM_T"][0]["time_value"] is None


def test_named_fields_only_make_no_rows() -> None:
    rows = map_payload(with_values("deal", mapping.map_deal), {"ID": "5", "UF_CRM_N": "1"}, record_id="5")
    assert rows_of(rows, "core.custom_field_values") == []


def test_addresses_of_files_are_never_stored(open_portal: OpenPortal) -> None:
    """They let in whoever has them: the log would keep a key to every file of the portal."""
    world = empty_world()
    world.deal_fields.update({key.partition("-")[2]: value for key, value in FIELDS.items()})
    deal(world, 1, UF_CRM_F=FILE, UF_CRM_N="2")
    deal(world, 2, UF_CRM_F=[FILE, FILE])
    # A single file field that is empty is left out.
    deal(world, 3)
    pages = open_portal(world, settings={"user_fields": "all"}).read("deals")
    assert ids_of(pages) == ["1", "2", "3"]
    stored = b" ".join(payload for page in pages for payload in page.payloads)
    assert b"secret" not in stored
    assert stored.count(b'{"id":9}') == 3
    assert b'"UF_CRM_N":"2"' in stored


def test_descriptions_of_all_kinds_cost_one_request(open_portal: OpenPortal) -> None:
    world = empty_world()
    world.deal_fields["UF_CRM_1"] = {"type": "string", "title": "UF_CRM_1"}
    world.deal_fields["TITLE"] = {"type": "string"}
    world.other_fields["contact"] = {"UF_CRM_1": {"type": "string"}}
    office = open_portal(world)
    assert ids_of(office.read("user_fields")) == ["deal-UF_CRM_1", "contact-UF_CRM_1"]
    assert len(office.server.requests) == 1


@pytest.mark.parametrize("stream", [stream.name for stream in STREAMS])
def test_user_fields_take_the_place_of_no_other_field(open_portal: OpenPortal, stream: str) -> None:
    """A list without fields of its own gives all of them: asked for user fields alone it would give nothing else."""
    office = open_portal(world_from_story(build_company(deals=25)), settings={"user_fields": "all"})
    assert [reject.code for page in office.read(stream) for reject in page.rejects] == []
