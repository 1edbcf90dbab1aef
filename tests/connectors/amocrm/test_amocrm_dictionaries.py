"""Small lists read whole: more than a page of them, features an account lacks, names that changed."""

from __future__ import annotations

from collections.abc import Callable

from amocrm_office import Office, empty_world, ids_of, lead, map_payload, only_row

from connectors.amocrm import mapping_deals
from connectors.amocrm.check import check
from connectors.amocrm.settings import FieldNames
from demo.http import html_response

OpenOffice = Callable[..., Office]
AT = 1_760_000_000


def test_users_beyond_the_first_page_are_read(open_office: OpenOffice) -> None:
    """The default page holds 50, the largest 250: a larger company lost its later users."""
    world = empty_world()
    world.users.extend({"id": number, "name": "x", "rights": {}} for number in range(2, 402))
    office = open_office(world)
    assert len(set(ids_of(office.read("users")))) == 401
    assert len(office.server.requests) == 2


def test_empty_dictionaries_cost_one_request_each(open_office: OpenOffice) -> None:
    office = open_office(empty_world())
    for stream in ("loss_reasons", "sources", "lead_tags", "lead_fields"):
        assert ids_of(office.read(stream)) == []
    assert len(office.server.requests) == 4


def test_feature_the_account_lacks_is_no_failure(open_office: OpenOffice) -> None:
    office = open_office(empty_world())
    office.server._handler = lambda request: html_response(404, "404 Not Found")
    pages = office.read("loss_reasons")
    assert ids_of(pages) == []
    # What was read before stays: it is out of sight, not removed.
    assert pages[0].is_partial_view


def test_renamed_loss_reason_carries_todays_name_and_a_removed_one_its_last() -> None:
    embedded = {"loss_reason": [{"id": 5, "name": "Дорого"}]}
    record = lead(7, AT, loss_reason_id=5, _embedded=embedded)
    renamed = {"loss_reasons": {"5": '{"id":5,"name":"Высокая цена"}'.encode()}}
    assert only_row(map_payload(mapping_deals.map_lead, record, dictionaries=renamed), "core.deals")["loss_reason"] == (
        "Высокая цена"
    )
    assert only_row(map_payload(mapping_deals.map_lead, record), "core.deals")["loss_reason"] == "Дорого"


def test_check_finds_a_configured_field_the_account_does_not_have(open_office: OpenOffice) -> None:
    """A misspelt name loads nothing and fails nowhere else."""
    world = empty_world()
    world.dictionaries["leads/custom_fields"][1].append({"id": 601, "name": "Номер счёта", "type": "text"})
    names = FieldNames(invoice_number="номер счёта ", contract_number="Дгоовор", order_id="601")
    office = open_office(world, settings={"fields": names})
    found = {str(line.subject): line.verdict for line in check(office.client)}
    fields = [found[f"field {key}"] for key in ("invoice_number", "contract_number", "order_id")]
    assert fields == ["ok", "warning", "ok"]
