"""What must hold of any company, over generated ones, counted in plain Python from the relations users read.

`metrics.invariants` checks much of it inside every recompute: a rule it forgets, or reads wrongly, shows only here.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from statistics import median
from typing import Any

import duckdb
import pytest

from metrics.ledger import OUTCOMES
from tests.metrics.fixture_story import company_of, compute, untouched

SEEDS = (11, 12)
# What resolve and recompute write; when they wrote it is no part of it.
WRITTEN = (
    *("facts.kpi", "facts.funnel", "facts.plan_fact", "facts.stage_ledger", "facts.flags", "meta.absent_metrics"),
    *("core.deal_owners", "core.deal_stage_visits", "core.payment_allocations", "calc.leads", "calc.paid_deals"),
)

Rows = list[tuple[Any, ...]]


def all_rows(company: duckdb.DuckDBPyConnection) -> dict[str, Rows]:
    query = "SELECT COLUMNS(name -> name <> 'loaded_at') FROM {} ORDER BY ALL"
    return {relation: company.execute(query.format(relation)).fetchall() for relation in WRITTEN}


@pytest.mark.parametrize("seed", SEEDS)
def test_managers_and_unassigned_are_the_company(seed: int) -> None:
    """A record credited twice, or to nobody at all: in additive metrics and in both parts of ratios."""
    wholes: dict[tuple[str, ...], tuple[Decimal, Decimal]] = {}
    parts: dict[tuple[str, ...], dict[str, tuple[Decimal, Decimal]]] = defaultdict(dict)
    rows = untouched(seed).execute(
        "SELECT metric, variant, pipeline, entity_type, entity_id, coalesce(num, 0), coalesce(den, 0) FROM facts.kpi"
        " WHERE additivity IN ('additive', 'ratio')"
    )
    for metric, variant, pipeline, entity_type, entity_id, num, den in rows.fetchall():
        if entity_type == "company":
            wholes[metric, variant, pipeline] = num, den
        else:
            parts[metric, variant, pipeline, entity_type][entity_id] = num, den
    assert len({metric for metric, *_ in wholes}) > 25
    for (*fact, _), entities in parts.items():
        nums, dens = zip(*entities.values(), strict=True)
        assert (sum(nums), sum(dens)) == wholes[tuple(fact)], (fact, entities)
    by_people = {tuple(fact[:3]) for fact in parts if fact[3] == "manager"}
    # Missed calls are a team's (metrics.md, 11 and 12); nothing else may do without managers.
    assert {metric for metric, *_ in wholes.keys() - by_people} == {"missed_call_rate", "missed_callback_rate"}
    assert "unassigned" in parts["revenue_cash", "", "", "manager"]


def test_every_fact_is_what_its_evidence_says() -> None:
    """A fact and its records told by two different queries."""
    company = untouched(SEEDS[0])
    evidence: dict[tuple[str, ...], Rows] = defaultdict(list)
    # All metrics' queries at once take DuckDB minutes to stream, and seconds to write down.
    company.execute(
        "CREATE OR REPLACE TEMP TABLE told AS"
        " SELECT metric, variant, pipeline, entity_type, entity_id, key, num, den FROM facts.kpi_evidence"
        " WHERE period = '2026-10' AND excluded_by IS NULL"
    )
    for *fact, key, num, den in company.execute("FROM told").fetchall():
        evidence[tuple(fact)].append((key, num or 0, den or 0))
    checked: dict[str, int] = defaultdict(int)
    for *fact, additivity, num, den, value in company.execute(
        "SELECT metric, variant, pipeline, entity_type, entity_id, additivity, num, den, value FROM facts.kpi"
        " WHERE metric <> 'forecast_run_rate'"  # made of other metrics' facts
    ).fetchall():
        records = evidence.get(tuple(fact), [])
        if additivity in ("additive", "ratio"):
            assert (num or 0) == sum(record[1] for record in records), fact
            assert (den or 0) == (sum(record[2] for record in records) if additivity == "ratio" else 0), fact
        elif additivity == "distinct":
            assert value == len({record[0] for record in records}), fact
        elif additivity == "distribution" and "p95" not in fact[1] and fact[1] != "mean":
            nums = [float(record[1]) for record in records]
            assert value == (pytest.approx(median(nums)) if nums else None), fact
        else:
            continue
        checked[additivity] += 1
    assert min(checked[kind] for kind in ("additive", "ratio", "distinct", "distribution")) > 8


@pytest.mark.parametrize("seed", SEEDS)
def test_no_cohort_is_above_a_hundred_per_cent(seed: int) -> None:
    """A cohort's num that counts a deal its den does not have; the period form may well be above."""
    company = untouched(seed)
    steps = company.execute("SELECT num, den, value, maturity FROM facts.funnel WHERE form = 'cohort'").fetchall()
    kpi = company.execute(
        "SELECT num, den, value, NULL FROM facts.kpi WHERE metric IN ('stage_conversion_cohort',"
        " 'qualified_to_paid_rate', 'lead_contact_rate', 'lead_sla_rate', 'win_rate', 'won_payment_confirmation_rate')"
    ).fetchall()
    assert len(steps) > 100
    assert len(kpi) > 100
    for num, den, value, maturity in steps + kpi:
        assert 0 <= num <= den
        assert value is None if den == 0 else value <= 1
        assert maturity is None or 0 <= maturity <= 1


@pytest.mark.parametrize("seed", SEEDS)
def test_the_seven_outcomes_add_up_to_the_stays(seed: int) -> None:
    """A stay that ended in no outcome, or in two; the stays are counted from the visits, not from the ledger."""
    company = untouched(seed)
    ledger = company.execute(
        f"SELECT stage_id, entries, {', '.join(OUTCOMES)} FROM facts.stage_ledger WHERE entries > 0"
    ).fetchall()
    visits = dict(
        company.execute(
            "SELECT stage_id, count(*) FROM core.deal_stage_visits"
            " WHERE timezone('Europe/Moscow', entered_at)::DATE BETWEEN '2026-10-01' AND '2026-10-31' GROUP BY stage_id"
        ).fetchall()
    )
    assert {stage: entries for stage, entries, *_ in ledger} == visits
    for stage, entries, *outcomes in ledger:
        assert len(outcomes) == 7
        assert sum(outcomes) == entries, stage


def test_the_order_of_loading_changes_nothing() -> None:
    """A tie decided by where a row happens to lie."""
    shuffled = all_rows(company_of(SEEDS[0]).load(shuffled_by=5))
    for relation, rows in all_rows(untouched(SEEDS[0])).items():
        assert shuffled[relation] == rows, relation


def test_computing_again_writes_nothing() -> None:
    company = untouched(SEEDS[0])
    before = all_rows(company)
    reports = compute(company, company_of(SEEDS[0]).story)
    assert [report.rows_written for report in reports] == [0]
    assert all_rows(company) == before
