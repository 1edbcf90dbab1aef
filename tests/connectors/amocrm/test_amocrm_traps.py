"""amoCRM's traps, by their number in our notes on the source, each with the tests that hold it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from connectors.amocrm.streams import CONNECTOR

HERE = Path(__file__).parent
TRAPS: dict[int, tuple[str, list[str]]] = {
    1: (
        "a refresh token used twice, or a new pair not stored",
        [
            "test_two_processes_refresh_once_between_them",
            "test_kill_during_a_refresh_leaves_a_pair_that_works",
            "test_kill_while_the_vendor_answers_loses_no_answer",
        ],
    ),
    2: ("204 parsed as JSON", ["test_204_is_not_parsed", "test_next_link_on_a_full_last_page_ends_in_204"]),
    3: ("a short page taken for the last", ["test_short_page_does_not_end_the_load"]),
    4: ("events asked by more than 100", ["test_pages_never_ask_for_more_than_a_hundred"]),
    5: (
        "a filter ignored with 200",
        [
            "test_ignored_filter_is_noticed_and_the_list_read_whole",
            "test_ignored_filter_is_noticed_and_every_event_of_the_period_read",
        ],
    ),
    6: (
        "an offset that shifts and skips",
        [
            "test_record_edited_between_pages_hides_no_neighbour",
            "test_record_deleted_between_pages_hides_no_neighbour",
            "test_core_equals_the_account_after_every_sync",
        ],
    ),
    7: ("stubs of the trash over good rows", ["test_deleted_stub_touches_nothing_but_the_tombstone"]),
    8: ("142 and 143 without their pipeline", ["test_won_and_lost_stages_carry_their_pipeline"]),
    9: ("price_with_minor_units as kopecks", ["test_amount_is_roubles_with_their_fraction_not_kopecks"]),
    10: ("a date read in UTC", ["test_shape", "test_every_shape_of_value_is_read_or_left_empty"]),
    11: ("a task's result as []", ["test_task_result_in_any_form_does_not_stop_the_task"]),
    12: ("loss_reason as list or object", ["test_loss_reason_is_read_as_a_list_and_as_an_object"]),
    13: (
        "entity_type in plural and singular",
        [
            "test_task_hangs_on_what_its_plural_type_says",
            "test_change_of_a_contacts_owner_is_no_event_of_a_deal_with_the_same_id",
        ],
    ),
    14: ("event ids that are texts", ["test_log_entries_of_a_deal"]),
    15: ("numbers that are texts", ["test_shape"]),
    16: ("created_by 0", ["test_robot_as_owner_is_zero_not_nobody"]),
    17: (
        "a block that looks like a rights error",
        [
            "test_block_by_the_edge_is_no_rights_error_and_is_not_retried",
            "test_third_block_in_a_row_stops_all_requests_for_a_quarter_of_an_hour",
        ],
    ),
    18: ("a next link to another host", ["test_next_link_to_another_host_is_never_followed"]),
    19: (
        "rows that vanish with a right",
        [
            "test_absent_records_are_kept_when_the_user_is_no_administrator",
            "test_absent_records_are_deleted_when_the_user_is_an_administrator",
        ],
    ),
    20: ("updated_at in the past", ["test_core_equals_the_account_after_every_sync"]),
    21: ("one call noted twice", ["test_same_call_noted_on_contact_and_deal_is_one_activity_with_both_links"]),
    22: ("call_responsible as id or name", ["test_caller_is_an_id_or_a_name"]),
    23: ("sources of this integration only", ["test_tracking_field_stands_in_for_a_missing_source"]),
    24: ("unsorted that disappears", ["test_streams_that_only_hold_pending_records_are_not_read"]),
    25: (
        "a list of users for administrators only",
        ["test_check_says_that_a_non_administrator_sees_less_without_an_error"],
    ),
    26: (
        "a second with more than a page",
        ["test_second_with_more_records_than_a_page_is_read_by_id_until_two_passes_agree"],
    ),
    27: ("402 in the middle", ["test_unpaid_account_in_the_middle_of_a_run_stops_it_without_retries"]),
    28: ("fields as columns", ["test_shape", "test_several_values_and_a_field_that_comes_twice_go_on_counting"]),
}


def known_tests() -> set[str]:
    return {
        name
        for path in HERE.glob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text("utf-8"), re.M)
    }


def test_every_trap_is_named() -> None:
    assert sorted(TRAPS) == list(range(1, 29))


@pytest.mark.parametrize("number", TRAPS)
def test_trap_is_still_held(number: int) -> None:
    """A test renamed or removed leaves its trap open without anybody noticing."""
    told, tests = TRAPS[number]
    assert [name for name in tests if name not in known_tests()] == [], told


def test_streams_that_only_hold_pending_records_are_not_read() -> None:
    """`unsorted` lists what waits to be accepted: accepted or declined entries vanish, which no reading could tell
    from a deletion. A deal's source comes with the deal."""
    assert not [stream.name for stream in CONNECTOR.streams if "unsorted" in stream.name]
