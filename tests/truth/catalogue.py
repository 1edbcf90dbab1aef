"""All counts by the names of their metrics."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from statistics import median

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
    stage_conversion_cohort,
    stage_conversion_period,
    stage_skip_rate,
    time_in_stage,
    win_rate,
    won_payment_confirmation_rate,
)

SUMS: tuple[Metric, ...] = (
    *(leads_new, leads_processed, calls_attempted, calls_successful, meetings_held, offers_sent),
    *(deals_paid, revenue_cash, new_customers, pipeline_open, pipeline_amount),
)
RATIOS: tuple[Metric, ...] = (
    *(lead_contact_rate, lead_no_contact_rate, lead_sla_rate, call_connect_rate, missed_call_rate),
    *(missed_callback_rate, call_to_meeting_rate, meeting_to_offer_rate, offer_to_payment_rate),
    *(stage_conversion_cohort, stage_conversion_period, qualified_to_paid_rate, win_rate, stage_skip_rate),
    *(backward_move_rate, avg_check, refund_rate, repeat_deal_share, won_payment_confirmation_rate),
    crm_call_confirmation_rate,
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
    "sales_cycle_days": (sales_cycle_days, _median),
}


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
