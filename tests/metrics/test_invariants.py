from __future__ import annotations

import duckdb
import pytest

from base.errors import InvariantError
from metrics.availability import find_availability
from metrics.evidence import VIEW
from metrics.facts import PARTS, stage_facts
from metrics.invariants import check_period
from metrics.periods import parse_period
from tests.metrics.fixture_calc import reference_calc
from tests.metrics.fixture_core import COMPANY
from tests.metrics.test_compute import compute, only

KEYS = "leads_new lead_contact_rate"
A_LEADS = "metric = 'leads_new' AND entity_id = 'A'"


@pytest.mark.parametrize("evidence", [VIEW, PARTS])
@pytest.mark.parametrize(
    ("damage", "rule"),
    [
        (f"INSERT INTO facts.kpi FROM facts.kpi WHERE {A_LEADS}", "key twice"),
        (f"UPDATE facts.kpi SET num = num + 1 WHERE {A_LEADS}", "parts do not sum to the company"),
        ("UPDATE facts.kpi SET den = den + 1 WHERE entity_id = 'North' AND den > 0", "parts do not sum to the company"),
        (
            "UPDATE facts.kpi SET num = num * 2, value = value * 2 WHERE metric = 'leads_new'",
            "differs from its evidence",
        ),
        (f"UPDATE facts.kpi SET value = 4 WHERE {A_LEADS}", "differs from its evidence"),
        ("UPDATE calc.leads SET excluded_by = 'exclusion' WHERE deal_id = 'D6'", "differs from its evidence"),
        ("DELETE FROM facts.kpi WHERE metric = 'leads_new' AND entity_type <> 'company'", "differs from its evidence"),
    ],
)
def test_each_kind_of_damage_is_found_and_named(damage: str, rule: str, evidence: str) -> None:
    """A check that compared too little would let one of these pass: the view's, or that of the parts."""
    connection = reference_calc()
    compute(connection, KEYS)
    check(connection, evidence)
    connection.execute(damage)
    with pytest.raises(InvariantError) as caught:
        check(connection, evidence)
    assert rule in caught.value.render("en")
    assert "2026-11" in caught.value.render("ru")


def check(connection: duckdb.DuckDBPyConnection, evidence: str) -> None:
    """The stored facts against the evidence as it is at this moment."""
    (period,), catalogue = parse_period("2026-11"), only(KEYS)
    stage_facts(connection, COMPANY, catalogue, find_availability(connection, COMPANY, catalogue, period), "")
    check_period(connection, catalogue, period, evidence)
