"""Reading a 1C database: addresses, errors, what is published, pages that lose nothing, and the sliding window."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from odata_office import (
    NOW,
    PASSWORD,
    URL,
    Office,
    empty_world,
    ids_of,
    odata_settings,
    party,
    position_of,
    receipt,
)

from base.errors import (
    ConfigError,
    CredentialsError,
    MassDisappearanceError,
    ProtocolError,
    RightsError,
    ServerFaultError,
)
from base.text import LANGUAGES
from connectors.onec.odata.address import has_credentials, query_of, service_root
from connectors.onec.odata.check import check_odata
from connectors.onec.odata.refusals import MissingSetError, error_message
from connectors.onec.odata.schema import MetadataError, read_metadata
from connectors.onec.odata.sets import PAYMENT_FIELDS
from connectors.onec.settings import checked
from demo.http import ScriptedFaults
from demo.onec import OnecWorld, Quirks
from demo.onec.world import INVOICES, PARTIES, RECEIPTS, SALES, WRITE_OFFS

OpenOffice = Callable[..., Office]
DAY = timedelta(days=1)


def local(days_ago: float, hour: int = 0) -> datetime:
    """A document's date as 1C keeps it: local, without a zone."""
    return (NOW - timedelta(days=days_ago)).replace(hour=hour, minute=0, tzinfo=UTC)


def world_with(*days_ago: float) -> tuple[OnecWorld, list[str]]:
    world = empty_world()
    return world, [receipt(world, number, local(days)) for number, days in enumerate(days_ago)]


# ── addresses and secrets ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "url", [URL, f"{URL}/", f"{URL}/odata/standard.odata", f"{URL}/odata/standard.odata/?$format=json"]
)
def test_the_publication_and_the_interface_are_the_same_address(url: str) -> None:
    """A person copies either of them."""
    assert service_root(url) == f"{URL}/odata/standard.odata"


def test_a_space_is_never_a_plus() -> None:
    """1C refuses or ignores a filter encoded as a form; `$`, quotes and commas it wants as they are."""
    query = query_of([("$filter", "Date ge datetime'2026-02-01T00:00:00'"), ("$select", "Ref_Key,Контрагент")])
    assert query.startswith("$filter=Date%20ge%20datetime'2026-02-01T00:00:00'&$select=Ref_Key,%D0")
    assert "+" not in query


def test_credentials_in_the_address_are_refused_without_showing_them() -> None:
    """Every message names the address: the password would be in all of them."""
    settings = odata_settings(odata_url="https://ivan:tayna@books.example/base")
    assert has_credentials(settings.odata_url)
    with pytest.raises(ConfigError) as refused:
        checked(settings, "books")
    told = "".join(refused.value.render(language) for language in LANGUAGES)
    assert "sources.books.odata_url" in told
    assert "tayna" not in told


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        ({"odata_url": ""}, "path"),
        ({"path": "/exports"}, "odata_url"),
        ({"user": ""}, "user"),
        ({"window_days": 0}, "window_days"),
    ],
)
def test_settings_that_do_not_fit_together_are_named(keys: dict[str, Any], key: str) -> None:
    """Without this a source without any address would read the current folder."""
    assert [found for found, _ in odata_settings(**keys).problems()] == [key]


# ── errors ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "body",
    [
        '{"odata.error":{"code":"6","message":{"lang":"ru","value":"Поле не найдено"}}}',
        '{"odata.error":{"code":"6","message":"Поле не найдено"}}',
        '<m:error xmlns:m="x"><m:code/><m:message xml:lang="ru">Поле не найдено</m:message></m:error>',
        "<html><head><style>h1 {color: red}</style></head><h1>Поле не найдено</h1></html>",
    ],
)
def test_all_shapes_of_an_error_give_its_words(body: str) -> None:
    """XML comes even when JSON was asked for, HTML from the web server in front."""
    assert error_message(body.encode()) == "Поле не найдено"


@pytest.mark.parametrize("shape", ["json", "plain", "xml", "html"])
def test_a_missing_right_names_the_set_and_the_remedy(open_office: OpenOffice, shape: Any) -> None:
    world, _ = world_with(1)
    office = open_office(world, quirks=Quirks(error_shape=shape, forbidden={RECEIPTS}))
    with pytest.raises(RightsError) as refused:
        office.read("payments")
    assert RECEIPTS in str(refused.value)
    assert "OData" in str(refused.value.remedy)


def test_a_wrong_password_is_tried_once_and_never_shown(tmp_path: Path, open_office: OpenOffice) -> None:
    office = open_office(empty_world())
    office.server._authorization = "Basic other"
    with pytest.raises(CredentialsError) as refused:
        office.read("counterparties")
    assert len(office.server.requests) == 1
    assert PASSWORD not in refused.value.render("ru")


def test_a_web_page_at_the_address_is_no_odata(open_office: OpenOffice) -> None:
    """The publication's own page answers 200: a damaged answer would be asked for again and again."""
    office = open_office(empty_world(), settings={"odata_url": "https://books.example/other"})
    with pytest.raises(ProtocolError) as refused:
        office.read("counterparties")
    assert len(office.server.requests) == 1
    assert "odata_url" in str(refused.value.remedy)


def test_a_failing_database_is_asked_again_and_then_named(open_office: OpenOffice) -> None:
    world, keys = world_with(1)
    office = open_office(world, faults=ScriptedFaults(None, "server_error", "bad_gateway"))
    assert ids_of(office.read("payments")) == keys
    office = open_office(world, faults=lambda request: "server_error")
    office.client._schema_file.forget()
    with pytest.raises(ServerFaultError):
        office.read("payments")


# ── what is published ───────────────────────────────────────────────────────────────────────────────────────────


def test_metadata_with_a_document_type_is_refused() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><edmx:Edmx xmlns:edmx="x">&b;</edmx:Edmx>'
    with pytest.raises(MetadataError):
        read_metadata(bomb, {"A"})
    with pytest.raises(MetadataError):
        read_metadata(b"<edmx:Edmx xmlns:edmx='x'><Sch", {"A"})
    with pytest.raises(MetadataError):
        read_metadata(b"<html/>", {"A"})


def test_only_published_fields_are_asked_for(open_office: OpenOffice) -> None:
    """A field of another configuration fails the whole request."""
    world, _ = world_with(1)
    office = open_office(world)
    office.read("payments")
    asked = next(unquote(request) for request in office.server.requests if RECEIPTS in unquote(request))
    assert "НазначениеПлатежа" in asked
    assert "ХозяйственнаяОперация" not in asked


def test_metadata_is_kept_for_hours_and_read_anew_after_a_refusal(open_office: OpenOffice) -> None:
    """It has megabytes; but after an update of the configuration the kept one is wrong."""
    world, _ = world_with(1)

    def metadata_reads(office: Office) -> int:
        return sum("$metadata" in request for request in office.server.requests)

    first = open_office(world)
    first.read("payments")
    assert metadata_reads(first) == 1
    second = open_office(world)
    second.read("payments")
    assert metadata_reads(second) == 0
    world.tables[RECEIPTS][0].pop("НазначениеПлатежа")
    world.fields[RECEIPTS].remove("НазначениеПлатежа")
    with pytest.raises(ProtocolError):
        open_office(world).read("payments")
    healed = open_office(world)
    assert ids_of(healed.read("payments"))
    assert metadata_reads(healed) == 1


def test_a_database_without_payments_is_no_source_but_one_without_orders_is(open_office: OpenOffice) -> None:
    world, _ = world_with(1)
    office = open_office(world, quirks=Quirks(hidden={RECEIPTS, WRITE_OFFS, INVOICES}))
    with pytest.raises(MissingSetError) as refused:
        office.read("payments")
    assert "Состав" in str(refused.value.remedy)
    (page,) = office.read("orders")
    assert page.is_idle


def test_check_names_what_is_missing_with_the_remedy(open_office: OpenOffice) -> None:
    world, _ = world_with(1)
    quirks = Quirks(hidden={WRITE_OFFS, INVOICES}, forbidden={SALES})
    lines = list(check_odata(open_office(world, quirks=quirks).client))
    told = {(str(line.subject), line.verdict) for line in lines}
    assert {("access", "ok"), ("clock", "ok"), ("payments", "ok"), ("payments", "warning")} <= told
    assert ("invoices and customers' orders", "warning") in told
    assert ("sales and returns", "failed") in told
    assert all(line.remedy for line in lines if line.verdict != "ok")
    assert not [line for line in lines if PASSWORD in line.detail.render("ru")]


def test_check_stops_at_a_refused_user(open_office: OpenOffice) -> None:
    office = open_office(empty_world())
    office.server._authorization = "Basic other"
    (line,) = check_odata(office.client)
    assert line.verdict == "failed"
    assert len(office.server.requests) == 1


# ── pages ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("page_rows", [2, 3, 7, 50])
def test_many_documents_of_one_second_come_once_each(open_office: OpenOffice, page_rows: int) -> None:
    """Documents loaded from a bank carry no time: a whole day shares one second, more than a page holds."""
    world, keys = world_with(3, *[2] * 11, *[1] * 4)
    assert sorted(ids_of(open_office(world, page_rows=page_rows).read("payments"))) == sorted(keys)


@pytest.mark.parametrize("removed", [1, 3, 4])
def test_rows_removed_before_the_page_border_cost_no_row_behind_it(open_office: OpenOffice, removed: int) -> None:
    """By `$skip` alone the rows behind would move forward unread."""
    world, keys = world_with(*[2] * 12)
    office = open_office(world, page_rows=4)
    got: list[str] = []
    for page in office.pages("payments"):
        if not got:
            for key in page.ids[:removed]:
                world.delete(RECEIPTS, key)
        got += page.ids
    assert set(got) == set(keys)


@pytest.mark.parametrize("removed", [1, 3, 60])
def test_a_catalogue_loses_nothing_when_rows_go(open_office: OpenOffice, removed: int) -> None:
    world = empty_world()
    keys = [party(world, number) for number in range(2, 130)]
    got: list[str] = []
    for page in open_office(world, page_rows=64).pages("counterparties"):
        if not got:
            for key in page.ids[:removed]:
                world.delete(PARTIES, key)
        got += page.ids
    assert set(got) >= set(keys)


def test_documents_entered_before_the_page_border_repeat_no_page_for_ever(open_office: OpenOffice) -> None:
    """More new rows than a page holds push the last row out of the page that should begin with it."""
    world, keys = world_with(*[2] * 12)
    office = open_office(world, page_rows=4)
    got: list[str] = []
    for page in office.pages("payments"):
        if not got:
            for number in range(100, 110):
                receipt(world, number, local(2))
        got += page.ids
    assert set(got) >= set(keys)


# ── the window ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_first_load_begins_at_the_start_and_the_next_run_reads_the_window_only(open_office: OpenOffice) -> None:
    world, keys = world_with(400, 200, 30, 1)
    office = open_office(world)
    first = office.read("payments", start=NOW - 300 * DAY)
    assert ids_of(first) == keys[1:]
    again = office.read("payments", position=position_of(first), start=NOW - 300 * DAY)
    assert ids_of(again) == keys[2:]


def test_an_earlier_start_reads_the_history_again(open_office: OpenOffice) -> None:
    """Else what the user asked for by moving `start` would never come."""
    world, keys = world_with(400, 200, 1)
    office = open_office(world)
    position = position_of(office.read("payments", start=NOW - 300 * DAY))
    assert ids_of(office.read("payments", position=position, start=NOW - 500 * DAY)) == keys


def test_an_interrupted_first_load_goes_on_where_it_stopped(open_office: OpenOffice) -> None:
    """Read from its beginning again, a big base would never be read to its end."""
    world, keys = world_with(*range(20, 0, -1))
    office = open_office(world, page_rows=6)
    pages = office.read("payments")
    stopped = next(place for place, page in enumerate(pages) if len(ids_of(pages[: place + 1])) > 8)
    done = ids_of(pages[: stopped + 1])
    rest = office.read("payments", position=pages[stopped].position)
    assert done + ids_of(rest) == keys
    known = (position_of(rest) or {})["known"][RECEIPTS]
    assert sorted(known) == sorted(keys)


def test_what_is_gone_from_the_window_becomes_a_tombstone(open_office: OpenOffice) -> None:
    world, keys = world_with(5, 4, 3)
    office = open_office(world)
    position = position_of(office.read("payments"))
    world.delete(RECEIPTS, keys[1])
    pages = office.read("payments", position=position)
    assert [gone for page in pages for gone in page.deleted] == [keys[1]]


def test_a_document_dated_back_out_of_the_window_lives_on(open_office: OpenOffice) -> None:
    """It is missing from the window all the same: a tombstone would take away money that is there."""
    world, keys = world_with(5, 4)
    office = open_office(world)
    position = position_of(office.read("payments"))
    world.edit(RECEIPTS, keys[0], Date="2025-01-15T00:00:00")
    pages = office.read("payments", position=position)
    assert [gone for page in pages for gone in page.deleted] == []
    assert sorted(ids_of(pages)) == sorted(keys)


def test_a_window_that_empties_at_once_is_not_believed(open_office: OpenOffice) -> None:
    """Another database at the same address, or lost rights."""
    world, keys = world_with(*[3] * 30)
    office = open_office(world)
    position = position_of(office.read("payments"))
    for key in keys[:25]:
        world.delete(RECEIPTS, key)
    with pytest.raises(MassDisappearanceError) as refused:
        office.read("payments", position=position)
    assert "--accept-deletions" in str(refused.value.remedy)


def test_a_set_that_is_published_no_more_buries_nothing(open_office: OpenOffice) -> None:
    world, _ = world_with(3, 2)
    world.document(WRITE_OFFS, "44444444-0000-4000-8000-000000000001", local(2), СуммаДокумента=10)
    position = position_of(open_office(world).read("payments"))
    office = open_office(world, quirks=Quirks(hidden={RECEIPTS}))
    office.client.schema(fresh=True)
    assert [gone for page in office.read("payments", position=position) for gone in page.deleted] == []


def test_a_set_published_later_brings_its_whole_history(open_office: OpenOffice) -> None:
    """Its documents older than the window would be missed for ever."""
    world, _ = world_with(2)
    key = "44444444-0000-4000-8000-000000000001"
    world.document(WRITE_OFFS, key, local(300), СуммаДокумента=10)
    office = open_office(world, quirks=Quirks(hidden={WRITE_OFFS}))
    position = position_of(office.read("payments"))
    office.server.quirks.hidden.clear()
    office.client.schema(fresh=True)
    assert key in ids_of(office.read("payments", position=position))


def test_a_window_by_hand_keeps_to_its_days_and_moves_nothing(open_office: OpenOffice) -> None:
    world, keys = world_with(10, 5, 1)
    pages = open_office(world).read("payments", start=NOW - 6 * DAY, end=NOW - 4 * DAY, window=True)
    assert ids_of(pages) == [keys[1]]
    assert position_of(pages) is None


def test_today_is_not_complete_yet(open_office: OpenOffice) -> None:
    """Accountants enter today's money tomorrow: revenue would look low."""
    world, _ = world_with(1)
    pages = open_office(world).read("payments")
    assert pages[-1].complete_until == datetime(2026, 11, 19, 21, tzinfo=UTC)  # midnight in Moscow


def test_a_mended_tax_id_brings_the_payment_again(open_office: OpenOffice) -> None:
    """The document itself doesn't change: without a new payload it would keep the wrong payer for ever."""
    world, _ = world_with(2)
    office = open_office(world)
    office.read("counterparties")
    first = office.read("payments")
    world.edit(PARTIES, next(row["Ref_Key"] for row in world.tables[PARTIES]), ИНН="7728168971")
    office.read("counterparties")
    second = office.read("payments", position=position_of(first))
    assert [page.payloads for page in first if page.ids] != [page.payloads for page in second if page.ids]


def test_a_full_reading_meets_what_was_dated_back_behind_it(open_office: OpenOffice) -> None:
    """The sweep after it would take the document for deleted, and its money away."""
    world, keys = world_with(*range(20, 0, -1))
    office = open_office(world, page_rows=6)
    got: list[str] = []
    for page in office.pages("payments", full=True):
        if not got:
            world.edit(RECEIPTS, keys[-1], Date="2026-01-15T00:00:00")
        got += page.ids
    assert set(got) == set(keys)


def test_a_query_too_long_for_the_web_server_is_asked_without_the_field_list(open_office: OpenOffice) -> None:
    """Trade configurations have so many fields that their Cyrillic names fill more than IIS takes."""
    world, keys = world_with(2)
    world.fields[RECEIPTS] = list(PAYMENT_FIELDS)
    office = open_office(world)
    assert ids_of(office.read("payments")) == keys
    asked = [unquote(request) for request in office.server.requests if RECEIPTS in unquote(request)]
    assert [request for request in asked if "$select" in request] == []
