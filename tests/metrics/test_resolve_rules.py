"""Awkward cases of metrics.md, section 2, one deal or call each, all resolved in one warehouse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from itertools import count
from typing import Any

import duckdb
import pytest

from base.times import to_micros
from metrics.resolve import resolve
from metrics.resolve.money import MoneyReport
from metrics.settings import Rules
from tests.metrics.fixture_core import (
    COMPANY,
    PIPELINE,
    Batch,
    Crm,
    add_call,
    add_people,
    add_stages,
    empty_warehouse,
    fresh_clock,
    insert,
    moscow,
)

World = duckdb.DuckDBPyConnection
Scenario = Callable[[Batch, Crm], None]
SCENARIOS: list[Scenario] = []
EVER = date(1900, 1, 1)
_phones = count(1)
# Rules that differ from the defaults say so by their scenario.
RULES = Rules(successful_call_seconds_by_pipeline={"amo/slow": 120, "quick": 5})


def scenario(build: Scenario) -> Scenario:
    SCENARIOS.append(build)
    return build


def new_phone() -> str:
    return f"+7926{next(_phones):07d}"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    batch = Batch()
    add_stages(batch)
    add_people(batch)
    crm = Crm(batch)
    for build in SCENARIOS:
        build(batch, crm)
    connection = empty_warehouse()
    batch.flush(connection)
    company = replace(COMPANY, rules=RULES, source_types={**COMPANY.source_types, "b24": "bitrix24", "old": "bitrix24"})
    resolve(connection, company, fresh_clock(), money=lambda *_: MoneyReport())
    yield connection
    connection.close()


def rows(world: World, query: str) -> list[tuple[Any, ...]]:
    return world.execute(query).fetchall()


def lead(world: World, deal: str, columns: str) -> tuple[Any, ...]:
    (row,) = rows(world, f"SELECT {columns} FROM calc.leads WHERE deal_id = '{deal}'")
    return row


def visits(world: World, deal: str) -> list[tuple[Any, ...]]:
    return rows(
        world, f"SELECT stage_id, outcome FROM core.deal_stage_visits WHERE deal_id = '{deal}' ORDER BY entered_at"
    )


def terminals(world: World, deal: str) -> list[tuple[Any, ...]]:
    return rows(
        world,
        f"SELECT outcome, occurred_at FROM calc.terminal_events WHERE deal_id = '{deal}' ORDER BY occurred_at",
    )


# ── time ────────────────────────────────────────────────────────────────────────────────────────────────────────


@scenario
def month_end(batch: Batch, crm: Crm) -> None:
    crm.deal("month-last", "A", "2026-11-30 23:59:59", [("2026-12-01 00:00:00", "qualified")])
    crm.deal("month-first", "A", "2026-12-01 00:00:00")


def test_moscow_midnight_parts_november_from_december(world: World) -> None:
    """In UTC both are 30 November: a day taken in UTC would count the second one a month early."""
    assert lead(world, "month-last", "local_date") == (date(2026, 11, 30),)
    assert lead(world, "month-first", "local_date") == (date(2026, 12, 1),)
    entered = rows(world, "SELECT local_date FROM calc.stage_events WHERE deal_id = 'month-last' ORDER BY ordinal")
    assert entered == [(date(2026, 11, 30),), (date(2026, 12, 1),)]


@scenario
def backdated(batch: Batch, crm: Crm) -> None:
    crm.deal("backdated", "A", "20 10:00")
    crm.deal("edited", "A", "20 10:00", created_at=moscow("2026-01-05 10:00"))


def test_creation_is_the_events_not_the_editable_field(world: World) -> None:
    assert lead(world, "edited", "created_at") == (moscow("20 10:00"),)


# ── people ──────────────────────────────────────────────────────────────────────────────────────────────────────


@scenario
def transfer(batch: Batch, crm: Crm) -> None:
    """C is of the first team through 15 November and of the second from the 16th; X has the extension before C."""
    for person, team, start, end in (
        ("C", "First", EVER, date(2026, 11, 15)),
        ("C", "Second", date(2026, 11, 16), None),
        ("X", "First", EVER, date(2026, 11, 20)),
    ):
        insert(
            batch,
            "core.people",
            [{"person_id": person, "name": person, "team": team, "valid_from": start, "valid_to": end}],
        )
    for person, source, external_id, start, end in (
        ("C", "amo", "103", EVER, None),
        ("X", "mango", "13", EVER, date(2026, 11, 9)),
        ("C", "mango", "13", date(2026, 11, 10), None),
        ("X", "mango", "u77", EVER, None),
    ):
        identity = {"person_id": person, "source": source, "external_id": external_id}
        insert(batch, "core.identities", [identity | {"valid_from": start, "valid_to": end}])
    crm.deal("transfer", "103", "15 23:59:59", [("16 00:00:00", "qualified")])
    add_call(batch, "ext-before", "09 23:59:59", "13", "out", new_phone(), 60)
    add_call(batch, "ext-after", "10 00:00:00", "13", "out", new_phone(), 60)
    add_call(batch, "by-user", "10 12:00", None, "out", new_phone(), 60, user_id="u77")
    add_call(batch, "gone", "21 12:00", None, "out", new_phone(), 60, user_id="u77")
    activity = {"source": "amo", "activity_id": "task1", "activity_type": "task", "user_id": "103"}
    insert(batch, "core.activities", [activity | {"occurred_at": moscow("10 12:00")}])


def test_transfer_does_not_move_past_results(world: World) -> None:
    found = rows(
        world,
        "SELECT kind, team, entry_team FROM calc.stage_passes WHERE deal_id = 'transfer' ORDER BY position",
    )
    assert found == [("base", "First", "First"), ("qualified", "Second", "First")]


def test_extension_belongs_to_who_had_it_at_the_start_of_the_call(world: World) -> None:
    found = rows(world, "SELECT call_id, person_id FROM calc.calls WHERE call_id LIKE 'ext-%' ORDER BY call_id")
    assert found == [("ext-after", "C"), ("ext-before", "X")]
    assert rows(world, "SELECT person_id FROM core.calls WHERE call_id = 'ext-before'") == [("X",)]


def test_telephonys_user_id_stands_in_for_a_missing_extension(world: World) -> None:
    found = rows(world, "SELECT person_id, team FROM calc.calls WHERE call_id = 'by-user'")
    assert found == [("X", "First")]


def test_dismissed_person_keeps_credit_without_a_team(world: World) -> None:
    """The identity outlives the place in the company: the call is still X's, but of no team."""
    assert rows(world, "SELECT person_id, team FROM calc.calls WHERE call_id = 'gone'") == [("X", None)]


def test_activity_and_event_get_their_persons(world: World) -> None:
    assert rows(world, "SELECT person_id FROM core.activities WHERE activity_id = 'task1'") == [("C",)]
    found = rows(world, "SELECT person_id FROM core.deal_events WHERE deal_id = 'transfer' AND event_type = 'created'")
    assert found == [("C",)]
    assert rows(world, "SELECT person_id FROM core.deals WHERE deal_id = 'transfer'") == [("C",)]


# ── owners ──────────────────────────────────────────────────────────────────────────────────────────────────────


@scenario
def owners(batch: Batch, crm: Crm) -> None:
    crm.deal("robot", "A", "05 10:00", owner_now="B")
    crm.owner("robot", "05 10:00", "A", "B")
    crm.deal("echo", "A", "05 10:00", owner_now="A")
    crm.owner("echo", "06 10:00", "A", "A")
    # A source that keeps no log of responsibles, first loaded on 10 November.
    run = {"run_id": "r1", "source": "b24", "stream": "deals", "status": "done"}
    insert(batch, "meta.sync_runs", [run | {"started_at": moscow("10 00:00")}])
    for source in ("b24", "old"):
        insert(
            batch,
            "core.identities",
            [{"person_id": "A", "source": source, "external_id": "101", "valid_from": EVER}],
        )
        other = Crm(batch, source)
        other.deal(f"{source}-before", "A", "05 10:00", logs_creation=False)
        other.deal(f"{source}-after", "A", "12 10:00", logs_creation=False)


def test_owner_changed_in_the_second_of_creation_is_the_owner_at_entry(world: World) -> None:
    assert lead(world, "robot", "person_id") == ("B",)
    found = rows(world, "SELECT owner_id FROM core.deal_owners WHERE deal_id = 'robot'")
    assert found == [("102",)]


def test_change_to_the_same_owner_is_no_change(world: World) -> None:
    found = rows(world, "SELECT valid_from, valid_to FROM core.deal_owners WHERE deal_id = 'echo'")
    assert found == [(moscow("05 10:00"), None)]


def test_without_an_owner_log_credit_before_go_live_is_only_the_present_owners(world: World) -> None:
    found = rows(
        world,
        "SELECT deal_id, valid_from, precision FROM core.deal_owners WHERE source = 'b24' ORDER BY deal_id, valid_from",
    )
    assert found == [
        ("b24-after", moscow("12 10:00"), "load_interval"),
        ("b24-before", moscow("05 10:00"), "current_owner"),
        ("b24-before", moscow("10 00:00"), "load_interval"),
    ]
    assert lead(world, "b24-before", "person_id, credit_precision") == ("A", "current_owner")


def test_without_an_owner_log_and_without_loads_nothing_is_surer_than_the_present_owner(world: World) -> None:
    found = rows(world, "SELECT DISTINCT precision FROM core.deal_owners WHERE source = 'old'")
    assert found == [("current_owner",)]


# ── stages ──────────────────────────────────────────────────────────────────────────────────────────────────────


@scenario
def stage_oddities(batch: Batch, crm: Crm) -> None:
    crm.deal("noise", "A", "05 10:00", [("06 10:00", "qualified"), ("07 10:00", "qualified"), ("08 10:00", "offer")])
    crm.deal("one-second", "A", "05 10:00", [("05 10:00", "qualified"), ("05 10:00", "meeting"), ("05 10:00", "offer")])
    crm.deal("reopened", "A", "05 10:00", [("06 10:00", "lost"), ("07 10:00", "offer"), ("08 10:00", "won")])
    crm.deal("skips-to-lost", "A", "05 10:00", [("06 10:00", "qualified"), ("07 10:00", "lost")])
    # A history that tells only where a deal came to (Bitrix24): the first record is the entry itself.
    crm.deal("no-from", "A", "05 10:00", stage_id="30", logs_creation=False)
    for at, stage in (("05 10:00", "10"), ("06 10:00", "10"), ("07 10:00", "30")):
        crm.event("no-from", "stage", at, to_value=stage, stage_id=stage, pipeline_id=PIPELINE)


def test_move_into_the_same_stage_is_noise(world: World) -> None:
    assert visits(world, "noise") == [("10", "advanced"), ("20", "advanced"), ("40", "open")]


def test_moves_within_one_second_keep_their_order_and_their_keys(world: World) -> None:
    found = rows(
        world,
        "SELECT stage_id, entered_at - TIMESTAMPTZ '2026-11-05 07:00:00Z' FROM calc.stage_events "
        "WHERE deal_id = 'one-second' ORDER BY ordinal",
    )
    assert found == [
        ("10", timedelta(0)),
        ("20", timedelta(microseconds=1)),
        ("30", timedelta(microseconds=2)),
        ("40", timedelta(microseconds=3)),
    ]


def test_history_without_the_stage_before_has_one_entry_a_stage(world: World) -> None:
    found = rows(
        world,
        "SELECT stage_id, entered_at, from_stage_id FROM calc.stage_events WHERE deal_id = 'no-from' ORDER BY ordinal",
    )
    assert found == [("10", moscow("05 10:00"), None), ("30", moscow("07 10:00"), "10")]


def test_reopened_deal_keeps_both_terminal_events(world: World) -> None:
    assert terminals(world, "reopened") == [("lost", moscow("06 10:00")), ("won", moscow("08 10:00"))]
    assert visits(world, "reopened") == [("10", "lost"), ("143", "moved_back"), ("40", "advanced"), ("142", "open")]


def test_lost_is_no_later_stage(world: World) -> None:
    found = rows(world, "SELECT kind FROM calc.stage_passes WHERE deal_id = 'skips-to-lost' ORDER BY position")
    assert found == [("base",), ("qualified",)]


@scenario
def map_versions(batch: Batch, crm: Crm) -> None:
    """From 10 November the meeting stands behind the offer, and stage 20 means a meeting."""
    add_stages(batch, pipeline="moving")
    changed = {"source": "amo", "pipeline_id": "moving", "valid_from": date(2026, 11, 10), "is_guess": False}
    insert(batch, "core.stages", [changed | {"stage_id": "30", "name": "m", "position": 45, "kind": "meeting"}])
    insert(batch, "core.stages", [changed | {"stage_id": "20", "name": "q", "position": 20, "kind": "meeting"}])
    moving = Crm(batch, pipeline="moving")
    moving.deal("map-old", "A", "05 10:00", [("09 23:59:59", "offer")])
    moving.deal("map-new", "A", "05 10:00", [("10 00:00:00", "offer"), ("11 10:00", "qualified")])


def test_order_and_kind_are_those_in_force_at_the_event(world: World) -> None:
    def passed(deal: str) -> list[tuple[Any, ...]]:
        return rows(world, f"SELECT stage_id, kind FROM calc.stage_passes WHERE deal_id = '{deal}' ORDER BY stage_id")

    assert passed("map-old") == [("10", "base"), ("20", "qualified"), ("30", "meeting"), ("40", "offer")]
    assert passed("map-new") == [("10", "base"), ("20", "meeting"), ("40", "offer")]
    touched = rows(world, "SELECT kind, touched_at FROM calc.kind_touches WHERE deal_id = 'map-new' ORDER BY 2")
    assert touched[-1] == ("meeting", moscow("11 10:00"))


@scenario
def pipelines(batch: Batch, crm: Crm) -> None:
    add_stages(batch, pipeline="second")
    crm.deal("handed", "A", "05 10:00", [("06 10:00", "qualified")], owner_now="B", pipeline_id="second")
    crm.owner("handed", "08 10:00", "A", "B")
    crm.move("handed", "09 10:00", "qualified", "offer", pipeline_id="second")


def test_move_to_another_pipeline_is_a_hand_off_and_a_new_base_entry(world: World) -> None:
    assert visits(world, "handed") == [("10", "advanced"), ("20", "handed_off"), ("40", "open")]
    found = rows(
        world,
        "SELECT pipeline_id, kind, passed_at, entry_person_id FROM calc.stage_passes "
        "WHERE deal_id = 'handed' ORDER BY pipeline_id, position",
    )
    assert found == [
        (PIPELINE, "base", moscow("05 10:00"), "A"),
        (PIPELINE, "qualified", moscow("06 10:00"), "A"),
        ("second", "base", moscow("09 10:00"), "B"),
        ("second", "qualified", moscow("09 10:00"), "B"),
        ("second", "meeting", moscow("09 10:00"), "B"),
        ("second", "offer", moscow("09 10:00"), "B"),
    ]
    assert lead(world, "handed", "pipeline_id, person_id") == (PIPELINE, "A")
    assert terminals(world, "handed") == []


# ── endings ─────────────────────────────────────────────────────────────────────────────────────────────────────


@scenario
def endings(batch: Batch, crm: Crm) -> None:
    crm.deal("restored", "A", "05 10:00", [("09 10:00", "qualified")])
    crm.event("restored", "deleted", "06 10:00")
    crm.event("restored", "restored", "07 10:00")
    crm.deal("won-deleted", "A", "05 10:00", [("06 10:00", "won")], is_deleted=True)
    crm.event("won-deleted", "deleted", "07 10:00")
    crm.deal("merged", "A", "05 10:00", is_deleted=True)
    crm.event("merged", "deleted", "07 10:00")
    crm.event("merged", "merged", "07 10:00")
    crm.deal("swept", "A", "05 10:00", is_deleted=True, deletion_version=to_micros(moscow("08 03:00")))
    # Deleted before the first load: only the log tells of it.
    crm.event("log-only", "created", "05 10:00", user_id="101")
    crm.move("log-only", "06 10:00", "new", "qualified")
    crm.owner("log-only", "06 11:00", "A", "B")
    crm.event("log-only", "deleted", "07 10:00")
    crm.deal("stageless", "B", "05 10:00", stage_id=None, phone=new_phone())
    crm.event("stageless", "deleted", "06 10:00")


def test_restored_deal_stands_where_it_stood_and_keeps_its_deletion(world: World) -> None:
    assert visits(world, "restored") == [("10", "advanced"), ("20", "open")]
    assert terminals(world, "restored") == [("deleted", moscow("06 10:00"))]


def test_deletion_of_a_won_deal_is_no_loss(world: World) -> None:
    assert terminals(world, "won-deleted") == [("won", moscow("06 10:00"))]
    assert visits(world, "won-deleted") == [("10", "advanced"), ("142", "deleted")]


def test_merge_that_deletes_is_one_ending(world: World) -> None:
    assert terminals(world, "merged") == [("merged", moscow("07 10:00"))]
    assert visits(world, "merged") == [("10", "merged")]


def test_deletion_found_by_a_sweep_ends_the_deal_when_it_was_found(world: World) -> None:
    assert terminals(world, "swept") == [("deleted", moscow("08 03:00"))]


def test_deal_known_from_the_log_alone_is_a_lead_of_its_first_owner(world: World) -> None:
    assert lead(world, "log-only", "pipeline_id, person_id, created_at") == (PIPELINE, "A", moscow("05 10:00"))
    assert rows(world, "SELECT person_id FROM calc.terminal_events WHERE deal_id = 'log-only'") == [("B",)]


def test_deal_of_unknown_stage_is_a_lead_and_its_deletion_counts(world: World) -> None:
    assert lead(world, "stageless", "pipeline_id, person_id, team") == (PIPELINE, "B", "South")
    assert terminals(world, "stageless") == [("deleted", moscow("06 10:00"))]


# ── phones and calls ────────────────────────────────────────────────────────────────────────────────────────────

LATE_PHONE, ORIGIN_PHONE, EARLY_PHONE, TWO_PHONE = new_phone(), new_phone(), new_phone(), new_phone()


@scenario
def calls_of_leads(batch: Batch, crm: Crm) -> None:
    crm.deal("late-phone", "A", "05 10:00", phone=new_phone(), contact="late")
    later = {"source": "amo", "contact_id": "late", "phone": LATE_PHONE, "first_seen_at": moscow("06 12:00")}
    insert(batch, "core.contact_phones", [later])
    add_call(batch, "too-early", "06 11:59", "A", "out", LATE_PHONE, 90)
    add_call(batch, "in-time", "06 12:00", "A", "out", LATE_PHONE, 10)
    crm.deal("origin", "A", "05 10:10", phone=ORIGIN_PHONE)
    add_call(batch, "origin-call", "05 10:00", "A", "in", ORIGIN_PHONE, 300)
    crm.deal("not-origin", "A", "05 10:10", phone=EARLY_PHONE)
    add_call(batch, "before-origin", "05 09:59:59", "A", "in", EARLY_PHONE, 300)
    add_call(batch, "missed-first", "05 10:20", None, "in", EARLY_PHONE, 0)


def test_phone_added_after_a_call_never_links_to_it(world: World) -> None:
    assert lead(world, "late-phone", "first_action_call_id, first_success_call_id") == ("in-time", None)
    found = rows(world, "SELECT call_id, deal_id FROM calc.calls WHERE call_id IN ('too-early', 'in-time') ORDER BY 1")
    assert found == [("in-time", "late-phone"), ("too-early", None)]


def test_call_that_created_the_deal_counts_at_its_creation(world: World) -> None:
    """Ten minutes before, to the second: still the originating call, at 0 minutes."""
    found = lead(world, "origin", "first_action_call_id, first_action_at, first_success_call_id, first_success_at")
    assert found == ("origin-call", moscow("05 10:10"), "origin-call", moscow("05 10:10"))
    assert rows(world, "SELECT deal_id FROM calc.calls WHERE call_id = 'origin-call'") == [("origin",)]


def test_earlier_call_and_missed_call_are_no_reaction(world: World) -> None:
    assert lead(world, "not-origin", "first_action_at, first_success_at") == (None, None)


@scenario
def verdicts(batch: Batch, crm: Crm) -> None:
    for pipeline in ("slow", "quick"):
        add_stages(batch, pipeline=pipeline)
        phone = new_phone()
        special = Crm(batch, pipeline=pipeline)
        special.deal(f"in-{pipeline}", "A", "05 10:00", phone=phone)
        add_call(batch, f"call-{pipeline}", "05 11:00", "A", "out", phone, 60 if pipeline == "slow" else 6)
    add_call(batch, "menu", "05 12:00", None, "in", new_phone(), 0, leg_count=0)
    add_call(batch, "legs-unknown", "05 12:00", None, "in", new_phone(), 0, leg_count=None)
    add_call(batch, "hidden", "05 12:00", "A", "in", None, 60)
    add_call(batch, "test", "05 12:00", "A", "out", "+79991112233", 60)
    insert(batch, "core.test_numbers", [{"phone": "+79991112233", "reason": "own mobile"}])
    add_call(batch, "approved", "05 12:00", "A", "out", new_phone(), 60)
    insert(
        batch,
        "core.exclusions",
        [{"source": "mango", "record_type": "call", "record_id": "approved", "reason": "test", "approved_by": "rop"}],
    )
    insert(batch, "core.lines", [{"source": "mango", "line": "74951234567", "team": "North"}])
    insert(batch, "core.lines", [{"source": "other", "line": "70000000001", "team": "South"}])
    add_call(batch, "other-line", "05 12:00", None, "in", new_phone(), 0, line="70000000001")
    add_call(batch, "redial-1", "05 12:00", "A", "out", TWO_PHONE, 0)
    add_call(batch, "redial-2", "05 12:05", "A", "out", TWO_PHONE, 60)


def test_threshold_of_a_pipeline_overrides_the_companys(world: World) -> None:
    """60 s is a success by default and too short in `slow`; 6 s is one only in `quick`."""
    found = rows(world, "SELECT call_id, is_successful FROM calc.calls WHERE call_id LIKE 'call-%' ORDER BY 1")
    assert found == [("call-quick", True), ("call-slow", False)]


def test_each_excluded_call_names_its_rule(world: World) -> None:
    found = rows(
        world,
        "SELECT call_id, excluded_by FROM calc.calls "
        "WHERE call_id IN ('menu', 'legs-unknown', 'hidden', 'test', 'approved') ORDER BY call_id",
    )
    assert found == [
        ("approved", "exclusion"), ("hidden", None), ("legs-unknown", None), ("menu", "ivr"), ("test", "test_number"),
    ]  # fmt: skip


def test_missed_call_belongs_to_the_team_of_its_line_at_its_source(world: World) -> None:
    found = rows(
        world, "SELECT call_id, line_team FROM calc.calls WHERE call_id IN ('missed-first', 'other-line') ORDER BY 1"
    )
    assert found == [("missed-first", "North"), ("other-line", None)]


def test_only_the_first_conversation_with_a_number_is_cold(world: World) -> None:
    found = rows(
        world, "SELECT call_id, is_cold FROM calc.calls WHERE call_id IN ('redial-1', 'redial-2', 'hidden') ORDER BY 1"
    )
    assert found == [("hidden", False), ("redial-1", True), ("redial-2", False)]


# ── duplicates ──────────────────────────────────────────────────────────────────────────────────────────────────


@scenario
def duplicates(batch: Batch, crm: Crm) -> None:
    chain, edge, fresh, ruled_out, added, tie = (new_phone() for _ in range(6))
    crm.deal("chain-1", "A", "08-01 10:00", [("08-05 10:00", "lost")], phone=chain)
    crm.deal("chain-2", "A", "08-20 10:00", [("08-25 10:00", "lost")], phone=chain)
    crm.deal("chain-3", "A", "09-10 10:00", [("09-11 10:00", "lost")], phone=chain)
    crm.deal("edge-1", "A", "08-01 10:00", [("08-05 10:00", "lost")], phone=edge)
    crm.deal("edge-2", "A", "08-31 10:00", phone=edge)
    crm.deal("fresh-1", "A", "08-01 10:00", phone=fresh)
    elsewhere = Crm(batch, pipeline="second")
    elsewhere.deal("fresh-2", "A", "08-02 10:00", phone=fresh)
    crm.deal("ruled-1", "A", "08-01 10:00", phone=ruled_out)
    crm.deal("ruled-2", "A", "08-02 10:00", phone=ruled_out)
    approved = {"source": "amo", "record_type": "deal", "reason": "test", "approved_by": "rop"}
    insert(batch, "core.exclusions", [approved | {"record_id": "ruled-1", "approved_on": date(2026, 8, 3)}])
    # The older deal got the number only after the newer one was created.
    crm.deal("added-1", "A", "08-01 10:00", phone=new_phone(), contact="added-1")
    late = {"source": "amo", "contact_id": "added-1", "phone": added, "first_seen_at": moscow("08-03 10:00")}
    insert(batch, "core.contact_phones", [late])
    crm.deal("added-2", "A", "08-02 10:00", phone=added)
    # Logs that begin before the creation their deals tell: each would block the other for ever.
    early = new_phone()
    crm.deal("early-1", "A", "08-05 10:00", [("08-01 10:00", "qualified")], phone=early)
    crm.deal("early-2", "A", "08-06 10:00", [("08-01 11:00", "qualified")], phone=early)
    crm.deal("tie-2", "A", "08-01 10:00", phone=tie)
    crm.deal("tie-1", "A", "08-01 10:00", phone=tie)
    for deal, at in (("mail-1", "08-01 10:00"), ("mail-2", "08-02 10:00")):
        crm.deal(deal, "A", at)
        contact = {"source": "amo", "contact_id": f"c-{deal}"}
        email = "Buyer@Example.com" if deal == "mail-1" else "buyer@example.com"
        insert(batch, "core.contacts", [contact | {"emails": [email], "created_at": moscow(at)}])
        insert(batch, "core.deal_contacts", [contact | {"deal_id": deal}])


def duplicate_of(world: World, deal: str) -> str | None:
    value, rule = lead(world, deal, "duplicate_of, excluded_by")
    assert (rule == "duplicate") == (value is not None)
    return str(value) if value is not None else None


def test_duplicate_of_a_duplicate_stands_behind_the_one_that_stays(world: World) -> None:
    """The third is 40 days after the first and 21 after the second: only through the second is it a duplicate."""
    assert duplicate_of(world, "chain-1") is None
    assert duplicate_of(world, "chain-2") == "chain-1"
    assert duplicate_of(world, "chain-3") == "chain-1"


def test_closed_deal_thirty_days_old_makes_no_duplicate(world: World) -> None:
    assert duplicate_of(world, "edge-2") is None


def test_another_pipelines_deal_makes_no_duplicate(world: World) -> None:
    assert duplicate_of(world, "fresh-2") is None


def test_deal_ruled_out_by_a_person_makes_no_duplicate(world: World) -> None:
    assert lead(world, "ruled-1", "excluded_by") == ("exclusion",)
    assert duplicate_of(world, "ruled-2") is None


def test_number_the_older_deal_got_later_makes_no_duplicate(world: World) -> None:
    assert duplicate_of(world, "added-2") is None


def test_log_older_than_its_deal_makes_no_duplicate_of_a_newer_one(world: World) -> None:
    """Two deals that were each other's older one sent the resolve round in circles without an end."""
    assert (duplicate_of(world, "early-1"), duplicate_of(world, "early-2")) == (None, "early-1")


def test_deals_of_one_instant_are_ordered_by_id(world: World) -> None:
    assert (duplicate_of(world, "tie-1"), duplicate_of(world, "tie-2")) == (None, "tie-1")


def test_same_mail_address_makes_a_duplicate_whatever_its_case(world: World) -> None:
    assert duplicate_of(world, "mail-2") == "mail-1"


# ── the whole ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "relation", ["core.deal_owners", "core.deal_stage_visits", "calc.leads", "calc.stage_events", "calc.stage_passes",
                 "calc.kind_touches", "calc.terminal_events", "calc.calls"],
)  # fmt: skip
def test_keys_are_unique(world: World, relation: str) -> None:
    from models.arrow import find_relation, key_columns

    keys = ", ".join(key_columns(find_relation(relation)))
    assert rows(world, f"SELECT {keys} FROM {relation} GROUP BY {keys} HAVING count(*) > 1") == []


def test_visits_follow_one_another_without_gaps(world: World) -> None:
    """A visit ends where the next begins: otherwise time in stage would not add up to the deal's life."""
    broken = rows(
        world,
        """
        SELECT deal_id, left_at, next_at FROM (
            SELECT *, lead(entered_at) OVER (PARTITION BY source, deal_id ORDER BY entered_at) AS next_at
            FROM core.deal_stage_visits
        ) WHERE next_at IS NOT NULL AND left_at <> next_at
        """,
    )
    assert broken == []


def test_changed_rule_resolves_anew() -> None:
    connection = empty_warehouse()
    batch = Batch()
    add_stages(batch)
    Crm(batch).deal("d", "A", "05 10:00", phone="+79260000001")
    add_call(batch, "c", "05 11:00", "A", "out", "+79260000001", 40)
    batch.flush(connection)

    def successes(seconds: int) -> tuple[bool, list[tuple[Any, ...]]]:
        company = replace(COMPANY, rules=Rules(successful_call_seconds=seconds))
        report = resolve(connection, company, fresh_clock(), money=lambda *_: MoneyReport())
        return report.ran, rows(connection, "SELECT is_successful FROM calc.calls")

    assert successes(30) == (True, [(True,)])
    assert successes(30) == (False, [(True,)])
    assert successes(40) == (True, [(False,)])


def test_inputs_that_arrive_later_move_credit() -> None:
    connection = empty_warehouse()
    batch = Batch()
    add_stages(batch)
    Crm(batch).deal("d", "A", "05 10:00")
    batch.flush(connection)
    resolve(connection, COMPANY, fresh_clock(), money=lambda *_: MoneyReport())
    assert rows(connection, "SELECT person_id FROM calc.leads") == [(None,)]
    add_people(connection)
    insert(connection, "meta.inputs", [{"file": "people.csv", "digest": "1", "loaded_at": moscow("30 12:00")}])
    resolve(connection, COMPANY, fresh_clock(), money=lambda *_: MoneyReport())
    assert rows(connection, "SELECT person_id, team FROM calc.leads") == [("A", "North")]
