"""All counts by the names of their metrics."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from statistics import median

from tests.truth.accounting import (
    client_coverage_rate,
    customer_retention_rate,
    customers_returned,
    forecast_weighted,
    gross_margin,
    margin_rate,
    milestones_passed,
    new_customer_revenue,
    overdue_share,
    pipeline_velocity,
    pipeline_weighted,
    revenue_accrual,
    velocity_of,
)
from tests.truth.activity import (
    call_connect_rate,
    calls_attempted,
    calls_successful,
    calls_successful_cold,
    calls_successful_in,
    contacts_reached_unique,
    lead_contact_rate,
    lead_no_contact_rate,
    lead_sla_rate,
    leads_new,
    leads_processed,
    missed_call_rate,
    missed_callback_rate,
    speed_to_contact,
    speed_to_lead,
)
from tests.truth.counting import NOBODY, NONE, Metric, Part, Question
from tests.truth.results import (
    avg_check,
    backward_move_rate,
    call_to_meeting_rate,
    crm_call_confirmation_rate,
    deals_paid,
    meeting_to_offer_rate,
    meetings_held,
    new_customers,
    offer_to_payment_rate,
    offers_sent,
    pipeline_amount,
    pipeline_open,
    qualified_to_paid_rate,
    refund_rate,
    repeat_deal_share,
    revenue_cash,
    sales_cycle_days,
    stage_age,
    stage_conversion_cohort,
    stage_conversion_period,
    stage_skip_rate,
    time_in_stage,
    win_rate,
    won_payment_confirmation_rate,
)

SUMS: tuple[Metric, ...] = (
    *(leads_new, leads_processed, calls_attempted, calls_successful, meetings_held, offers_sent),
    *(deals_paid, revenue_cash, new_customers, pipeline_open, pipeline_amount, revenue_accrual, gross_margin),
    *(new_customer_revenue, customers_returned, milestones_passed, pipeline_weighted, forecast_weighted),
)
RATIOS: tuple[Metric, ...] = (
    *(lead_contact_rate, lead_no_contact_rate, lead_sla_rate, call_connect_rate, missed_call_rate),
    *(missed_callback_rate, call_to_meeting_rate, meeting_to_offer_rate, offer_to_payment_rate),
    *(stage_conversion_cohort, stage_conversion_period, qualified_to_paid_rate, win_rate, stage_skip_rate),
    *(backward_move_rate, avg_check, refund_rate, repeat_deal_share, won_payment_confirmation_rate),
    *(crm_call_confirmation_rate, margin_rate, customer_retention_rate, client_coverage_rate, overdue_share),
)
Count = tuple[float, float]  # numerator and denominator; a median's value, and nothing


def _sum(parts: list[Part]) -> Count:
    return float(sum(part.num for part in parts)), float(sum(part.den or NONE for part in parts))


def _distinct(parts: list[Part]) -> Count:
    return float(len({part.key for part in parts})), 0.0


def _median(parts: list[Part]) -> Count:
    return median([float(part.num) for part in parts]), 0.0


# Metric, with its variant behind a stroke: how it is counted, and how counts become one number.
METRICS: dict[str, tuple[Metric, Callable[[list[Part]], Count]]] = {
    **{metric.__name__: (metric, _sum) for metric in (*SUMS, *RATIOS)},
    "calls_successful/direction=in": (calls_successful_in, _sum),
    "calls_successful/cold": (calls_successful_cold, _sum),
    "contacts_reached_unique": (contacts_reached_unique, _distinct),
    "speed_to_lead": (speed_to_lead, _median),
    "speed_to_lead/target=contact": (speed_to_contact, _median),
    "time_in_stage": (time_in_stage, _median),
    "stage_age": (stage_age, _median),
    "sales_cycle_days": (sales_cycle_days, _median),
    "pipeline_velocity": (pipeline_velocity, velocity_of),
}
LESS_IS_BETTER = ("speed_to_lead",)


def answer(q: Question, name: str) -> dict[tuple[str, str], Count]:
    """The count for every entity with a record: company, teams, managers, `unassigned` among them."""
    metric, fold = METRICS[name]
    groups: dict[tuple[str, str], list[Part]] = defaultdict(list)
    for part in metric(q):
        groups["company", "company"].append(part)
        groups["team", part.team or q.truth.teams.get(part.person, NOBODY)].append(part)
        if part.team is None:
            groups["manager", part.person or NOBODY].append(part)
    return {entity: fold(parts) for entity, parts in groups.items()}


def answer_plan(q: Question, name: str) -> dict[tuple[str, str], Count]:
    """Attainment of every plan of a metric (41)."""
    found: dict[tuple[str, str], Count] = {}
    told = answer(q, name)
    for (metric, *entity), plan in q.truth.papers.plans.items():
        fact = told.get((entity[0], entity[1])) if metric == name else None
        value = _value(name, fact) if fact else 0.0
        if value:
            attained = float(plan) / value if name in LESS_IS_BETTER else value / float(plan)
            found[entity[0], entity[1]] = (attained, 0.0)
    return found


def answer_forecast(q: Question, name: str) -> dict[tuple[str, str], Count]:
    """The fact of a month that is over (42): of a sum with or without a plan, of a ratio beside its plan only."""
    is_sum = METRICS[name][0] in SUMS
    return {
        entity: (_value(name, fact), 0.0)
        for entity, fact in answer(q, name).items()
        if is_sum or (name, *entity) in q.truth.papers.plans
    }


def _value(name: str, fact: Count) -> float:
    num, den = fact
    if METRICS[name][0] not in RATIOS:
        return num
    return num / den if den else 0.0
