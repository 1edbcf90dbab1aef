"""The reference fixture of metrics.md through the real path: HTTP, a statement file, every step, the published file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from base.clock import FakeClock
from flows.steps.nightly import NightlyReport, nightly
from flows.steps.recompute import RecomputeReport, recompute
from flows.steps.sync import SyncReport, sync
from metrics.periods import parse_period
from tests.e2e.company import confirm_inputs, served
from tests.e2e.reference import BEFORE_THE_DELETION, NEXT_MORNING, as_of, reference_story
from tests.engine import IS_LAKE


@dataclass
class Nights:
    """Two nights, as a company has them: D9 is seen before a manager deletes it. Then everything once more."""

    folder: Path
    reports: list[NightlyReport]
    again: SyncReport
    recomputed: RecomputeReport


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Nights:
    folder = tmp_path_factory.mktemp("etalon")
    story = reference_story()
    confirm_inputs(story, folder)
    clock = FakeClock(BEFORE_THE_DELETION)
    with served(as_of(story, BEFORE_THE_DELETION), folder, clock) as project:
        first = nightly(project, clock=clock)
    clock.advance((NEXT_MORNING - clock.now()).total_seconds())
    with served(story, folder, clock) as project:
        second = nightly(project, clock=clock)
        again = sync(project, clock=clock)
        recomputed = recompute(project, parse_period("2026-11"), clock=clock)
    return Nights(folder, [first, second], again, recomputed)


@pytest.fixture(scope="module")
def published(nights: Nights) -> Iterator[duckdb.DuckDBPyConnection]:
    assert [stream for report in nights.reports for stream in report.synced.streams if not stream.is_ok] == []
    with duckdb.connect(str(nights.folder / "analytics.duckdb"), read_only=True) as connection:
        yield connection


# Metric: company, A, B, unassigned; a pair is num / den, None = no such row.
EXPECTED: dict[str, tuple[Any, ...]] = {
    "leads_new": (8, 5, 3, None),
    "leads_processed": (7, 5, 2, None),
    "lead_contact_rate": ((6, 8), (5, 5), (1, 3), None),
    "lead_no_contact_rate": ((2, 8), (0, 5), (2, 3), None),
    "lead_sla_rate": ((5, 8), (4, 5), (1, 3), None),
    "missed_callback_rate": ((1, 2), None, None, None),
    "contacts_reached_unique": (6, 5, 2, None),
    "call_to_meeting_rate": ((4, 8), (2, 5), (2, 3), None),
    "meeting_to_offer_rate": ((6, 4), (3, 2), (3, 2), None),
    "offer_to_payment_rate": ((4, 6), (2, 3), (2, 3), None),
    "qualified_to_paid_rate": ((3, 6), (3, 5), (0, 1), None),
    "stage_skip_rate": ((4, 20), (2, 13), (2, 7), None),
    "backward_move_rate": ((1, 24), (1, 15), (0, 9), None),
    "won_payment_confirmation_rate": ((4, 5), (2, 2), (2, 3), None),
    "crm_call_confirmation_rate": ((4, 5), (3, 3), (1, 2), None),
    "calls_attempted": (9, 7, 2, None),
    "calls_successful": (8, 5, 3, None),
    "call_connect_rate": ((6, 9), (5, 7), (1, 2), None),
    "meetings_held": (4, 2, 2, None),
    "offers_sent": (6, 3, 3, None),
    "stage_conversion_cohort": ((3, 8), (3, 5), (0, 3), None),
    "stage_conversion_period": ((4, 8), (2, 5), (2, 3), None),
    "win_rate": ((4, 8), (2, 4), (2, 4), None),
    "revenue_cash": (430_000, 200_000, 210_000, 20_000),
    "deals_paid": (4, 2, 2, None),
    "avg_check": ((410_000, 4), (200_000, 2), (210_000, 2), None),
    "refund_rate": ((30_000, 460_000), (0, 200_000), (30_000, 240_000), (0, 20_000)),
    "missed_call_rate": ((2, 4), None, None, None),
}


@pytest.mark.parametrize("metric", EXPECTED)
def test_a_metric_has_the_fixtures_value(published: duckdb.DuckDBPyConnection, metric: str) -> None:
    rows = {
        entity: (num, den, value)
        for entity, num, den, value in published.execute(
            "SELECT entity_id, num, den, value FROM facts.kpi WHERE period = '2026-11' AND metric = ? AND variant = ''"
            " AND pipeline = '' AND entity_type IN ('manager', 'company')",
            [metric],
        ).fetchall()
    }
    for entity, expected in zip(("company", "A", "B", "unassigned"), EXPECTED[metric], strict=True):
        if expected is None:
            assert entity not in rows
            continue
        num, den = expected if isinstance(expected, tuple) else (expected, None)
        assert rows[entity] == (num, den, num if den is None else num / den), entity


@pytest.mark.parametrize(
    ("metric", "variant", "value", "count"),
    [
        ("speed_to_lead", "", 12, 7),
        ("speed_to_lead", "target=contact", 21.5, 6),
        ("sales_cycle_days", "", 16, 4),
        ("sales_cycle_days", "mean", 15.5, 4),
    ],
)
def test_a_distribution_has_the_fixtures_value(
    published: duckdb.DuckDBPyConnection, metric: str, variant: str, value: float, count: int
) -> None:
    rows = published.execute(
        "SELECT value, den FROM facts.kpi WHERE period = '2026-11' AND metric = ? AND variant = ?"
        " AND entity_type = 'company'",
        [metric, variant],
    ).fetchall()
    assert rows == [(value, count)]


def test_the_cohort_funnel_counts_november_leads(published: duckdb.DuckDBPyConnection) -> None:
    steps = dict(
        published.execute(
            "SELECT to_name, num FROM facts.funnel WHERE period = '2026-11' AND form = 'cohort' AND from_name = 'new'"
            " AND entity_type = 'company'"
        ).fetchall()
    )
    names = ("qualified", "meeting", "offer", "invoice", "won")
    assert [steps[name] for name in names] == [6, 5, 5, 4, 4]
    assert published.execute(
        "SELECT num, den FROM facts.funnel WHERE period = '2026-11' AND form = 'cohort' AND from_name = 'new'"
        " AND to_stage = 'paid' AND entity_type = 'company'"
    ).fetchall() == [(3, 8)]


def test_the_payment_status_comes_from_the_account_alone(published: duckdb.DuckDBPyConnection) -> None:
    rows = published.execute(
        "SELECT deal_id, due, paid, remaining, status, paid_on::TEXT FROM facts.deal_payments"
        " WHERE deal_id IN ('1', '2', '4', '8') ORDER BY deal_id"
    ).fetchall()
    assert rows == [
        ("1", 100_000, 100_000, 0, "paid", "2026-11-12"),
        ("2", 100_000, 100_000, 0, "paid", "2026-11-20"),
        ("4", 120_000, 0, 120_000, "unpaid", None),
        ("8", 90_000, 60_000, 30_000, "paid", "2026-11-09"),
    ]


def test_a_made_up_call_note_is_no_call(published: duckdb.DuckDBPyConnection) -> None:
    notes, calls = (
        published.execute(query).fetchall()[0][0]
        for query in (
            "SELECT count(*) FROM core.activities WHERE activity_type = 'call_note'",
            "SELECT count(*) FROM core.calls WHERE external_number = '+79160000006'",
        )
    )
    assert (notes, calls) == (5, 0)


def test_every_additive_metric_sums_from_managers_and_unassigned_to_the_company(
    published: duckdb.DuckDBPyConnection,
) -> None:
    assert (
        published.execute(
            "SELECT period, metric, variant, pipeline FROM facts.kpi WHERE additivity = 'additive'"
            " GROUP BY ALL HAVING sum(num) FILTER (entity_type = 'manager')"
            " <> sum(num) FILTER (entity_type = 'company')"
        ).fetchall()
        == []
    )


def test_facts_agree_with_the_evidence_in_the_published_file(published: duckdb.DuckDBPyConnection) -> None:
    apart = published.execute(
        "SELECT k.metric, k.entity_id, k.num, e.num FROM facts.kpi AS k LEFT JOIN ("
        " SELECT period, metric, variant, pipeline, entity_type, entity_id, sum(num) AS num, sum(den) AS den"
        " FROM facts.kpi_evidence WHERE excluded_by IS NULL GROUP BY ALL) AS e"
        " USING (period, metric, variant, pipeline, entity_type, entity_id)"
        " WHERE k.additivity IN ('additive', 'ratio') AND (coalesce(k.num, 0) <> coalesce(e.num, 0)"
        " OR coalesce(k.den, 0) <> coalesce(e.den, 0))"
    ).fetchall()
    assert apart == []


def test_every_relation_and_column_of_the_published_file_has_a_comment(published: duckdb.DuckDBPyConnection) -> None:
    silent = published.execute(
        "SELECT schema_name || '.' || table_name || '.' || column_name FROM duckdb_columns() WHERE NOT internal"
        " AND comment IS NULL AND database_name = current_database()"
        " UNION ALL SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE NOT internal AND comment IS NULL"
        " UNION ALL SELECT schema_name || '.' || view_name FROM duckdb_views() WHERE NOT internal AND comment IS NULL"
    ).fetchall()
    assert silent == []


def test_a_second_sync_writes_nothing_and_asks_as_little_as_paging_allows(nights: Nights) -> None:
    streams = nights.again.streams
    assert {s.stream: (s.rows, s.core_rows) for s in streams if s.rows or s.core_rows} == {}
    # One request a stream; a report of calls is one to order it, one to hear that it is not ready, one to fetch it.
    # Invoices lie in lists of the account, and those are asked for first.
    allowed = {"calls": 3, "statements": 0, "invoice_fields": 2, "invoices": 3}
    # A lake's budgets go by PostgreSQL's clock, the simulated account by the story's: it may refuse once.
    refused = 1 if IS_LAKE else 0
    assert {s.stream: s.requests for s in streams if s.requests > allowed.get(s.stream, 1) + refused} == {}


def test_a_second_recompute_changes_no_fact(nights: Nights) -> None:
    assert [report.rows_written for report in nights.recomputed.periods] == [0]


QUERIES = re.findall(
    r"^(\d+)\. .*?```sql\n(.*?)```",
    (Path(__file__).parents[2] / "docs" / "queries.md").read_text(encoding="utf-8"),
    re.DOTALL | re.MULTILINE,
)
# What the fixture has nothing to say about: no plans; nobody's extension.
UNANSWERED = {"5", "16"}


def test_the_docs_hold_twenty_queries() -> None:
    assert [number for number, _ in QUERIES] == [str(number) for number in range(1, 21)]


@pytest.mark.parametrize(("number", "query"), QUERIES, ids=[number for number, _ in QUERIES])
def test_a_query_of_the_docs_runs_and_answers(published: duckdb.DuckDBPyConnection, number: str, query: str) -> None:
    """A renamed column, or a condition that no record can meet, would send every analyst away empty-handed."""
    found = published.execute(query).fetchall()
    assert bool(found) != (number in UNANSWERED)


def test_the_flags_name_the_fixtures_oddities_and_no_more(published: duckdb.DuckDBPyConnection) -> None:
    """D4 is won without money, P7 belongs to no deal, a note speaks of no call, D9 was deleted while open."""
    rows = published.execute(
        "SELECT flag, record_type, deal_id, person_id FROM facts.flags WHERE period = '2026-11' ORDER BY flag"
    ).fetchall()
    assert [(flag, kind, deal) for flag, kind, deal, _ in rows if flag != "I-04"] == [
        ("I-01", "deal", "4"),
        ("I-02", "payment", None),
        ("I-10", "deal", "9"),
    ]
    assert [person for flag, *_, person in rows if flag == "I-04"] == ["B"]
    unchecked = published.execute(
        "SELECT flag FROM meta.period_flags WHERE period = '2026-11' AND absent IS NOT NULL ORDER BY flag"
    ).fetchall()
    assert unchecked == [("I-11",), ("I-14",)]


def test_the_cohort_is_told_by_three_conventions(published: duckdb.DuckDBPyConnection) -> None:
    steps = {
        name: (touched, strict)
        for name, touched, strict in published.execute(
            "SELECT to_name, touched, strict FROM facts.funnel WHERE period = '2026-11' AND form = 'cohort'"
            " AND from_name = 'new' AND entity_type = 'company'"
        ).fetchall()
    }
    names = ("qualified", "meeting", "offer", "invoice", "won")
    assert [steps[name] for name in names] == [(6, 6), (4, 4), (5, 4), (1, 1), (4, 1)]


def test_the_analysts_views_agree_with_the_facts(published: duckdb.DuckDBPyConnection) -> None:
    wide = published.execute(
        "SELECT leads_new, revenue_cash, deals_paid FROM facts.kpi_wide"
        " WHERE period = '2026-11' AND entity_type = 'company'"
    ).fetchall()
    days = published.execute(
        "SELECT sum(leads_new), sum(revenue_cash), sum(deals_paid) FROM facts.daily"
        " WHERE entity_type = 'company' AND day BETWEEN '2026-11-01' AND '2026-11-30'"
    ).fetchall()
    assert wide == days == [(8, 430_000, 4)]
    assert published.execute(
        "SELECT base, paid FROM facts.funnel_wide WHERE period = '2026-11' AND form = 'cohort'"
        " AND entity_type = 'company'"
    ).fetchall() == [(8, 3)]
