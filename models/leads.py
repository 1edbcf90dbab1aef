"""Leads of a CRM that has them apart from deals (Bitrix24), and the stage history of records that are no deals.

A lead is not put among the deals: when it is converted a deal is made beside it, and both in one relation would count
one customer's request twice (metrics.md 4.1, metric 1), stand open in the pipeline for ever (a converted lead is no
sale) and offer a second candidate for the same payment. `core.deals.lead_id` says which deals came of a lead.
"""

from __future__ import annotations

from models.columns import core, money, text, texts, tombstone, utc

LEADS = core(
    "core.leads",
    "A lead as last seen: a request that may become a deal (core.deals.lead_id). Editable: shown, never counted.",
    text("lead_id", "Lead's id at the source.", key=True),
    text("title", "Title.", personal="text"),
    text("status_id", "Status at the source."),
    text("status", "Status by name."),
    text("outcome", "open, converted or junk, by the source's own meaning of the status."),
    text("owner_id", "Responsible user's id at the source."),
    text("contact_id", "Contact linked at the source."),
    text("company_id", "Company linked at the source."),
    text("name", "Person's name as typed into the lead.", personal="name"),
    text("company_name", "Firm's name as typed into the lead.", personal="name"),
    texts("phones", "Phones in E.164, as last seen.", personal="phone"),
    texts("emails", "E-mail addresses in lower case, as last seen.", personal="email"),
    money("amount", "Amount in the CRM, in currency; declared."),
    text("currency", "ISO 4217 code."),
    text("lead_source", "Where the lead came from, as the source names it."),
    utc("created_at", "Creation, UTC."),
    utc("updated_at", "Last change, UTC."),
    utc("closed_at", "When it was converted or given up, UTC; NULL = open."),
    text("url", "Link to the lead's card."),
    *tombstone(),
)

RECORD_EVENTS = core(
    "core.record_events",
    "An entry of a CRM's stage history of leads, invoices and the portal's own kinds of records; deals' are in"
    " core.deal_events.",
    text("event_id", "Entry's id at the source, with the kind of record in front.", key=True),
    text("record_type", "lead, invoice, or process-N: the portal's own kind N."),
    text("record_id", "Record it is about; of core.leads or core.invoices for these kinds."),
    text("event_type", "created or stage."),
    utc("occurred_at", "When, UTC."),
    text("pipeline_id", "Pipeline after; NULL for leads, which have none."),
    text("stage_id", "Stage or status after."),
    text("outcome", "What the source says the stage means: open, won or lost."),
)
