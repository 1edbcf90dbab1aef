"""Small relations the metrics stand on, kept up by resolve so that a month's cost doesn't follow the history.

Every row that may be credited carries `person_id` and `team` as they were at the event's moment (metrics.md 2.2);
NULL means unassigned. `local_date` is the event's day in the company's time zone and decides the period.
`excluded_by` names the rule that keeps a row out of the numbers; NULL = counted.
"""

from __future__ import annotations

from models.columns import PERSONAL, STAND_IN, day, flag, integer, money, number, relation, text, texts, utc

_CREDIT = "Person credited; NULL = unassigned."
_TEAM = "That person's team at the moment; NULL = unassigned."
_LOCAL = "Day in the company's time zone."
_PRECISION = "log, load_interval or current_owner: how surely the credit is known."

LEADS = relation(
    "calc.leads",
    "A deal's entry into a pipeline's base stage: the lead, with what was first done about it.",
    text("source", "Deal's source.", key=True),
    text("deal_id", "Deal.", key=True),
    text("pipeline_id", "Pipeline of the first stage.", key=True),
    utc("created_at", "Creation by the CRM's log, UTC."),
    day("local_date", _LOCAL),
    text("person_id", "Responsible at entry, frozen for the cohort; NULL = unassigned."),
    text("team", _TEAM),
    text("credit_precision", _PRECISION),
    utc("first_action_at", "First outbound attempt or answered inbound call since creation, UTC; NULL = none."),
    text("first_action_call_id", "That call."),
    utc("first_success_at", "First successful call since creation, UTC; NULL = none."),
    text("first_success_call_id", "That call."),
    text("call_source", "Source of the first action's call."),
    text("success_call_source", "Source of the first successful call."),
    number("action_minutes", "Working minutes from the creation to the first action, by the team's hours."),
    number("success_minutes", "Working minutes from the creation to the first successful call, by the team's hours."),
    utc("sla_ends_at", "When sla_minutes of working time run out; the last such instant, UTC."),
    text("duplicate_of", "Older deal this one duplicates."),
    text("excluded_by", "duplicate, exclusion; NULL = counted."),
)

STAGE_EVENTS = relation(
    "calc.stage_events",
    "An entry of a deal into a stage, by the log, noise dropped, in order.",
    text("source", "Deal's source.", key=True),
    text("deal_id", "Deal.", key=True),
    integer("ordinal", "Order within the deal, from 1 (the creation).", key=True),
    utc("entered_at", "Entry, UTC."),
    day("local_date", _LOCAL),
    text("pipeline_id", "Pipeline."),
    text("stage_id", "Stage."),
    text("kind", "Stage's kind in force then; NULL = not in stages.csv."),
    integer("position", "Stage's order in force then."),
    text("from_pipeline_id", "Pipeline before; NULL at creation."),
    text("from_stage_id", "Stage before; NULL at creation."),
    text("from_kind", "Kind of the stage before."),
    integer("from_position", "Order of the stage before."),
    text("user_id", "Who moved it; 0 = a robot."),
    text("event_id", "Log entry; NULL when derived from the creation."),
    text("person_id", "Responsible at the event."),
    text("team", _TEAM),
    text("credit_precision", _PRECISION),
)

STAGE_PASSES = relation(
    "calc.stage_passes",
    "The first pass of a stage by a deal: an entry to it or to any later non-lost stage. Includes paid.",
    text("source", "Deal's source.", key=True),
    text("deal_id", "Deal.", key=True),
    text("pipeline_id", "Pipeline.", key=True),
    text("stage_id", "Stage, or 'paid'.", key=True),
    text("kind", "Stage's kind, or 'paid'."),
    integer("position", "Order; paid stands behind every stage."),
    utc("passed_at", "Earliest such entry, UTC."),
    day("local_date", _LOCAL),
    utc("touched_at", "First entry to the stage itself, UTC; NULL = skipped."),
    text("person_id", "Responsible at the pass (paid: at the payment)."),
    text("team", _TEAM),
    text("entry_person_id", "Responsible at the entry to the pipeline's base, for cohorts."),
    text("entry_team", "That person's team at entry."),
    text("entry_credit_precision", "credit_precision of the responsible at entry."),
    text("credit_precision", _PRECISION),
    text("excluded_by", "duplicate, exclusion; NULL = counted."),
    flag("is_first_of_kind", "No stage of the kind stands before it among those the deal passed in the pipeline."),
    flag(
        "is_ahead",
        "Passed on an earlier day than a stage before it, or maybe so (the pipeline has several maps): who looks for "
        "what followed a pass looks at these too.",
    ),
)

KIND_TOUCHES = relation(
    "calc.kind_touches",
    "The first time a deal itself stood in a stage of a kind: one a deal and kind.",
    text("source", "Deal's source.", key=True),
    text("deal_id", "Deal.", key=True),
    text("kind", "Stage's kind.", key=True),
    text("pipeline_id", "Pipeline."),
    utc("touched_at", "First entry, UTC."),
    day("local_date", _LOCAL),
    text("person_id", "Responsible at that moment."),
    text("team", _TEAM),
    text("credit_precision", _PRECISION),
    text("excluded_by", "duplicate, exclusion; NULL = counted."),
)

TERMINAL_EVENTS = relation(
    "calc.terminal_events",
    "A deal was won, lost, deleted while open, or merged away while open.",
    text("source", "Deal's source.", key=True),
    text("deal_id", "Deal.", key=True),
    utc("occurred_at", "When, UTC.", key=True),
    text("pipeline_id", "Pipeline."),
    day("local_date", _LOCAL),
    text("outcome", "won, lost, deleted, merged."),
    utc("grace_ends_at", "Won: end of the grace_days-th working day after it, UTC; NULL for other outcomes."),
    flag("is_again", "Won once more without a loss between: no new win."),
    text("person_id", "Responsible at that moment."),
    text("team", _TEAM),
    text("credit_precision", _PRECISION),
    text("excluded_by", "duplicate, exclusion; NULL = counted."),
)

CALLS = relation(
    "calc.calls",
    "A conversation with its credit and its verdicts.",
    text("source", "Call's source.", key=True),
    text("call_id", "Call.", key=True),
    utc("started_at", "Start, UTC."),
    day("local_date", _LOCAL),
    text("direction", "in or out."),
    text("external_number", "The outside party in E.164; NULL = hidden.", personal="phone"),
    text("extension", "Extension that held it.", personal="extension"),
    text("person_id", "Person of that extension at the start; NULL = unassigned."),
    text("team", _TEAM),
    text("line_team", "Team of the line, for missed calls; NULL = unassigned."),
    integer("talk_seconds", "Talk, seconds."),
    flag("is_answered", "A person talked."),
    flag("is_attempt", "Outbound, external."),
    flag("is_successful", "Answered and longer than successful_call_seconds."),
    flag("is_missed", "Inbound, external, no answered human leg."),
    flag("is_cold", "No earlier conversation with the number."),
    text("deal_source", "The open deal of that number created last."),
    text("deal_id", "That deal."),
    text("pipeline_id", "That deal's pipeline."),
    text("excluded_by", "internal, ivr (nobody was rung), test_number, exclusion; NULL = counted."),
)

WORKING_DAYS = relation(
    "calc.working_days",
    "A working day of a team: the country's calendar with the team's hours. Working time is a difference of two sums.",
    text("team", "Team; '' = the company, and whoever has no team.", key=True),
    day("day", "Day on the team's clock.", key=True),
    utc("opens_at", "Opening, UTC."),
    utc("closes_at", "Closing, UTC; earlier on a shortened day."),
    integer("minutes_before", "Working minutes of all days before this one."),
    integer("ordinal", "Number of the day among the team's working days."),
)

MISSED_CALLS = relation(
    "calc.missed_calls",
    "A missed call and what became of it.",
    text("source", "Call's source.", key=True),
    text("call_id", "Call.", key=True),
    utc("started_at", "Start, UTC."),
    day("local_date", _LOCAL),
    text("external_number", "The outside party in E.164; NULL = hidden.", personal="phone"),
    text("line_team", "Team of the line; NULL = unassigned."),
    utc("callback_ends_at", "When callback_minutes of working time run out, by the team's hours, UTC."),
    utc("called_back_at", "First attempt to the number, or answered call from it, afterwards, UTC; NULL = none."),
    text("excluded_by", "ivr, test_number, exclusion, repeat_missed; NULL = counted."),
)

CALL_NOTES = relation(
    "calc.call_notes",
    "A call note in a CRM with the telephony's call it speaks of.",
    text("source", "Note's source.", key=True),
    text("activity_id", "Note.", key=True),
    utc("occurred_at", "Time of the note, UTC."),
    day("local_date", _LOCAL),
    text("person_id", "Its author; NULL = unassigned."),
    text("team", _TEAM),
    text("call_source", "Source of the call: same number, start within 5 minutes, duration within 10 %."),
    text("call_id", "That call; NULL = telephony has none."),
)

STAGE_TIMES = relation(
    "calc.stage_times",
    "An exit of a deal from a stage with the working time it has stood there.",
    text("source", "Deal's source.", key=True),
    text("deal_id", "Deal.", key=True),
    utc("left_at", "Exit, UTC.", key=True),
    day("local_date", _LOCAL),
    text("pipeline_id", "Pipeline."),
    text("stage_id", "Stage."),
    text("kind", "Stage's kind."),
    number("hours", "Working hours of this visit."),
    number("total_hours", "Working hours of this and all earlier visits to the stage."),
    text("person_id", "Responsible at the exit."),
    text("team", _TEAM),
    text("credit_precision", _PRECISION),
    text("excluded_by", "duplicate, exclusion; NULL = counted."),
)

MILESTONES = relation(
    "calc.milestones",
    "Points for the first pass of a stage of milestones.csv, and the same points taken back.",
    text("source", "Deal's source.", key=True),
    text("deal_id", "Deal.", key=True),
    text("pipeline_id", "Pipeline.", key=True),
    text("stage_id", "Stage.", key=True),
    text("moment", "pass; clawback: the deal was lost, deleted or merged within clawback_days.", key=True),
    utc("occurred_at", "When, UTC."),
    day("local_date", _LOCAL),
    number("points", "Weight of the stage; negative when taken back."),
    text("person_id", "Responsible at the pass."),
    text("team", _TEAM),
    text("credit_precision", _PRECISION),
    text("excluded_by", "duplicate, exclusion; NULL = counted."),
)

OPEN_DEALS = relation(
    "calc.open_deals",
    "A deal was open, with one stage, amount, responsible person and team, from when until when.",
    text("source", "Deal's source.", key=True),
    text("deal_id", "Deal.", key=True),
    utc("valid_from", "From, inclusive, UTC.", key=True),
    utc("valid_to", "Until, exclusive, UTC; infinity = still."),
    text("pipeline_id", "Pipeline."),
    text("stage_id", "Stage."),
    text("kind", "Stage's kind; NULL = not in stages.csv."),
    utc("entered_at", "Entry into that stage, UTC."),
    day("entered_on", "Its day in the company's time zone."),
    text("entry_team", "Team of the responsible then, by whose hours the stage's age counts; NULL = unassigned."),
    money("amount", "Amount in the CRM then, in the company's currency; declared, not paid."),
    text("person_id", "Responsible then; NULL = unassigned."),
    text("team", _TEAM),
    text("credit_precision", _PRECISION),
    text("excluded_by", "duplicate, exclusion; NULL = counted."),
)

STAGE_ODDS = relation(
    "calc.stage_odds",
    "How likely a deal of a stage is to be paid, in a month: by the twelve months before it, else as configured.",
    text("source", "Source's name.", key=True),
    text("pipeline_id", "Pipeline.", key=True),
    text("stage_id", "Stage.", key=True),
    utc("valid_from", "Beginning of the month, UTC.", key=True),
    utc("valid_to", "End of the month, exclusive, UTC."),
    integer("closed", "Deals that passed the stage and ended in those twelve months."),
    integer("paid", "Those of them that were paid before the month."),
    number("probability", "paid / closed where at least 30 closed, else probabilities.csv; NULL = neither."),
    text("origin", "own or configured."),
)

PAYMENTS = relation(
    "calc.payments",
    "A part of a payment with its credit: one row an allocation, or the unmatched rest.",
    text("source", "Payment's source.", key=True),
    text("payment_id", "Payment.", key=True),
    text("deal_source", "Deal's source; '' = unmatched.", key=True),
    text("deal_id", "Deal; '' = unmatched.", key=True),
    text("pipeline_id", "Pipeline the deal stood in then (a refund: at the payment it returns)."),
    day("local_date", "Day of posting."),
    utc("occurred_at", "End of that day (23:59:59 local), UTC."),
    money("amount", "Amount in the company's currency; a refund is negative."),
    flag("is_refund", "Money that went back to the customer."),
    text("match_rule", "Rule that tied it to the deal; NULL = unmatched."),
    text("person_id", "Responsible at the payment (a refund: at the payment it returns)."),
    text("team", _TEAM),
    text("credit_precision", _PRECISION),
    text("excluded_by", "own_transfer, other, other_channel, no_rate, deleted, exclusion; NULL = counted."),
    text("same_as_source", "For other_channel: source of the counted copy of the same money."),
    text("same_as_payment_id", "That copy."),
)

PAID_DEALS = relation(
    "calc.paid_deals",
    "A deal became paid (+1), or was fully refunded (-1).",
    text("source", "Deal's source.", key=True),
    text("deal_id", "Deal.", key=True),
    integer("ordinal", "Order within the deal, from 1.", key=True),
    text("pipeline_id", "Pipeline the deal stood in then (-1: when it became paid)."),
    day("local_date", "Day of the payment that decided it."),
    utc("occurred_at", "End of that day (23:59:59 local), UTC."),
    integer("sign", "1 = became paid, -1 = fully refunded."),
    text("payment_source", "Source of the deciding payment."),
    text("payment_id", "The deciding payment."),
    money("due", "Amount that had to be reached, in the company's currency."),
    text("due_origin", "order, deal_log, deal."),
    text("person_id", "Responsible at that payment."),
    text("team", _TEAM),
    text("credit_precision", _PRECISION),
)

SPLIT_SHARES = relation(
    "calc.split_shares",
    "A share of a split credit (splits.csv). Where a deal is divided, person_id of calc relations is its credit_id.",
    text("credit_id", "The split, from one change of shares or teams to the next.", key=True),
    text("person_id", "Person.", key=True),
    text("source", "Deal's source."),
    text("deal_id", "Deal."),
    utc("valid_from", "From, inclusive, UTC; until the deal's next split or change."),
    text("team", "That person's team from then on; NULL = unassigned."),
    number("share", "Share; the shares of a split sum to 1."),
    integer("place", "Order within the split, the largest share first, from 1."),
    texts("billionths", "All shares of the split in that order, in whole billionths."),
)

ORDER_DEALS = relation(
    "calc.order_deals",
    "The deal of an order or invoice of accounting: as accounting was told, by a shared id, or by a printed number.",
    text("source", "Document's source.", key=True),
    text("order_id", "Order or invoice.", key=True),
    text("deal_source", "Deal's source.", key=True),
    text("deal_id", "Deal.", key=True),
    text("number_key", "Its printed number as it is compared.", personal="number"),
    day("issued_on", "Its date."),
)

PERIODS = relation(
    "calc.periods",
    "A computed period as the metrics of one basis see it; what facts.kpi_evidence is cut by.",
    text("period", "Period.", key=True),
    text("basis", "Facets a metric stands on (? = where loaded), and how long its records count.", key=True),
    day("starts_on", "First local day, inclusive."),
    day("ends_on", "First local day after it."),
    utc("starts_at", "Start of starts_on in the company's time zone, UTC."),
    utc("ends_at", "Start of ends_on in the company's time zone, UTC."),
    utc("as_of", "Until when records count, UTC, exclusive."),
    texts("covered", "Facets of the basis that are loaded: crm, calls, money."),
)

PAYMENT_NUMBERS = relation(
    "calc.payment_numbers",
    "A document's number named in a payment's purpose; kept so that history is read once.",
    text("source", "Payment's source.", key=True),
    text("payment_id", "Payment.", key=True),
    integer("ordinal", "Order in the text, from 1; 0 = the purpose was read, with its digest.", key=True),
    text("role", "read, invoice, contract, order, payment_order, tax_id."),
    text("number_key", "Number as it is compared, or a taxpayer id.", personal="number"),
    text("short_key", "Number without prefix and leading zeros.", personal="number"),
    day("issued_on", "Date beside the number."),
    text("digest", "Digest of the purpose and of the reader's rules."),
)

NUMBER_KEYS = relation(
    "calc.number_keys",
    "How a document's printed number is compared.",
    text("number", "Number as written in the CRM or in accounting.", key=True, personal="number"),
    text("number_key", "Normalised.", personal="number"),
    text("short_key", "Without prefix and leading zeros.", personal="number"),
    text("digest", "Digest of the reader's rules."),
)

MATCH_CANDIDATES = relation(
    "calc.match_candidates",
    "A deal an unmatched payment may belong to: a person must confirm (voronka match list).",
    text("source", "Payment's source.", key=True),
    text("payment_id", "Payment.", key=True),
    text("deal_source", "Deal's source.", key=True),
    text("deal_id", "Deal.", key=True),
    text(
        "rule",
        "Strongest evidence: order_id, invoice_number, contract_number, tax_id_amount (ambiguous or "
        "unconfirmed), tax_id_only, amount_only.",
    ),
)

TIES = relation(
    "calc.ties",
    "What a record is tied to others by, as resolve last saw it: records that share a tie are resolved together.",
    integer("owner", "Hash of the record's kind, source and id.", key=True),
    text("kind", "record; contact or part: an entry of a list; asks: an amount asked for.", key=True),
    integer("tie", "Hash of a phone, number, taxpayer id or other record.", key=True),
)
# The hash of a phone is found by trying all phones; nobody who reads a published file resolves anything.
TIES.c.tie.info |= {PERSONAL: "number", STAND_IN: "CAST(hash(uuid()) >> 1 AS BIGINT)"}
