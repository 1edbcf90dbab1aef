from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from base.errors import UsageError
from metrics.explain import Explanation, explain
from metrics.reading import read_kpi
from tests.metrics.fixture_calc import call_row, reference_calc
from tests.metrics.fixture_core import COMPANY, insert, moscow
from tests.metrics.test_compute import compute, only

KEYS = "leads_new leads_processed calls_successful revenue_cash win_rate stage_conversion_cohort"


@pytest.fixture(scope="module")
def computed() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = reference_calc()
    connection.execute("UPDATE core.people SET name = 'Анна Петрова' WHERE person_id = 'A'")
    insert(
        connection,
        "core.payments",
        [{"source": "accounting", "payment_id": "P7", "payer_name": "ООО Ромашка", "document_number": "7"}],
    )
    compute(connection, KEYS)
    yield connection
    connection.close()


def opened(connection: duckdb.DuckDBPyConnection, metric: str, entity: str = "company", **form: str) -> Explanation:
    return explain(connection, only(KEYS), "2026-11", metric, entity, **form)


def test_counted_and_left_out_records_stand_with_the_rule_in_words(computed: duckdb.DuckDBPyConnection) -> None:
    found = opened(computed, "leads_processed", "B")
    assert [record.record_id for record in found.counted] == ["D4", "D5"]
    assert [(record.record_id, record.excluded_by) for record in found.left_out] == [
        ("D6", "no_contact_action"),
        ("D10", "duplicate"),
    ]
    assert found.left_out_by_rule == {"duplicate": 1, "no_contact_action": 1}
    duplicate = found.left_out[1].reason
    assert duplicate is not None
    assert "дубль" in duplicate.render("ru")
    assert "duplicate" in duplicate.render("en")
    assert found.counted[0].url == "https://crm/D4"
    assert found.counted[0].occurred_at == moscow("05 10:00")


@pytest.mark.parametrize("metric", KEYS.split())
def test_the_counted_records_add_up_to_the_fact(computed: duckdb.DuckDBPyConnection, metric: str) -> None:
    """The promise of the command: every number opens to its records."""
    for fact in read_kpi(computed, "2026-11", metric):
        found = opened(computed, metric, f"{fact.entity_type}:{fact.entity_id}")
        assert sum(record.num or 0 for record in found.counted) == fact.num
        if fact.den is not None:
            assert sum(record.den or 0 for record in found.counted) == fact.den
        assert len(found.counted) == found.counted_count


def test_a_call_of_thirty_seconds_says_why_it_is_none(computed: duckdb.DuckDBPyConnection) -> None:
    rules = {record.record_id: record.excluded_by for record in opened(computed, "calls_successful").left_out}
    assert rules == {
        "C2": "not_answered",
        "C4": "too_short",
        "C7": "too_short",
        "C8": "not_answered",
        "C10": "not_answered",
        "C14": "internal",
    }


def test_a_payment_without_a_deal_is_found_under_unassigned(computed: duckdb.DuckDBPyConnection) -> None:
    (record,) = opened(computed, "revenue_cash", "unassigned").counted
    assert (record.record_id, record.num, record.title) == ("P7", 20_000, "ООО Ромашка № 7")


@pytest.mark.parametrize("entity", ["A", "Анна Петрова", "анна петрова", "manager:A"])
def test_a_person_is_found_by_id_and_by_name(computed: duckdb.DuckDBPyConnection, entity: str) -> None:
    assert opened(computed, "leads_new", entity).fact.entity_id == "A"


def test_one_form_of_a_metric_opens_too(computed: duckdb.DuckDBPyConnection) -> None:
    found = opened(computed, "stage_conversion_cohort", variant="source=amo;from=10;to=30", pipeline="7")
    assert (found.fact.num, found.counted_count) == (5, 8)


@pytest.mark.parametrize(
    ("metric", "entity", "form", "near"),
    [
        ("lead_new", "company", {}, "leads_new"),
        ("leads_new", "Анна Петровна", {}, "Анна Петрова"),
        ("leads_new", "team:A", {}, "North"),
        ("stage_conversion_cohort", "company", {"variant": "source=amo;from=10;to=3"}, "source=amo;from=10;to=30"),
    ],
)
def test_what_is_not_there_is_answered_with_its_neighbours(
    computed: duckdb.DuckDBPyConnection, metric: str, entity: str, form: dict[str, str], near: str
) -> None:
    with pytest.raises(UsageError) as caught:
        opened(computed, metric, entity, **form)
    assert near in caught.value.render("ru")


def test_an_absent_metric_says_what_it_lacks() -> None:
    connection = reference_calc()
    connection.execute("DELETE FROM core.stages")
    compute(connection, "leads_new calls_successful")
    with pytest.raises(UsageError) as caught:
        explain(connection, only(KEYS), "2026-11", "leads_new")
    assert "stages.csv" in caught.value.render("ru")


def test_lists_end_at_the_limit_and_counts_do_not() -> None:
    connection = reference_calc()
    insert(connection, "calc.calls", [call_row(f"X{number}", "20 10:00", "A", "out", 100) for number in range(5)])
    compute(connection, "calls_successful")
    found = explain(connection, only("calls_successful"), "2026-11", "calls_successful", "A", limit=3)
    assert (len(found.counted), found.counted_count) == (3, 10)
    assert COMPANY.language == "ru"


def test_an_attainment_opens_to_the_records_of_its_fact() -> None:
    connection = reference_calc()
    row = {
        "period": "2026-11",
        "entity_type": "manager",
        "entity_id": "A",
        "metric": "revenue_cash",
        "value": 400_000.0,
    }
    insert(connection, "core.plans", [row])
    keys = "revenue_cash plan_attainment"
    compute(connection, keys)
    found = explain(connection, only(keys), "2026-11", "plan_attainment", "A", variant="metric=revenue_cash")
    assert (found.fact.value, found.counted_count) == (0.5, 3)
    assert [record.record_id for record in found.counted] == ["P2", "P1", "P3"]
    with pytest.raises(UsageError) as caught:
        explain(connection, only(keys), "2026-11", "plan_attainment", "A")
    assert "metric=revenue_cash" in caught.value.render("ru")
