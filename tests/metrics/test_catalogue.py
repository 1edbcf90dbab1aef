from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from base.errors import ConfigError, UsageError
from metrics.catalogue import BUILT_IN, load_catalogue
from metrics.evidence import check_bodies
from metrics.reasons import REASONS
from metrics.settings import Rules
from metrics.views import create_views
from tests.metrics.fixture_core import COMPANY, ZONE, empty_warehouse

# In the catalogue's order; forms of one metric share its number.
NOW = [
    (1, "leads_new"),
    (2, "leads_processed"),
    (3, "lead_contact_rate"),
    (4, "lead_no_contact_rate"),
    (5, "speed_to_lead"),
    (6, "lead_sla_rate"),
    (7, "calls_attempted"),
    (8, "calls_successful"),
    (9, "call_connect_rate"),
    (10, "contacts_reached_unique"),
    (11, "missed_call_rate"),
    (12, "missed_callback_rate"),
    (13, "meetings_held"),
    (14, "offers_sent"),
    (15, "milestones_passed"),
    (16, "call_to_meeting_rate"),
    (17, "meeting_to_offer_rate"),
    (18, "offer_to_payment_rate"),
    (19, "stage_conversion_cohort"),
    (20, "stage_conversion_period"),
    (21, "qualified_to_paid_rate"),
    (22, "win_rate"),
    (23, "stage_skip_rate"),
    (24, "backward_move_rate"),
    (25, "stage_age"),
    (25, "time_in_stage"),
    (26, "sales_cycle_days"),
    (27, "revenue_cash"),
    (28, "revenue_accrual"),
    (29, "deals_paid"),
    (30, "avg_check"),
    (31, "gross_margin"),
    (31, "margin_rate"),
    (32, "refund_rate"),
    (33, "new_customer_revenue"),
    (33, "new_customers"),
    (34, "repeat_deal_share"),
    (35, "customer_retention_rate"),
    (36, "customers_returned"),
    (37, "client_coverage_rate"),
    (38, "overdue_share"),
    (39, "pipeline_amount"),
    (39, "pipeline_open"),
    (39, "pipeline_weighted"),
    (40, "pipeline_velocity"),
    (41, "plan_attainment"),
    (42, "forecast_run_rate"),
    (43, "forecast_weighted"),
    (44, "won_payment_confirmation_rate"),
    (45, "crm_call_confirmation_rate"),
]
OWN = """\
-- key: calls_people
-- label_ru: Номера
-- label_en: Numbers
-- description_ru: Разные номера.
-- description_en: Distinct numbers.
-- unit: numbers
-- group: calls
-- evidence_class: hard
-- event_time: call start
-- credit: actor
-- additivity: distinct
-- entities: manager, team, company
-- facets: calls
-- counts_until: period

SELECT d.period, 'call' AS record_type, c.source, c.call_id AS record_id, c.started_at AS occurred_at,
    c.person_id, c.team, c.external_number AS key, 1 AS num
FROM calc.calls AS c
JOIN period_days AS d ON d.day = c.local_date
"""


def own(folder: Path, text: str = OWN, name: str = "calls_people.sql") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def problems_of(folder: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_catalogue(folder)
    return [str(problem).removeprefix(f"{folder}/") for problem in caught.value.problems]


def test_the_metrics_of_this_release_carry_their_numbers() -> None:
    assert [(metric.number, metric.key) for metric in load_catalogue()] == NOW


@pytest.mark.parametrize("path", sorted(BUILT_IN.glob("*.sql")), ids=lambda path: path.stem)
def test_a_metric_file_stays_readable_on_its_own(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < 60


def test_every_built_in_body_binds_and_yields_the_agreed_columns() -> None:
    check_bodies(empty_warehouse(), load_catalogue())


def test_every_rule_a_built_in_query_names_has_words() -> None:
    """A new exclusion without words would be explained by its code."""
    named = {
        part.split("'")[1]
        for path in BUILT_IN.glob("*.sql")
        for part in path.read_text(encoding="utf-8").split("THEN")[1:]
        if part.lstrip().startswith("'")
    } - {"hard", "logged", "infinity"}
    assert named
    assert named <= set(REASONS)


def test_the_companys_own_metric_joins_behind_the_built_in_ones(tmp_path: Path) -> None:
    keys = [metric.key for metric in load_catalogue(own(tmp_path))]
    assert keys[-1] == "calls_people"
    assert len(keys) == len(NOW) + 1


def test_every_wrong_key_is_named_with_its_line_at_once(tmp_path: Path) -> None:
    text = OWN.replace("-- unit: numbers", "-- unt: numbers").replace("credit: actor", "credit: boss")
    text = text.replace("facets: calls", "facets: calls, weather").replace(
        "-- counts_until", "-- rules: nope\n-- counts_until"
    )
    found = problems_of(own(tmp_path, text))
    assert found == [
        "calls_people.sql:6: unknown key unt",
        "calls_people.sql:1: no key unit",
        "calls_people.sql:10: credit: 'boss' is none of actor, owner_at_event, owner_at_entry, owner_at_payment, "
        "account_owner, team_of_line, none",
        "calls_people.sql:13: facets: 'weather' is none of crm, calls, money, crm?, calls?, money?",
        "calls_people.sql:14: no such rule: nope",
    ]


def test_a_header_line_that_is_no_field_and_an_empty_body_are_named(tmp_path: Path) -> None:
    text = "-- Numbers we like\n" + OWN.split("\n\n")[0]
    found = problems_of(own(tmp_path, text))
    assert found == ["calls_people.sql:1: want `-- key: value`", "calls_people.sql:16: no query behind the header"]


def test_an_own_file_may_not_shadow_a_built_in_metric(tmp_path: Path) -> None:
    text = OWN.replace("key: calls_people", "key: revenue_cash")
    (found,) = problems_of(own(tmp_path, text, "revenue_cash.sql"))
    assert found.startswith("revenue_cash.sql:1: key revenue_cash is taken by ")


def test_a_key_must_be_the_files_name(tmp_path: Path) -> None:
    (found,) = problems_of(own(tmp_path, OWN, "other.sql"))
    assert found == "other.sql:1: key calls_people differs from the file's name"


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        load_catalogue(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("before", "after", "line", "said"),
    [
        ("c.external_number", "c.number", 17, 'does not have a column named "number"'),
        ("JOIN period_days", "JOIN perod_days", 19, "perod_days"),
        ("JOIN period_days", "JOIN JOIN", 19, "syntax error"),
        (", 1 AS num", "", 16, "no column num"),
        ("1 AS num", "1 AS num, 2 AS extra", 16, "an unknown column extra"),
    ],
)
def test_a_broken_query_is_told_with_the_files_own_line(
    tmp_path: Path, before: str, after: str, line: int, said: str
) -> None:
    """DuckDB counts lines in the text it was given, in front of which the engine puts its own."""
    catalogue = load_catalogue(own(tmp_path, OWN.replace(before, after)))
    with pytest.raises(ConfigError) as caught:
        create_views(empty_warehouse(), catalogue, ZONE)
    (problem,) = caught.value.problems
    assert f"calls_people.sql:{line}: " in str(problem)
    assert said in str(problem)


def test_an_unknown_metric_names_its_neighbours() -> None:
    with pytest.raises(UsageError) as caught:
        load_catalogue().get("revenue_cach")
    assert "revenue_cash" in caught.value.render("ru")


def test_a_rule_version_follows_the_rules_a_metric_declares_and_no_others() -> None:
    """One version for all would rewrite every fact when any setting changes."""
    catalogue = load_catalogue()
    stricter = replace(COMPANY, rules=Rules(successful_call_seconds=60))
    changed = {metric.key for metric in catalogue if metric.rule_version(COMPANY) != metric.rule_version(stricter)}
    assert changed == {
        "calls_successful",
        "call_connect_rate",
        "client_coverage_rate",
        "call_to_meeting_rate",
        "contacts_reached_unique",
        "lead_contact_rate",
        "lead_no_contact_rate",
        "speed_to_lead",
    }


OF_PLAN = """\
-- key: plan_gap
-- label_ru: Не хватает до плана
-- label_en: Short of the plan
-- description_ru: План минус факт.
-- description_en: Plan minus fact.
-- unit: as_fact
-- group: plan
-- evidence_class: as_fact
-- event_time: as its fact
-- credit: as_fact
-- additivity: derived
-- of: plan
-- entities: manager, team, company

SELECT metric, entity_type, entity_id, NULL AS num, NULL AS den,
    plan - fact AS value
FROM planned
"""


def test_an_own_metric_of_plans_is_computed_beside_the_built_in_ones(tmp_path: Path) -> None:
    catalogue = load_catalogue(own(tmp_path, OF_PLAN, "plan_gap.sql"))
    assert catalogue.get("plan_gap").of == "plan"
    assert "plan_gap" not in {metric.key for metric in catalogue.counted}
    check_bodies(empty_warehouse(), catalogue)


@pytest.mark.parametrize(
    ("before", "after", "line", "said"),
    [
        ("plan - fact", "plan - facts", 16, "facts"),
        (", NULL AS den", "", 15, "no column den"),
    ],
)
def test_a_broken_query_of_plans_is_told_with_the_files_own_line(
    tmp_path: Path, before: str, after: str, line: int, said: str
) -> None:
    catalogue = load_catalogue(own(tmp_path, OF_PLAN.replace(before, after), "plan_gap.sql"))
    with pytest.raises(ConfigError) as caught:
        check_bodies(empty_warehouse(), catalogue)
    (problem,) = caught.value.problems
    assert f"plan_gap.sql:{line}: " in str(problem)
    assert said in str(problem)


def test_what_is_counted_from_records_says_which_and_until_when(tmp_path: Path) -> None:
    text = OWN.replace("-- facets: calls\n-- counts_until: period\n", "").replace("class: hard", "class: as_fact")
    assert problems_of(own(tmp_path, text)) == [
        "calls_people.sql:1: no key facets",
        "calls_people.sql:1: no key counts_until",
        "calls_people.sql:8: evidence_class: as_fact goes with `of` only",
    ]


def test_a_split_by_pipeline_needs_the_deals_pipeline(tmp_path: Path) -> None:
    catalogue = load_catalogue(own(tmp_path, OWN.replace("-- facets", "-- by: pipeline\n-- facets")))
    with pytest.raises(ConfigError) as caught:
        check_bodies(empty_warehouse(), catalogue)
    assert "no column pipeline_id" in str(caught.value.problems[0])
