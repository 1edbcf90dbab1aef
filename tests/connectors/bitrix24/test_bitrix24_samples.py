"""Recorded and documented answers of real portals go through the same decoding as the simulated ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bitrix24_office import map_payload, only_row, rows_of

from connectors.bitrix24 import mapping, mapping_log
from connectors.bitrix24.answers import read_batch, read_envelope, read_raws, read_rows

RESPONSES = Path(__file__).parent / "responses"


def sample(name: str) -> bytes:
    return (RESPONSES / f"{name}.json").read_bytes()


def test_deals() -> None:
    envelope = read_envelope(sample("doc_crm_deal_list"))
    page = read_rows(envelope.result, "", "ID", "")
    assert [row.id for row in page.rows] == [37, 38, 39, 40, 41, 42]
    assert envelope.timing.operating == 0
    row = only_row(map_payload(mapping.map_deal, json.loads(page.rows[0].payload)), "core.deals")
    assert (row["stage_id"], row["pipeline_id"], str(row["amount"])) == ("C1:NEW", "1", "19999.99")


def test_users_with_objects_for_times() -> None:
    raws = read_raws(read_envelope(sample("doc_user_get")).result, "")
    rows = [only_row(map_payload(mapping.map_user, json.loads(bytes(raw))), "core.users") for raw in raws]
    assert [row["name"] for row in rows] == ["Вадим Валеев", "Иван Иванов"]


def test_batch_with_lists_for_empty_objects() -> None:
    answer = read_batch(read_envelope(sample("doc_batch")))
    assert set(answer.results) == {"get_user", "get_department"}
    assert (answer.failures, answer.loose_failures, answer.next_starts) == ({}, [], {})


def test_categories() -> None:
    raws = read_raws(read_envelope(sample("rec_crm_category_list")).result, "categories")
    categories = [json.loads(bytes(raw)) for raw in raws]
    assert categories[0]["id"] == 0
    stage: dict[str, Any] = {"STATUS_ID": "NEW"}
    rows = map_payload(mapping.map_pipeline, {"category": categories[0], "stages": [stage]})
    assert rows_of(rows, "core.pipeline_stages")[0]["pipeline_name"] == "Portal Shop"


def test_items() -> None:
    page = read_rows(read_envelope(sample("rec_crm_item_list")).result, "items", "id", "")
    assert [row.id for row in page.rows] == [1, 2, 3]


def test_stage_history() -> None:
    page = read_rows(read_envelope(sample("rec_stagehistory_first_page")).result, "items", "ID", "CREATED_TIME")
    assert page.rejects == []
    assert [row.id for row in page.rows] == sorted(row.id for row in page.rows)
    assert page.count == 50
    row = only_row(map_payload(mapping_log.map_stage_entry, json.loads(page.rows[0].payload)), "core.deal_events")
    assert (row["deal_id"], row["stage_id"], row["event_type"]) == ("523", "UC_KW9988", "stage")
