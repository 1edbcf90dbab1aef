"""Input files: what is read, what is refused with file and line, and what a second load leaves alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from base.errors import InputError
from metrics.inputs import load_inputs
from metrics.inputs.calendar import production_calendar
from metrics.inputs.check import check_inputs
from metrics.inputs.declared import FILES
from metrics.settings import Company
from models.arrow import find_relation
from tests.metrics.fixture_core import COMPANY, empty_warehouse, fresh_clock, insert, moscow

PEOPLE = "person_id,name,team,role,grade,valid_from,valid_to\n"
IDENTITIES = "person_id,source,external_id,valid_from,valid_to\n"
SPLITS = "deal_source,deal_id,person_id,share,valid_from,valid_to\n"


@pytest.fixture(scope="module")
def warehouse() -> duckdb.DuckDBPyConnection:
    """For tests that load nothing: refused inputs leave no trace."""
    return empty_warehouse()


def company(folder: Path) -> Company:
    return replace(COMPANY, inputs_dir=folder)


def problems(warehouse: duckdb.DuckDBPyConnection, folder: Path, **files: str) -> list[str]:
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as refused:
        load_inputs(warehouse, company(folder), fresh_clock())
    return [problem.render("en") for problem in refused.value.problems]


def rows(warehouse: duckdb.DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    return warehouse.execute(query).fetchall()


PLANS = "period,entity_type,entity_id,metric,value,prorate,vat_mode\n"


def test_a_plan_of_another_vat_mode_is_refused(warehouse: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """A plan without VAT held against money with it would be reached at five sixths."""
    plans = PLANS + "2026-12,company,company,revenue_cash,100,,net\n2026-12,company,company,avg_check,10,,gross\n"
    assert problems(warehouse, tmp_path, plans=plans) == [
        "plans.csv:2: the plan is without VAT, facts are counted with VAT (vat_mode in voronka.toml): convert the plan"
    ]


def test_prorate_is_set_before_the_period_begins(tmp_path: Path) -> None:
    """Set later it would lower a plan that already stands; a plan nobody knew before is taken as it comes."""
    warehouse, clock = empty_warehouse(), fresh_clock()
    people = "person_id,name,team,role,grade,valid_from,valid_to\nivan,Иван,Продажи,,,2026-11-16,\n"
    (tmp_path / "people.csv").write_text(people, encoding="utf-8")
    month, later = f"{clock.now():%Y-%m}", f"{clock.now().year + 1}-01"
    line = "{},manager,ivan,{},100,{},\n"
    before = PLANS + line.format(month, "revenue_cash", "") + line.format(later, "revenue_cash", "")
    (tmp_path / "plans.csv").write_text(before, encoding="utf-8")
    load_inputs(warehouse, company(tmp_path), clock)
    after = before.replace(",100,,", ",100,true,") + line.format(month, "calls_successful", "true")
    assert problems(warehouse, tmp_path, plans=after) == [
        f"plans.csv:2: {month} has begun and the plan stands whole: prorate is set before a period begins"
    ]
    assert [problem.render("en") for problem in check_inputs(warehouse, company(tmp_path), clock=clock).problems] == [
        f"plans.csv:2: {month} has begun and the plan stands whole: prorate is set before a period begins"
    ]
    (tmp_path / "plans.csv").write_text(after.replace("100,true", "100,", 1), encoding="utf-8")
    load_inputs(warehouse, company(tmp_path), clock)
    kept = rows(warehouse, "SELECT period, metric, prorate FROM core.plans ORDER BY ALL")
    assert kept == [(month, "calls_successful", "true"), (month, "revenue_cash", None), (later, "revenue_cash", "true")]


# ── what is read ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "content",
    [
        "person_id,name,team,role,grade,valid_from,valid_to\nivan,Иван,Продажи,,,,2026-11-15\n".encode(),
        "\ufeffperson_id,name,team,role,grade,valid_from,valid_to\r\nivan,Иван,Продажи,,,,2026-11-15\r\n".encode(),
        "Person_ID;Name;Team;Role;Grade;Valid_from;Valid_to;\nivan;Иван;Продажи;;;;15.11.2026;\n".encode("cp1251"),
    ],
    ids=["utf8-comma", "bom-crlf", "cp1251-semicolon-excel"],
)
def test_every_accepted_form_reads_the_same(tmp_path: Path, content: bytes) -> None:
    warehouse = empty_warehouse()
    (tmp_path / "people.csv").write_bytes(content)
    load_inputs(warehouse, company(tmp_path), fresh_clock())
    assert rows(warehouse, "SELECT * FROM core.people") == [
        ("ivan", "Иван", "Продажи", None, None, date(1900, 1, 1), date(2026, 11, 15))
    ]


def test_every_file_of_the_contract_reaches_its_relation(tmp_path: Path) -> None:
    """One good line in each: a column declared under a wrong name or type would fail here."""
    files = {
        "people": f"{PEOPLE}ivan,Ivan,North,closer,senior,2026-01-01,\n",
        "identities": f"{IDENTITIES}ivan,amo,101,,\n",
        "stages": "source,pipeline_id,stage_id,name,position,kind,valid_from,guess\namo,7,10,New,10,Base,,guess\n",
        "milestones": "source,pipeline_id,stage_id,weight\namo,7,10,2\n",
        "probabilities": 'source,pipeline_id,stage_id,probability\namo,7,10,"0,25"\n',
        "plans": 'period,entity_type,entity_id,metric,value\n2026-11,manager,ivan,revenue_cash,"1 000 000,5"\n',
        "hours": "team,weekday,opens,closes,timezone\nNorth,1,9:00,24:00,Asia/Almaty\n",
        "lines": "source,line,team\nmango,74951234567,North\n",
        "calendar": "date,hours\n2026-11-07,8\n",
        "absences": "person_id,from,to\nivan,2026-11-02,2026-11-06\n",
        "rates": "date,currency,rate\n2026-11-02,usd,81.5\n",
        "matches": "source,payment_id,deal_source,deal_id,amount,approved_by,approved_on\nacc,P1,amo,D1,,rop,\n",
        "splits": f"{SPLITS}amo,D1,ivan,1,,\n",
        "test_numbers": "phone,reason\n8 (999) 111-22-33,office\n",
        "exclusions": "source,record_type,record_id,reason,approved_by,approved_on\namo,deal,D1,test,rop,2026-11-20\n",
    }
    assert {f"{name}.csv" for name in files} == {declared.name for declared in FILES}
    for name, text in files.items():
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    warehouse = empty_warehouse()
    report = load_inputs(warehouse, company(tmp_path), fresh_clock())
    assert set(report.changed) == {*(declared.name for declared in FILES), "calendar:RU"}
    assert report.problems == []
    read = {name: rows(warehouse, f"SELECT * FROM core.{name}") for name in files if name != "calendar"}
    ever = date(1900, 1, 1)
    assert read == {
        "people": [("ivan", "Ivan", "North", "closer", "senior", date(2026, 1, 1), None)],
        "identities": [("ivan", "amo", "101", ever, None)],
        "stages": [("amo", "7", "10", "New", 10, "base", ever, True)],
        "milestones": [("amo", "7", "10", 2.0)],
        "probabilities": [("amo", "7", "10", 0.25)],
        "plans": [("2026-11", "manager", "ivan", "revenue_cash", 1_000_000.5, None, None)],
        "hours": [("North", 1, "09:00", "24:00", "Asia/Almaty")],
        "lines": [("mango", "74951234567", "North")],
        "absences": [("ivan", date(2026, 11, 2), date(2026, 11, 6))],
        "rates": [(date(2026, 11, 2), "USD", 81.5)],
        "matches": [("acc", "P1", "amo", "D1", None, "rop", None)],
        "splits": [("amo", "D1", "ivan", 1.0, ever, None)],
        "test_numbers": [("+79991112233", "office")],
        "exclusions": [("amo", "deal", "D1", "test", "rop", date(2026, 11, 20))],
    }


def test_declared_columns_are_those_of_the_relations() -> None:
    for declared in FILES:
        known = set(find_relation(declared.relation).columns.keys())
        assert {field.column for field in declared.fields} <= known, declared.name


# ── what is refused ─────────────────────────────────────────────────────────────────────────────────────────────


def test_all_problems_of_all_files_come_at_once_with_their_lines(
    warehouse: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    found = problems(
        warehouse,
        tmp_path,
        stages="source,pipeline_id,stage_id,name,position,kind,valid_from\namo,7,10,New,ten,first,\n\namo,7,,X,1,base,\n",
        rates="date,currency,rate\n2026-02-30,USD,0\n2026-02-28,dollars,-1\n",
    )
    assert found == [
        "stages.csv:2: position: expected a whole number, got 'ten'",
        "stages.csv:2: kind: expected one of: base, qualified, meeting, offer, invoice, won, lost, service, "
        "got 'first'",
        "stages.csv:4: stage_id: expected a value, got ''",
        "rates.csv:2: date: expected a date YYYY-MM-DD, got '2026-02-30'",
        "rates.csv:3: currency: expected a currency code such as USD, got 'dollars'",
    ]
    assert rows(warehouse, "SELECT count(*) FROM meta.inputs") == [(0,)]


def test_unknown_and_missing_columns_are_all_named(warehouse: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    found = problems(warehouse, tmp_path, people="person_id,nmae,team,role,valid_from,valid_to\nivan,,,,,\n")
    assert found == ["people.csv:1: unknown columns: nmae", "people.csv:1: missing columns: name, grade"]


def test_line_with_an_unquoted_separator_is_not_cut_off(warehouse: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    found = problems(warehouse, tmp_path, lines="source,line,team\nmango,7495,North, East\n")
    assert found == ["lines.csv:2: more values than columns"]


def test_open_quote_does_not_swallow_the_file(warehouse: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    assert problems(warehouse, tmp_path, lines='source,line,team\nmango,"7495,North\nmango,7496,South\n') == [
        "lines.csv:1: a quote is never closed"
    ]


def test_picture_named_csv_is_answered(warehouse: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\x00")
    assert problems(warehouse, tmp_path) == ["people.csv:1: this is not a text file"]


def test_one_identity_of_two_people_at_one_time_is_refused(
    warehouse: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """The touching day counts: valid_to is inclusive."""
    people = f"{PEOPLE}a,A,,,,,\nb,B,,,,,\n"
    lines = "a,mango,11,,2026-11-15\nb,mango,11,2026-11-15,\nb,mango,12,,2026-11-15\na,mango,12,2026-11-16,\n"
    assert problems(warehouse, tmp_path, people=people, identities=IDENTITIES + lines) == [
        "identities.csv:3: overlaps in time with line 2"
    ]


def test_unknown_person_is_named_in_every_file(warehouse: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    found = problems(
        warehouse,
        tmp_path,
        people=f"{PEOPLE}a,A,,,,,\n",
        identities=f"{IDENTITIES}ghost,amo,1,,\n",
        absences="person_id,from,to\nghost,2026-11-02,2026-11-01\n",
        plans="period,entity_type,entity_id,metric,value\n2026-11,manager,ghost,leads_new,1\n2026-11,team,ghost,leads_new,1\n",
    )
    assert found == [
        "identities.csv:2: person ghost is not in people.csv",
        "plans.csv:2: person ghost is not in people.csv",
        "absences.csv:2: ends before it begins",
        "absences.csv:2: person ghost is not in people.csv",
    ]


def test_shares_sum_to_one_on_every_day(warehouse: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """Thirds as decimals: 0.33 + 0.33 + 0.34 is exactly 1; from the 16th one of them is missing."""
    lines = "amo,D1,a,0.33,,\namo,D1,b,0.33,,\namo,D1,c,0.34,,2026-11-15\n"
    people = f"{PEOPLE}a,A,,,,,\nb,B,,,,,\nc,C,,,,,\n"
    assert problems(warehouse, tmp_path, people=people, splits=SPLITS + lines) == [
        "splits.csv:2: shares of deal D1 from 2026-11-16 sum to 0.66, not 1"
    ]


def test_repeated_line_and_impossible_period_are_refused(warehouse: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    text = (
        "period,entity_type,entity_id,metric,value\n2026-11,company,company,leads_new,1\n"
        "2026-11,company,company,leads_new,2\n2026-01..2026-03,company,company,leads_new,1\n2026-11,company,us,leads_new,1\n"
    )
    assert problems(warehouse, tmp_path, plans=text) == [
        "plans.csv:3: repeats line 2",
        "plans.csv:4: period: expected one period: 2026-11, 2026-Q4, 2026-W47, 2026-11-16, got '2026-01..2026-03'",
        "plans.csv:5: a company plan has entity_id = company",
    ]


# ── what a load changes ─────────────────────────────────────────────────────────────────────────────────────────


def test_second_load_changes_nothing_and_one_changed_file_replaces_only_its_own(tmp_path: Path) -> None:
    warehouse = empty_warehouse()
    (tmp_path / "people.csv").write_text(f"{PEOPLE}a,A,,,,,\n")
    (tmp_path / "identities.csv").write_text(f"{IDENTITIES}a,amo,1,,\n")
    clock = fresh_clock()
    first = load_inputs(warehouse, company(tmp_path), clock)
    before = rows(warehouse, "SELECT * FROM meta.inputs ORDER BY file")
    clock.advance(60)
    assert load_inputs(warehouse, company(tmp_path), clock).changed == []
    assert rows(warehouse, "SELECT * FROM meta.inputs ORDER BY file") == before

    (tmp_path / "people.csv").write_text(f"{PEOPLE}a,Anna,,,,,\n")
    report = load_inputs(warehouse, company(tmp_path), clock)
    assert report.changed == ["people.csv"]
    assert report.version != first.version
    assert rows(warehouse, "SELECT name FROM core.people") == [("Anna",)]
    assert rows(
        warehouse, "SELECT file FROM meta.inputs WHERE loaded_at > (SELECT min(loaded_at) FROM meta.inputs)"
    ) == [("people.csv",)]


def test_removed_file_empties_its_relation(tmp_path: Path) -> None:
    warehouse = empty_warehouse()
    path = tmp_path / "test_numbers.csv"
    path.write_text("phone,reason\n89991112233,office\n")
    load_inputs(warehouse, company(tmp_path), fresh_clock())
    path.unlink()
    assert load_inputs(warehouse, company(tmp_path), fresh_clock()).changed == ["test_numbers.csv"]
    assert rows(warehouse, "SELECT count(*) FROM core.test_numbers") == [(0,)]
    assert rows(warehouse, "SELECT count(*) FROM meta.inputs WHERE file = 'test_numbers.csv'") == [(0,)]


def test_misspelt_file_is_warned_of_and_a_draft_is_not(tmp_path: Path) -> None:
    (tmp_path / "poeple.csv").write_text(PEOPLE)
    (tmp_path / "people.new.csv").write_text(PEOPLE)
    report = load_inputs(empty_warehouse(), company(tmp_path), fresh_clock())
    assert [problem.render("en").partition(":")[0] for problem in report.problems] == ["poeple.csv"]


# ── calendar ────────────────────────────────────────────────────────────────────────────────────────────────────


def hours_of(country: str, year: int) -> dict[date, float]:
    return dict(production_calendar(country, year, year))


@pytest.mark.parametrize(("country", "working"), [("RU", 20), ("KZ", 21), ("BY", 21), ("UZ", 21)])
def test_november_2026_has_its_working_days(country: str, working: int) -> None:
    hours = hours_of(country, 2026)
    assert sum(1 for day, worked in hours.items() if day.month == 11 and worked) == working
    assert len(hours) == 365


def test_russian_day_before_a_holiday_is_an_hour_shorter() -> None:
    """Against the official calendar of 2026: 30 April, 8 May, 11 June, 3 November; not before a mere day off."""
    hours = hours_of("RU", 2026)
    assert [day for day, worked in hours.items() if worked == 7] == [
        date(2026, 4, 30), date(2026, 5, 8), date(2026, 6, 11), date(2026, 11, 3),
    ]  # fmt: skip
    assert sum(Decimal(worked) for worked in hours.values()) == 247 * 8 - 4


def test_moved_working_saturday_is_worked() -> None:
    assert hours_of("BY", 2026)[date(2026, 4, 25)] == 8
    assert hours_of("RU", 2025)[date(2025, 11, 1)] == 8


def test_calendar_spans_the_records_and_the_companys_own_days_win(tmp_path: Path) -> None:
    warehouse = empty_warehouse()
    insert(warehouse, "core.deals", [{"source": "amo", "deal_id": "1", "created_at": moscow("2024-05-01 10:00")}])
    # A slip of a keyboard makes no calendar of the last century.
    insert(warehouse, "core.deals", [{"source": "amo", "deal_id": "2", "created_at": moscow("1970-01-01 10:00")}])
    (tmp_path / "calendar.csv").write_text("date,hours\n2026-11-04,8\n2026-11-05,0\n")
    load_inputs(warehouse, company(tmp_path), fresh_clock())
    assert rows(warehouse, "SELECT min(day), max(day) FROM core.calendar") == [(date(2023, 1, 1), date(2027, 12, 31))]
    assert rows(
        warehouse,
        "SELECT hours, origin FROM core.calendar WHERE day BETWEEN '2026-11-03' AND '2026-11-05' ORDER BY day",
    ) == [(7.0, "country"), (8.0, "input"), (0.0, "input")]
    (tmp_path / "calendar.csv").unlink()
    report = load_inputs(warehouse, company(tmp_path), fresh_clock())
    assert report.changed == ["calendar.csv", "calendar:RU"]
    assert rows(warehouse, "SELECT hours FROM core.calendar WHERE day = '2026-11-04'") == [(0.0,)]


def test_another_country_is_another_calendar(tmp_path: Path) -> None:
    warehouse = empty_warehouse()
    load_inputs(warehouse, company(tmp_path), fresh_clock())
    kazakh = replace(company(tmp_path), calendar="KZ")
    assert load_inputs(warehouse, kazakh, fresh_clock()).changed == ["calendar:KZ"]
    assert rows(warehouse, "SELECT file FROM meta.inputs") == [("calendar:KZ",)]
    assert rows(warehouse, "SELECT hours FROM core.calendar WHERE day = '2026-11-04'") == [(8.0,)]
