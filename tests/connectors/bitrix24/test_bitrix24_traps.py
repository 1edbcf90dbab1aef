"""Every trap of Bitrix24 we know of, each with the tests that hold it; and the traps that had no test elsewhere.

The list is checked: a test that is renamed or removed leaves its trap open, and this file says which.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from bitrix24_office import NOW, Office, deal, empty_world, ids_of, position_of

from base.clock import FakeClock
from connectors.bitrix24.answers import Timing, read_envelope, read_rows
from connectors.bitrix24.budget import OperatingBudget
from connectors.bitrix24.streams import STREAMS

OpenPortal = Callable[..., Office]

TRAPS: dict[str, tuple[str, ...]] = {
    # ── requests and their answers
    "a malformed body is no parameters at all": ("test_a_malformed_body_is_no_parameters",),
    "classic lists drop unknown filters": (
        "test_an_unknown_filter_of_a_classic_list_gives_the_whole_table",
        "test_a_filter_the_portal_ignores_is_noticed",
    ),
    "keys and values of a command must be percent-encoded; True and None have no form of their own": (
        "test_params_are_encoded_as_the_documents_vectors",
    ),
    "empty parts of a batch are lists; commands fail inside a good answer": (
        "test_empty_parts_of_a_batch_are_lists_and_halt_stops",
        "test_batch_with_lists_for_empty_objects",
        "test_a_command_that_fails_inside_a_good_answer_is_asked_again",
    ),
    "an error may come with status 200, an empty code, or against its status": ("test_refusals_by_code_first",),
    "a renamed portal answers 302, and a POST sent again by itself loses its parameters": (
        "test_a_renamed_portal_is_followed_within_the_vendor_only",
        "test_a_renamed_portal_is_known_by_the_tokens_from_then_on",
    ),
    "the webhook is in the address": ("test_webhook_is_in_no_error_and_no_log",),
    "one record that can't be encoded fails its page": (
        "test_a_record_the_server_cant_encode_costs_itself_only",
        "test_a_list_of_nothing_but_damage_is_the_portals_fault",
        "test_a_page_that_keeps_failing_for_an_inner_error_is_read_record_by_record",
    ),
    "an item asked for unknown fields is an empty list": ("test_an_item_without_its_fields_is_a_reject",),
    # ── paging
    "counting costs a large portal minutes": ("test_no_list_is_counted",),
    "after the first short page of a chain everything is garbage": (
        "test_after_a_short_page_a_chain_begins_anew_and_an_item_list_refuses",
        "test_every_record_is_read_once_wherever_the_last_page_ends",
    ),
    "offset pages shift when records change": ("test_a_change_of_any_kind_while_reading_loses_and_doubles_nothing",),
    "an order object means nothing to some methods": (
        "test_call_statistics_ignore_an_order_object",
        "test_a_list_out_of_order_is_an_error_not_a_hole",
    ),
    "the cursor is the server's clock at the run's start": (
        "test_the_cursor_is_the_servers_clock_not_ours",
        "test_copy_equals_the_portal_after_every_run",
    ),
    "some portals find nothing by a time with an offset": (
        "test_portal_that_finds_nothing_by_times_with_an_offset_is_found_out",
        "test_naive_times_are_in_the_portals_own_clock",
    ),
    "a heavy batch dies at the gateway": ("test_a_batch_too_heavy_for_the_server_is_halved",),
    # ── limits
    "requests: a leaking bucket of the portal and this address": (
        "test_bucket_overflows_and_leaks",
        "test_small_requests_never_overflow_the_bucket",
        "test_a_stock_held_by_a_second_process_is_the_same_stock",
        "test_no_answer_of_a_first_load_is_a_refusal",
    ),
    "operating time: a ban of one method, others go on": (
        "test_operating_time_bans_one_method",
        "test_when_operating_time_runs_out_the_connector_slows_instead_of_failing",
        "test_a_parked_method_stops_no_other",
        "test_a_first_command_out_of_operating_time_waits_instead_of_failing",
    ),
    "operating is a sum already": ("test_operating_time_is_not_summed_up_again",),
    "portals differ in whether the batch or its commands are billed": ("test_whoever_is_billed_no_429_stops_a_load",),
    "boxes do not tell operating time": ("test_a_portal_that_does_not_tell_its_operating_time_is_waited_for",),
    # ── rights
    "what the employee may not see is missing without an error": (
        "test_whoever_sees_only_his_own_deals_is_told_that_nobody_will_tell_him",
    ),
    "scopes and modules may be missing": (
        "test_each_missing_scope_is_named_with_where_to_switch_it_on",
        "test_a_missing_scope_costs_its_stream_only",
        "test_portal_without_leads_or_quotes_is_whole",
        "test_portal_without_a_shop_has_no_marks",
        "test_a_box_without_universal_methods_gives_the_first_contacts",
    ),
    "refresh tokens rotate": (
        "test_a_new_pair_is_on_the_disk_before_it_is_used",
        "test_two_processes_refresh_once",
        "test_an_answer_a_killed_run_did_not_store_is_taken_up_by_the_next",
        "test_a_machine_that_stopped_between_the_answer_and_the_disk_is_told_so",
    ),
    "refreshing by the clock gets an application blocked": ("test_tokens_are_not_renewed_by_the_clock",),
    "`domain` of a token answer is the token server": ("test_tokens_of_another_portal_are_refused",),
    # ── deletions
    "nothing tells of a deletion": (
        "test_ids_alone_tell_what_is_gone_and_cost_a_request_for_2500",
        "test_core_equals_a_changing_portal",
    ),
    "half a list of ids must bury nothing": ("test_a_sweep_that_breaks_off_buries_nothing_and_comes_again",),
    # ── values
    "a number may be text, nothing may be '', '0', null or false": ("test_empty_values_in_all_their_forms_are_none",),
    "a day is told shifted by the server's offset": (
        "test_days_are_written_as_utc_midnight_in_the_servers_offset",
        "test_a_day_is_the_servers_day_on_any_server",
    ),
    "CLOSEDATE is a plan": ("test_plan_date_is_never_the_closing_time",),
    "the first pipeline's id is 0": ("test_the_first_pipeline_has_number_zero",),
    "IS_RECURRING marks a template": ("test_the_template_of_a_recurring_deal_is_no_deal",),
    "IS_MY_COMPANY marks the portal's own firm": ("test_own_company_is_no_customer",),
    "phones and mails come only when they are named": (
        "test_multifields_come_only_when_named",
        "test_contact_with_phones_mails_and_without",
    ),
    "the classic list names one contact of a deal": (
        "test_all_contacts_of_a_deal_are_linked_and_the_first_is_the_main_one",
    ),
    "users: objects for times, presence that changes all day, departments that are false": (
        "test_user_with_objects_where_texts_belong_and_without_most_keys",
        "test_presence_of_users_is_no_change_of_them",
        "test_user_stands_in_the_first_of_his_departments",
    ),
    "history entries: ids as numbers or text, no word on whose they are": (
        "test_stage_history_with_text_and_number_ids",
        "test_history_of_a_record_that_is_no_deal",
        "test_each_kind_of_records_keeps_its_own_place_in_its_history",
    ),
    "activities: newer portals write provided ones": ("test_kinds_of_activities",),
    "calls: a row for each employee rung, over the edge of a page or a window": (
        "test_rows_of_a_call_on_two_pages_are_one_record",
        "test_a_call_over_the_edge_of_the_window_is_not_stored_as_half_of_itself",
        "test_missed_call_of_several_employees_is_one_call_nobody_held",
    ),
    "invoices have no paid flag, and stage codes are only defaults": (
        "test_invoice_is_paid_by_the_portals_dictionary_not_by_a_code_known_by_heart",
    ),
    "payment marks have no time of change": (
        "test_a_bill_marked_paid_long_after_it_was_made_is_met",
        "test_a_mark_taken_back_is_met_by_the_daily_sweep",
    ),
    "user fields: every shape, and files whose addresses let anybody in": (
        "test_values_of_every_shape_are_typed",
        "test_empty_fields_have_no_rows",
        "test_addresses_of_files_are_never_stored",
    ),
}


def test_every_trap_is_held_by_a_test_that_exists() -> None:
    here = Path(__file__).parent
    there = {name for path in here.glob("test_*.py") for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M)}
    named = {name for names in TRAPS.values() for name in names}
    assert named - there == set()
    assert [trap for trap, names in TRAPS.items() if not names] == []


def test_a_filter_the_portal_ignores_is_noticed(open_portal: OpenPortal, caplog: pytest.LogCaptureFixture) -> None:
    """A dropped filter is a whole table in every run: no error, only a bill."""
    world = empty_world()
    for number in range(1, 4):
        deal(world, number)
    office = open_portal(world)
    position = position_of(office.read("deals"))
    office.clock.advance(3600)
    caplog.clear()
    assert ids_of(office.read("deals", position=position)) == []
    assert "filter_ignored" not in caplog.text
    world.edit("deals", 1, office.clock.now())
    run = office.server._run
    office.server._run = lambda method, params: run(method, {**params, "filter": {}})  # type: ignore[method-assign]
    assert len(ids_of(office.read("deals", position=position))) == 3
    assert "filter_ignored" in caplog.text


def test_an_item_without_its_fields_is_a_reject() -> None:
    """PHP writes an object without fields as a list: neither a crash nor a record without an id."""
    envelope = read_envelope(b'{"result": {"items": [[], {"id": 5}, {"id": null}]}}')
    page = read_rows(envelope.result, "items", "id", "updatedTime")
    assert ([row.id for row in page.rows], page.count) == ([5], 3)
    assert sorted(reject.code for reject in page.rejects) == ["no_id", "wrong_type"]


def test_operating_time_is_not_summed_up_again() -> None:
    """It is the sum of ten minutes already: a client that adds it up crawls at a tenth of what it may."""
    clock = FakeClock(NOW)
    budget = OperatingBudget(420.0, clock)
    for spent in (100.0, 120.0, 140.0):
        budget.note(
            "crm.deal.list", Timing(operating=spent, operating_reset_at=int(NOW.timestamp()) + 500, duration=20.0)
        )
        budget.wait(["crm.deal.list"])
    assert clock.slept == []
    assert budget.load() == {"crm.deal.list": pytest.approx(1 / 3)}


@pytest.mark.parametrize("stream", [stream.name for stream in STREAMS if stream.kind == "entity"])
def test_no_stream_of_records_takes_a_mask_by_default(open_portal: OpenPortal, stream: str) -> None:
    """`*` costs several times the server's time, and its services' texts travel with every record."""
    office = open_portal(empty_world())
    sent: list[str] = []
    handle = office.server._handler

    def overhear(request: object) -> object:
        body = msgspec.json.decode(request.body)  # type: ignore[attr-defined]
        sent.extend(map(str, body.get("cmd", {}).values()))
        return handle(request)  # type: ignore[arg-type]

    office.server._handler = overhear  # type: ignore[assignment]
    office.read(stream)
    assert sent
    assert [text for text in sent if "%2A" in text] == []
