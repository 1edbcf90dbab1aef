"""Facts: numbers with their parts, and what they were computed with. `facts.kpi_evidence` is a view (metrics/)."""

from __future__ import annotations

from models.columns import day, exact, flag, integer, money, number, relation, text, utc

KPI = relation(
    "facts.kpi",
    "A metric of an entity in a period, as of the latest computation.",
    text("period", "2026-11, 2026-Q4, 2026-W47, 2026-11-16.", key=True),
    text("metric", "Metric's key (voronka metrics).", key=True),
    text("variant", "Form of the metric; '' = plain.", key=True),
    text("pipeline", "Pipeline's id; '' = all.", key=True),
    text("entity_type", "manager, team, company.", key=True),
    text("entity_id", "Person's id, team's name, company, or unassigned.", key=True),
    text(
        "entity_name",
        "Name to show.",
        personal="name",
        stand_in="CASE entity_type WHEN 'manager' THEN entity_id ELSE entity_name END",
    ),
    exact("num", "Numerator; for additive metrics the value itself."),
    exact("den", "Denominator; NULL for additive metrics."),
    number("value", "num / den, or num; NULL when den is 0."),
    text("unit", "leads, calls, deals, money, ratio, …"),
    text("currency", "ISO 4217 code, for money."),
    text("evidence_class", "hard, logged, declared, input."),
    text("additivity", "additive, ratio, distinct, distribution, snapshot."),
    utc("as_of", "Until when records were counted, UTC, exclusive."),
    text("rule_version", "Digest of the metric's rule and of the settings it uses."),
    text("input_version", "Digest of the input files in force."),
    text("credit_precision", "log, load_interval or current_owner: the weakest credit in this number."),
)

DEAL_PAYMENTS = relation(
    "facts.deal_payments",
    "The payment status of a deal, from accounting.",
    text("source", "Deal's source.", key=True),
    text("deal_id", "Deal.", key=True),
    money("due", "Order amount in accounting, else the CRM's amount as it stood at the first payment."),
    money("paid", "Payments minus refunds."),
    money("remaining", "What is still due; never negative."),
    text("status", "unpaid, partial, paid, refunded."),
    day("first_paid_on", "Day of the first payment."),
    day("paid_on", "Day the deal became paid."),
    text("due_origin", "order: accounting; deal_log, deal: the CRM."),
    text("currency", "ISO 4217 code."),
)

FUNNEL = relation(
    "facts.funnel",
    "A step of a funnel: from a stage to any later one or to paid.",
    text("period", "Period.", key=True),
    text("form", "cohort or period.", key=True),
    text("source", "Deal's source.", key=True),
    text("pipeline_id", "Pipeline.", key=True),
    text("from_stage", "Stage's id.", key=True),
    text("to_stage", "Stage's id, or paid.", key=True),
    text("entity_type", "manager, team, company.", key=True),
    text("entity_id", "Person's id, team's name, company, or unassigned.", key=True),
    exact("num", "Deals that passed to_stage."),
    exact("den", "Deals that passed from_stage."),
    number("value", "num / den; the period form may exceed 1."),
    exact("touched", "Cohort form: deals of it that stood in to_stage itself; a skipped stage is passed, not touched."),
    exact("strict", "Cohort form: deals of it that stood in every stage from from_stage to to_stage, in order."),
    number("maturity", "Cohort form: share of the cohort with a terminal outcome; under 0.8 is immature."),
    text("from_name", "Stage's name."),
    text("to_name", "Stage's name."),
    utc("as_of", "Until when records were counted, UTC, exclusive."),
)

PLAN_FACT = relation(
    "facts.plan_fact",
    "Plan against fact and forecast.",
    text("period", "Period.", key=True),
    text("metric", "Metric's key.", key=True),
    text("entity_type", "manager, team, company.", key=True),
    text("entity_id", "Person's id, team's name, or company.", key=True),
    number("plan", "Plan."),
    number("fact", "Fact."),
    number("attainment", "fact / plan, not rounded; NULL without a plan or with plan 0."),
    number("forecast", "Run-rate by working days; ratios keep their present value; NULL for snapshots."),
    utc("as_of", "Until when records were counted, UTC, exclusive."),
)

STAGE_LEDGER = relation(
    "facts.stage_ledger",
    "Entries into a stage in a period and what became of them; the seven outcomes add up to the entries.",
    text("period", "Period.", key=True),
    text("source", "Deals' source.", key=True),
    text("pipeline_id", "Pipeline.", key=True),
    text("stage_id", "Stage.", key=True),
    text("stage_name", "Stage's name."),
    integer("entries", "Entries into the stage in the period, repeated ones too."),
    integer("advanced", "Left for a later stage."),
    integer("lost", "Left for lost."),
    integer("moved_back", "Left for an earlier stage."),
    integer("handed_off", "Left for another pipeline."),
    integer("merged", "Merged into another deal."),
    integer("deleted", "Deleted."),
    integer("still_there", "Still there when records end."),
    utc("as_of", "Until when records were counted, UTC, exclusive."),
)

FLAGS = relation(
    "facts.flags",
    "An integrity flag. A flag never changes a fact by itself.",
    text("period", "Period.", key=True),
    text("flag", "I-01 … I-16.", key=True),
    text("source", "Record's source.", key=True),
    text("record_id", "Record's id.", key=True),
    text("record_type", "deal, call, payment, activity."),
    text("person_id", "Person it concerns."),
    utc("occurred_at", "When, UTC."),
    text("detail", "What was found, in words."),
    text("deal_source", "Source of the deal to open, where there is one."),
    text("deal_id", "That deal."),
)

PAYOUTS = relation(
    "facts.payouts",
    "A line of pay.",
    text("period", "Period.", key=True),
    text("person_id", "Person.", key=True),
    text("scheme", "Pay scheme.", key=True),
    text("component", "Component of the scheme.", key=True),
    number("attainment", "Attainment the component was computed with."),
    money("base", "Base amount."),
    money("amount", "Amount."),
    text("mode", "shadow, pilot, live."),
    flag("is_adjustment", "Belongs to an earlier, closed period."),
)
