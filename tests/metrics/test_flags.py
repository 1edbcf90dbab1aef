"""Integrity flags (metrics.md 4.7): each with what raises it and with what just doesn't, and what they leave alone."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from base.errors import UsageError
from metrics.availability import find_bounds
from metrics.compute import recompute
from metrics.flags.catalogue import BUILT_IN, load_flags
from metrics.flags.finding import FLAGS, stage_flags
from metrics.flags.reading import read_flags, read_unchecked
from metrics.periods import parse_period
from metrics.resolve import resolve
from metrics.settings import Company, Rules
from tests.metrics.fixture_calc import (
    add_calendar,
    call_row,
    cover,
    credit,
    end_of,
    moment,
    payment_row,
    reference_calc,
)
from tests.metrics.fixture_core import (
    COMPANY,
    PIPELINE,
    STAGES,
    Batch,
    add_people,
    add_stages,
    empty_warehouse,
    fresh_clock,
    insert,
    moscow,
    reference,
)
from tests.metrics.test_compute import only

(NOVEMBER,) = parse_period("2026-11")
BY_KEY = {flag.key: flag for flag in load_flags()}


def clean(until: str = "2026-12-20 00:00") -> duckdb.DuckDBPyConnection:
    """The fixture's people, stages and calendar, and no record."""
    batch = Batch()
    add_stages(batch)
    add_people(batch)
    connection = empty_warehouse()
    batch.flush(connection)
    add_calendar(connection)
    for source, facet in (("amo", "crm"), ("mango", "calls"), ("accounting", "money")):
        cover(connection, source, facet, until)
    return connection


def found(
    connection: duckdb.DuckDBPyConnection, key: str, company: Company = COMPANY, period: str = "2026-11"
) -> dict[str, tuple[str | None, str]]:
    """The records under one flag: whom each concerns, and what was found."""
    (asked,) = parse_period(period)
    bounds = find_bounds(connection, company, [BY_KEY[key]], asked)
    assert not bounds.absent, bounds.absent
    stage_flags(connection, company, [BY_KEY[key]], bounds, asked)
    rows = connection.execute(f"SELECT flag, record_id, person_id, detail FROM {FLAGS}").fetchall()
    assert {row[0] for row in rows} <= {key}
    assert len({row[1] for row in rows}) == len(rows)
    return {record: (person, detail) for _, record, person, detail in rows}


def ended(connection: duckdb.DuckDBPyConnection, deal: str, at: str, outcome: str, **values: Any) -> None:
    row = {"source": "amo", "deal_id": deal, "outcome": outcome, **moment(moscow(at), "occurred_at"), **credit("A")}
    insert(connection, "calc.terminal_events", [row | values])


def moved(connection: duckdb.DuckDBPyConnection, deal: str, ordinal: int, at: str, stage: str, **values: Any) -> None:
    stage_id, position, kind = STAGES[stage]
    row = {"source": "amo", "deal_id": deal, "ordinal": ordinal, **moment(moscow(at), "entered_at"), **credit("A")}
    place = {"pipeline_id": PIPELINE, "stage_id": stage_id, "kind": kind, "position": position, "user_id": "101"}
    insert(connection, "calc.stage_events", [row | place | {"from_stage_id": "10"} | values])


def calls(connection: duckdb.DuckDBPyConnection, count: int, talk: int, **values: Any) -> None:
    """A day's calls of A, half an hour apart, their ids behind the ones there are."""
    (known,) = connection.execute("SELECT count(*) FROM calc.calls").fetchone() or (0,)
    rows = [
        call_row(f"X{known + number}", f"16 {8 + number // 2:02d}:{30 * (number % 2):02d}", "A", "out", talk)
        | {"external_number": "+79990000007", "deal_id": None}
        | values
        for number in range(count)
    ]
    insert(connection, "calc.calls", rows)


def test_i01_won_and_still_unpaid_when_the_grace_is_over() -> None:
    """Paid, or still within its five working days: no flag."""
    connection = clean(until="2026-11-26 00:00")
    for deal, grace in (("D1", "26 00:00"), ("D2", "26 00:00"), ("D3", "26 00:01")):
        ended(connection, deal, "18 17:00", "won", grace_ends_at=moscow(grace))
    paid = {"source": "amo", "deal_id": "D2", "ordinal": 1, "sign": 1, **end_of(date(2026, 11, 20))}
    insert(connection, "calc.paid_deals", [paid])
    insert(connection, "calc.payments", [payment_row("P1", 20, "D1", 30_000, "A")])
    insert(connection, "facts.deal_payments", [{"source": "amo", "deal_id": "D1", "due": Decimal(120_000)}])
    assert found(connection, "I-01") == {"D1": ("A", "Выиграна 18.11.2026, оплачено 30 000 из 120 000.")}


def test_i02_money_of_no_deal_and_not_what_is_no_customers_money() -> None:
    connection = clean()
    insert(
        connection,
        "calc.payments",
        [
            payment_row("P1", 26, "", 20_000, None),
            payment_row("P2", 26, "", 500, None) | {"amount": Decimal("500.50")},
            payment_row("P3", 26, "D1", 20_000, "A"),
            payment_row("P4", 26, "", 20_000, None, excluded_by="own_transfer"),
        ],
    )
    candidate = {"source": "accounting", "payment_id": "P2", "deal_source": "amo", "deal_id": "D1"}
    insert(connection, "calc.match_candidates", [candidate])
    assert found(connection, "I-02") == {
        "P1": (None, "20 000 от 26.11.2026 ни к одной сделке не привязаны."),
        "P2": (None, "500,50 от 26.11.2026 ни к одной сделке не привязаны; подходящих сделок: 1 (voronka match)."),
    }


def test_i03_a_talk_with_a_number_the_crm_does_not_have_a_day_later() -> None:
    connection = clean()
    unknown = {"deal_id": None}
    told = [
        ("X1", "+79990000001", 60, {}),
        ("X2", "+79990000002", 60, {}),  # a card within the day
        ("X3", "+79990000003", 60, {}),  # a card only after it
        ("X4", "+79990000004", 30, {}),  # too short to be a talk
        ("X5", "+79990000005", 60, {"deal_id": "D1"}),
        ("X6", None, 60, {}),
    ]
    rows = [
        call_row(call, "16 10:00", "A", "out", talk) | unknown | {"external_number": number} | values
        for call, number, talk, values in told
    ]
    insert(connection, "calc.calls", rows)
    for number, seen in (("+79990000002", "17 09:59"), ("+79990000003", "17 10:00")):
        row = {"source": "amo", "contact_id": number, "phone": number, "first_seen_at": moscow(seen)}
        insert(connection, "core.contact_phones", [row])
    assert set(found(connection, "I-03")) == {"X1", "X3"}
    assert found(connection, "I-03")["X1"][1] == "Разговор 60 с 16.11.2026 10:00: карточки с этим номером в CRM нет."


def test_i04_a_note_of_a_call_telephony_has_not() -> None:
    connection = clean()
    for note, call in (("n1", None), ("n2", "C1")):
        row = {"source": "amo", "activity_id": note, **moment(moscow("09 12:00"), "occurred_at"), **credit("B")}
        insert(connection, "calc.call_notes", [row | {"call_source": call and "mango", "call_id": call}])
        insert(connection, "core.activities", [{"source": "amo", "activity_id": note, "duration_seconds": 180}])
    assert found(connection, "I-04") == {
        "n1": ("B", "Примечание от 09.11.2026 12:00 о звонке на 180 с: такого звонка в телефонии нет.")
    }


def test_i05_an_amount_changed_the_day_after_the_first_payment_and_not_on_its_day() -> None:
    connection = clean()
    for deal, at, before, after in (
        ("D1", "13 00:00", "100000", "90000"),
        ("D2", "12 23:59", "100000", "90000"),
        ("D3", "13 00:00", "100000", "100000.00"),
    ):
        insert(connection, "calc.payments", [payment_row(f"P{deal}", 12, deal, 50_000, "A")])
        event = {"source": "amo", "event_id": deal, "deal_id": deal, "event_type": "amount"}
        changed = {"occurred_at": moscow(at), "from_value": before, "to_value": after, "person_id": "B"}
        insert(connection, "core.deal_events", [event | changed])
    assert found(connection, "I-05") == {
        "D1": ("B", "Первая оплата 12.11.2026; сумма изменена 13.11.2026 00:00: 100 000 → 90 000.")
    }


def test_i06_back_from_lost_or_won_and_not_back_from_an_offer() -> None:
    connection = clean()
    moved(connection, "D1", 2, "10 10:00", "meeting", from_kind="lost")
    moved(connection, "D2", 2, "10 10:00", "lost", from_kind="won")
    moved(connection, "D3", 2, "10 10:00", "meeting", from_kind="offer")
    moved(connection, "D4", 2, "10 10:00", "lost", from_kind="lost")
    assert found(connection, "I-06") == {
        "D1": ("A", "Проигранная сделка снова в работе с 10.11.2026 10:00: этап «meeting»."),
        "D2": ("A", "«Успешно» отменено 10.11.2026 10:00: этап «lost»."),
    }


def test_i07_lost_without_a_call_and_not_with_one_just_before() -> None:
    connection = clean()
    for deal, called in (("D1", None), ("D2", "10 09:59"), ("D3", "10 10:01"), ("D4", None), ("D5", None)):
        lead = {"source": "amo", "deal_id": deal, "pipeline_id": PIPELINE, **moment(moscow("09 10:00"), "created_at")}
        called_at = {"first_action_at": moscow(called) if called else None}
        insert(connection, "calc.leads", [lead | called_at | {"excluded_by": "duplicate" if deal == "D5" else None}])
        ended(connection, deal, "10 10:00", "lost")
    qualified = {"source": "amo", "deal_id": "D4", "pipeline_id": PIPELINE, "stage_id": "20", "kind": "qualified"}
    insert(connection, "calc.stage_passes", [qualified | moment(moscow("09 11:00"), "passed_at")])
    rows = found(connection, "I-07")
    assert set(rows) == {"D1", "D3"}
    assert rows["D1"] == ("A", "Лид от 09.11.2026 10:00 проигран 10.11.2026 10:00, ни одного звонка по нему не было.")


def test_i08_three_stages_in_sixty_seconds_and_not_in_sixty_one() -> None:
    connection = clean()
    for deal, last in (("D1", "10:01:00"), ("D2", "10:01:01")):
        for ordinal, (clock, stage) in enumerate([("10:00:00", "new"), ("10:00:30", "qualified"), (last, "meeting")]):
            moved(connection, deal, ordinal, f"10 {clock}", stage, user_id=f"10{deal[1]}")
    assert found(connection, "I-08") == {"D1": ("A", "Этапов подряд за минуту: 3, последний 10.11.2026 10:01.")}


def test_i08_ten_deals_moved_together_and_not_nine_and_a_robot_alone() -> None:
    connection = clean()
    for user, count in (("101", 10), ("102", 9)):
        for number in range(count):
            at = f"10 10:00:{6 * number:02d}"
            moved(connection, f"D{user}-{number}", 2, at, "qualified", user_id=user)
    moved(connection, "R1", 2, "11 10:00", "qualified", user_id="0")
    # A deal the robot created has not been moved.
    moved(connection, "R2", 1, "11 10:00", "new", user_id="0", from_stage_id=None)
    rows = found(connection, "I-08")
    assert set(rows) == {f"D101-{number}" for number in range(10)} | {"R1"}
    assert rows["D101-9"][1] == "Переведена 10.11.2026 10:00 массово, сделок за минуту: 10."
    assert rows["R1"][1] == "Переведена роботом 11.11.2026 10:00."


def test_i09_handed_over_within_the_guard_days_and_not_before_them() -> None:
    connection = clean()
    # A payment of the 20th counts as the end of that day.
    for deal, at in (("D1", "14 00:00"), ("D2", "13 23:59"), ("D3", None)):
        insert(connection, "calc.payments", [payment_row(f"P{deal}", 20, deal, 1000, "B")])
        place = {"source": "amo", "deal_id": deal}
        owners = [("101", "01 10:00", "log"), ("102" if at else "101", at or "19 10:00", "load_interval")]
        rows = [
            place | {"owner_id": owner, "valid_from": moscow(since), "precision": precision}
            for owner, since, precision in owners
        ]
        insert(connection, "core.deal_owners", rows)
    assert found(connection, "I-09") == {
        "D1": ("B", "Ответственный сменён 14.11.2026 00:00, оплата 20.11.2026: 1 000.")
    }


def test_i10_deleted_or_merged_while_open_and_not_lost() -> None:
    connection = clean()
    for deal, outcome in (("D1", "deleted"), ("D2", "merged"), ("D3", "lost")):
        ended(connection, deal, "25 12:00", outcome)
    rows = found(connection, "I-10")
    assert rows == {
        "D1": ("A", "Удалена 25.11.2026 12:00, не завершена."),
        "D2": ("A", "Слита с другой сделкой 25.11.2026 12:00, не завершена."),
    }


def test_i11_a_close_date_moved_later_three_times_and_not_forth_and_back() -> None:
    connection = clean()
    days = ["2026-11-10", "2026-11-12", "2026-11-15", "2026-11-14", "2026-11-30"]
    for deal, path in (("D1", days), ("D2", days[:-1])):
        for number, (before, after) in enumerate(itertools.pairwise(path)):
            event = {"source": "amo", "event_id": f"{deal}-{number}", "deal_id": deal, "event_type": "close_date"}
            values = {"from_value": before, "to_value": after, "occurred_at": moscow(f"1{number} 10:00")}
            insert(connection, "core.deal_events", [event | values])
    assert found(connection, "I-11") == {
        "D1": (None, "Переносов на более поздний день: 3; было 10.11.2026, стало 30.11.2026.")
    }


def test_i11_is_looked_at_where_a_source_tells_planned_days_and_nobody_moved_one() -> None:
    """Else a company whose managers never put a deal off would read that the flag can't be checked."""
    connection = clean()
    insert(connection, "core.deals", [{"source": "b24", "deal_id": "D1", "planned_close_on": date(2026, 11, 10)}])
    assert found(connection, "I-11") == {}


@pytest.mark.parametrize(("near", "far", "is_raised"), [(10, 0, True), (9, 5, False)])
def test_i12_ten_talks_within_three_seconds_of_the_threshold(near: int, far: int, is_raised: bool) -> None:
    connection = clean()
    calls(connection, near - 1, 27)
    calls(connection, 1, 33)
    calls(connection, far, 34)
    rows = found(connection, "I-12")
    assert set(rows) == ({"X0"} if is_raised else set())
    if is_raised:
        ids = ", ".join(["X0", "X9", *(f"X{number}" for number in range(1, 9))])
        assert rows["X0"] == (
            "A",
            f"Звонков у порога за 16.11.2026: 10, разговор от 27 до 33 с. Звонки: {ids}.",
        )


def test_i12_goes_by_the_threshold_of_the_calls_pipeline() -> None:
    connection = clean()
    calls(connection, 10, 61, pipeline_id=PIPELINE, deal_source="amo", deal_id="D1")
    assert found(connection, "I-12") == {}
    own = replace(COMPANY, rules=Rules(successful_call_seconds_by_pipeline={f"amo/{PIPELINE}": 60}))
    assert set(found(connection, "I-12", own)) == {"X0"}


@pytest.mark.parametrize(("count", "deal", "is_raised"), [(6, None, True), (5, None, False), (6, "D1", False)])
def test_i13_more_than_five_attempts_to_a_number_of_no_deal(count: int, deal: str | None, is_raised: bool) -> None:
    connection = clean()
    calls(connection, count, 0, deal_id=deal)
    rows = found(connection, "I-13")
    assert set(rows) == ({"X0"} if is_raised else set())
    # A number is personal data, and flags are published unmasked.
    assert all("+7999" not in detail for _, detail in rows.values())


@pytest.mark.parametrize(
    ("reached", "late", "early_deals"),
    [(100_000, 7, {"D0", "D1", "D2"}), (99_999, 7, set()), (100_000, 8, set())],
)
def test_i14_a_third_of_the_month_in_its_first_days_after_a_month_at_plan(
    reached: int, late: int, early_deals: set[str]
) -> None:
    """3 of 10 is 30 %, 3 of 11 is not; and a month below its plan had nothing to hold back."""
    connection = clean()
    plan = {"period": "2026-10", "entity_type": "manager", "entity_id": "A", "metric": "revenue_cash"}
    insert(connection, "core.plans", [plan | {"value": 100_000.0}])
    insert(connection, "calc.payments", [payment_row("P1", date(2026, 10, 20), "D9", reached, "A")])
    # The 2nd, 3rd and 5th are the first working days: the 4th is a holiday.
    days = [2, 3, 5] + [6 + number for number in range(late)]
    for number, day in enumerate(days):
        paid = {"source": "amo", "deal_id": f"D{number}", "ordinal": 1, "sign": 1, **credit("A")}
        insert(connection, "calc.paid_deals", [paid | end_of(date(2026, 11, day))])
    rows = found(connection, "I-14")
    assert set(rows) == early_deals
    if early_deals:
        assert rows["D2"][1] == (
            "Оплачена 05.11.2026; в первые рабочие дни месяца — 3 из 10, план прошлого месяца выполнен на 100 %."
        )


def test_i14_waits_for_the_month_to_end() -> None:
    """In its first week every deal of a month is an early one."""
    connection = clean(until="2026-11-20 00:00")
    plan = {"period": "2026-10", "entity_type": "company", "entity_id": "company", "metric": "deals_paid", "value": 1.0}
    insert(connection, "core.plans", [plan])
    for deal, day in (("D1", date(2026, 10, 20)), ("D2", date(2026, 11, 2))):
        insert(
            connection, "calc.paid_deals", [{"source": "amo", "deal_id": deal, "ordinal": 1, "sign": 1} | end_of(day)]
        )
    assert found(connection, "I-14") == {}
    connection.execute("UPDATE meta.coverage SET complete_until = ?", [moscow("2026-12-02 00:00")])
    assert set(found(connection, "I-14")) == {"D2"}


# ── through the recompute ───────────────────────────────────────────────────────────────────────────────────────


def test_the_fixture_raises_three_flags_and_they_leave_every_fact_alone() -> None:
    fixture = reference()
    add_calendar(fixture)
    resolve(fixture, COMPANY, fresh_clock())
    catalogue = only("leads_new win_rate revenue_cash deals_paid")
    recompute(fixture, COMPANY, [NOVEMBER], fresh_clock(), catalogue=catalogue, flags=())
    before = fixture.execute("FROM facts.kpi ORDER BY ALL").fetchall()
    (first,) = recompute(fixture, COMPANY, [NOVEMBER], fresh_clock(), catalogue=catalogue)
    (again,) = recompute(fixture, COMPANY, [NOVEMBER], fresh_clock(), catalogue=catalogue)
    assert (first.rows_written > 0, again.rows_written) == (True, 0)
    assert fixture.execute("FROM facts.kpi ORDER BY ALL").fetchall() == before
    # D4 has no money, P7 no deal, D9 was deleted open. Note 5 has no call, but the fixture of core rows has no notes.
    rows = read_flags(fixture, "2026-11")
    assert [(row.flag, row.record_id, row.person_id) for row in rows] == [
        ("I-01", "D4", "B"),
        ("I-02", "P7", None),
        ("I-10", "D9", "A"),
    ]
    assert [row.record_id for row in read_flags(fixture, "2026-11", "b")] == ["D4"]
    assert [row.record_id for row in read_flags(fixture, "2026-11", "North")] == ["D9"]
    assert [row.record_id for row in read_flags(fixture, "2026-11", "unassigned")] == ["P7"]
    with pytest.raises(UsageError) as caught:
        read_flags(fixture, "2026-11", "C")
    assert "North" in caught.value.render("ru")


def test_what_is_missing_is_told_and_raises_nothing() -> None:
    fixture = reference_calc()
    fixture.execute("DELETE FROM meta.coverage WHERE facet = 'money'")
    recompute(fixture, COMPANY, [NOVEMBER], fresh_clock(), catalogue=only("leads_new"))
    absent = read_unchecked(fixture, "2026-11")
    assert {"I-01", "I-02", "I-05", "I-09", "I-11", "I-14", "I-16"} == set(absent)
    assert "учёта" in absent["I-01"]
    assert "плановой даты закрытия" in absent["I-11"]
    assert {row.flag for row in read_flags(fixture, "2026-11")} == {"I-03", "I-04", "I-10"}


def test_a_finding_that_is_no_longer_so_is_taken_away() -> None:
    fixture = reference_calc()
    catalogue = only("leads_new")
    recompute(fixture, COMPANY, [NOVEMBER], fresh_clock(), catalogue=catalogue)
    insert(fixture, "calc.paid_deals", [{"source": "amo", "deal_id": "D4", "ordinal": 1, "sign": 1} | end_of(DAY)])
    recompute(fixture, COMPANY, [NOVEMBER], fresh_clock(), catalogue=catalogue)
    assert "I-01" not in {row.flag for row in read_flags(fixture, "2026-11")}


DAY = date(2026, 11, 18) + timedelta(days=1)


def test_findings_are_in_the_companys_language() -> None:
    connection = clean()
    ended(connection, "D1", "25 12:00", "deleted")
    english = replace(COMPANY, language="en")
    assert found(connection, "I-10", english)["D1"][1] == "Deleted at 2026-11-25 12:00 while open."


def test_i15_a_deal_only_a_full_reading_found_and_not_what_was_deleted_or_is_no_deal() -> None:
    """Its day is that until which loads had claimed to be complete: later it could not have been missed."""
    connection = clean()
    deals = [{"source": "amo", "deal_id": deal, "person_id": "A"} for deal in ("D1", "D2", "D3", "D4")]
    insert(connection, "core.deals", deals)
    drift = {"run_id": "r", "source": "amo", "stream": "leads", "kind": "missed", "found_at": moscow("22 03:00")}
    believed = {"believed_until": moscow("21 00:00")}
    rows: list[dict[str, Any]] = [
        {"record_id": "D1"} | believed,
        {"record_id": "D2", "kind": "edited"} | believed,
        {"record_id": "D3", "kind": "deleted"} | believed,
        {"record_id": "D4", "stream": "contacts"} | believed,
        {"record_id": "D9"} | believed,  # no such deal in the core: its record was rejected
    ]
    insert(connection, "meta.drift", [drift | row for row in rows])
    assert found(connection, "I-15") == {
        "D1": ("A", "Загрузки её не видели, нашлась при сверке 22.11.2026 03:00."),
        "D2": ("A", "Изменена без изменения времени, нашлось при сверке 22.11.2026 03:00."),
    }


# ── the catalogue of flags ──────────────────────────────────────────────────────────────────────────────────────


def test_i16_money_counted_whole_where_vat_is_taken_off_and_not_where_it_is_named_or_counted() -> None:
    """A payment without a word on VAT raises the revenue of a company that counts without it, and nothing told so."""
    connection = clean()
    for payment, vat in (("P1", None), ("P2", Decimal(20)), ("P3", Decimal(0)), ("P4", None)):
        insert(connection, "core.payments", [{"source": "accounting", "payment_id": payment, "vat_amount": vat}])
    parts = [
        payment_row("P1", 12, "D1", 70_000, "A"),
        payment_row("P1", 12, "D2", 50_000, "B"),
        payment_row("P2", 12, "D1", 120, "A"),
        payment_row("P3", 12, "D1", 100, "A"),
        payment_row("P4", 12, "", 100, None, excluded_by="own_transfer"),
    ]
    insert(connection, "calc.payments", parts)
    told = "120 000 от 12.11.2026 посчитаны целиком: какая часть из них НДС, в платеже не сказано."
    assert found(connection, "I-16", replace(COMPANY, vat_mode="net")) == {"P1": ("A", told)}
    assert found(connection, "I-16") == {}


def test_there_are_sixteen_flags_a_file_each() -> None:
    """Fourteen of metrics.md 4.7, what reconciliation finds, and what a payment leaves unsaid."""
    assert list(BY_KEY) == [f"I-{number:02d}" for number in range(1, 17)]
    for flag in BY_KEY.values():
        assert flag.path.stem.startswith(flag.key.replace("-", "").lower())
        assert len(flag.path.read_text("utf-8").splitlines()) < 70
    assert len(BY_KEY) == len(list(BUILT_IN.glob("*.sql")))
