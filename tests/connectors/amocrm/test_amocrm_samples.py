"""Recorded and documented answers are decoded as they came."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import httpx
import msgspec
import pytest
from amocrm_office import map_payload, only_row
from hypothesis import given
from hypothesis import strategies as st

from connectors.amocrm import mapping, mapping_deals
from connectors.amocrm.answers import Answer, _strip_each, read_answer, strip_link_queries
from connectors.amocrm.settings import AmocrmSettings, FieldNames

RESPONSES = Path(__file__).parent / "responses"


def answer_of(name: str, key: str) -> Answer:
    return read_answer(httpx.Response(200, content=(RESPONSES / name).read_bytes()), key, "")


def test_recorded_leads_page() -> None:
    """A live account's answer (2022): numeric fields as text, tracking fields, `next` with the foreign limit of 1."""
    answer = answer_of("recorded_leads_page_hexlet.json", "leads")
    assert (answer.has_next, answer.limit, len(answer.rows)) == (True, 1, 1)
    names = FieldNames(order_id="hexlet_lead_id", contract_number="921871")
    settings = AmocrmSettings(type="amocrm", base_url="https://hexlet.amocrm.ru", fields=names)
    payload = msgspec.json.decode(answer.rows[0].payload)
    deal = only_row(map_payload(mapping_deals.map_lead, payload, settings=settings), "core.deals")
    assert (deal["deal_id"], deal["stage_id"], deal["pipeline_id"]) == ("9228191", "143", "5204152")
    assert (deal["amount"], deal["order_id"], deal["contract_number"]) == (Decimal("124000.00"), "14012", "frontend")
    assert deal["closed_at"] == 1_652_194_613_000_000


def test_documented_contacts_page() -> None:
    answer = answer_of("docstyle_krukov_contacts_page_1.json", "contacts")
    assert [row.id for row in answer.rows] == ["7143599", "7767065"]
    contact = only_row(map_payload(mapping.map_contact, msgspec.json.decode(answer.rows[0].payload)), "core.contacts")
    assert (contact["name"], contact["phones"], contact["company_id"]) == ("1", [], None)


def test_documented_pipelines() -> None:
    answer = answer_of("docstyle_ogi4i_pipelines_list.json", "pipelines")
    rows = map_payload(mapping.map_pipeline, msgspec.json.decode(answer.rows[0].payload))
    assert [row[5] for row in rows.rows[mapping.STAGES]] == ["unsorted", None, None, "won", "lost"]


def test_record_read_on_another_page_with_another_limit_is_the_same_record() -> None:
    """Its own link repeats the list's query: kept, every reading would store a new version of everything."""
    body = (RESPONSES / "recorded_leads_page_hexlet.json").read_bytes()
    moved = body.replace(b"9228191?limit=1&page=1", b"9228191?limit=250&page=7&filter%5Bx%5D=1")
    assert moved != body
    first, second = (read_answer(httpx.Response(200, content=each), "leads", "") for each in (body, moved))
    assert first.rows[0].payload == second.rows[0].payload


@pytest.mark.parametrize(
    "payload",
    [
        rb'{"name": "\"href\":\"http://a?b\"", "x": "a?b"}',
        b'{"href": null, "x": "a?b"}',
        b'{"href": "https://a/1"}',
    ],
)
def test_texts_that_only_look_like_links_stay_whole(payload: bytes) -> None:
    assert strip_link_queries(payload) == payload


TEXTS = st.text('"?\\:{} a/1', max_size=8) | st.just('"href":"a?b"')
RECORDS = st.recursive(
    TEXTS | st.none(),
    lambda inner: st.dictionaries(st.sampled_from(["href", "name", "self", "?"]), inner),
    max_leaves=6,
)


@given(RECORDS, st.sampled_from([(",", ":"), (", ", ": ")]))
def test_the_short_way_of_taking_queries_off_ends_where_the_long_one_does(
    record: object, separators: tuple[str, str]
) -> None:
    """A record whose one question mark stands elsewhere would be cut, and every reading would store it anew."""
    payload = json.dumps(record, separators=separators).encode()
    assert strip_link_queries(payload) == _strip_each(payload)


@pytest.mark.parametrize("body", [b"", b'{"_embedded": []}', b'{"_links": [], "_embedded": {"leads": null}}'])
def test_nothing_in_any_form_is_an_empty_page(body: bytes) -> None:
    assert read_answer(httpx.Response(200, content=body), "leads", "updated_at").is_empty


def test_204_is_not_parsed() -> None:
    assert read_answer(httpx.Response(204), "leads", "updated_at").is_empty
