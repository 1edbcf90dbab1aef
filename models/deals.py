"""Deals, their log, owners, contacts, stays in stages, and other records of a CRM."""

from __future__ import annotations

from models.columns import core, day, flag, integer, money, text, texts, tombstone, utc

DEALS = core(
    "core.deals",
    "A deal as last seen. Editable fields: shown, never counted.",
    text("deal_id", "Deal's id at the source.", key=True),
    text("pipeline_id", "Pipeline the deal is in."),
    text("stage_id", "Stage the deal is in; unique only together with pipeline_id."),
    text("owner_id", "Responsible user's id at the source."),
    text("person_id", "Person responsible now (people.csv), by identities.csv."),
    text("company_id", "Company linked at the source."),
    text("title", "Title.", personal="text"),
    money("amount", "Amount in the CRM, in currency; declared, not paid."),
    text("currency", "ISO 4217 code."),
    utc("created_at", "Creation time by the editable field, UTC; facts use the log's."),
    utc("updated_at", "Last change at the source, UTC."),
    utc("closed_at", "Closing time as the source states it, UTC."),
    day("planned_close_on", "Day the CRM's card expects an open deal to close on; NULL = closed, or no such field."),
    text("loss_reason", "Loss reason's name."),
    text("lead_source", "Where the lead came from, as the source names it."),
    text("lead_id", "Lead of core.leads it was converted from; NULL = none, or the source has no leads apart."),
    text("invoice_number", "Invoice number from the field named in the configuration.", personal="number"),
    text("contract_number", "Contract number from the field named in the configuration.", personal="number"),
    text("order_id", "Internal id of the order or invoice in accounting, from the field named in the configuration."),
    text("tax_id", "Taxpayer id from the field named in the configuration.", personal="number"),
    text("url", "Link to the deal's card."),
    *tombstone(),
)

DEAL_EVENTS = core(
    "core.deal_events",
    "An entry of the CRM's own log, or a change found between two loads.",
    text("event_id", "Entry's id at the source.", key=True),
    text("deal_id", "Deal it is about.", required=True),
    text("event_type", "created, stage, owner, amount, close_date, deleted, restored, merged, or the source's own."),
    utc("occurred_at", "When it happened, UTC."),
    text("from_value", "Value before: stage id, owner id, amount or day."),
    text("to_value", "Value after: stage id, owner id, amount or day."),
    text("from_pipeline_id", "Pipeline before, for a stage entry."),
    text("pipeline_id", "Pipeline after, for a stage entry."),
    text("stage_id", "Stage after, for a stage entry."),
    text("user_id", "Who did it: user id at the source, 0 for a robot."),
    text("person_id", "Who did it, as a person (people.csv) at that moment."),
    text("precision", "log: an entry of the vendor's log; load_interval: found by comparing loads."),
)

DEAL_CONTACTS = core(
    "core.deal_contacts",
    "A contact linked to a deal, as last seen.",
    text("deal_id", "Deal.", key=True),
    text("contact_id", "Contact.", key=True),
    flag("is_main", "The deal's main contact."),
)

DEAL_OWNERS = core(
    "core.deal_owners",
    "Who was responsible for a deal, from when until when; built from the log.",
    text("deal_id", "Deal.", key=True),
    utc("valid_from", "From, inclusive, UTC.", key=True),
    utc("valid_to", "Until, exclusive, UTC; NULL = still."),
    text("owner_id", "Responsible user's id at the source."),
    text("person_id", "Person, by identities.csv at valid_from; NULL = nobody's."),
    text("precision", "log, load_interval, or current_owner where no change was ever logged."),
)

DEAL_STAGE_VISITS = core(
    "core.deal_stage_visits",
    "A stay of a deal in a stage; built from the log.",
    text("deal_id", "Deal.", key=True),
    utc("entered_at", "Entry, UTC.", key=True),
    text("pipeline_id", "Pipeline."),
    text("stage_id", "Stage."),
    utc("left_at", "Exit, UTC; NULL = still there."),
    text("outcome", "advanced, lost, moved_back, handed_off, merged, deleted, or open (still there)."),
    text("person_id", "Person responsible at entry."),
)

CONTACTS = core(
    "core.contacts",
    "A person in a CRM.",
    text("contact_id", "Contact's id at the source.", key=True),
    text("name", "Name.", personal="name"),
    texts("phones", "Phones in E.164, as last seen.", personal="phone"),
    texts("emails", "E-mail addresses in lower case, as last seen.", personal="email"),
    text("company_id", "Company linked at the source."),
    text("owner_id", "Responsible user's id at the source."),
    text("tax_id", "Taxpayer id.", personal="number"),
    utc("created_at", "Creation, UTC."),
    utc("updated_at", "Last change, UTC."),
    *tombstone(),
)

COMPANIES = core(
    "core.companies",
    "A firm in a CRM.",
    text("company_id", "Company's id at the source.", key=True),
    text("name", "Name.", personal="name"),
    texts("phones", "Phones in E.164, as last seen.", personal="phone"),
    texts("emails", "E-mail addresses in lower case, as last seen.", personal="email"),
    text("owner_id", "Responsible user's id at the source."),
    text("tax_id", "Taxpayer id.", personal="number"),
    utc("created_at", "Creation, UTC."),
    utc("updated_at", "Last change, UTC."),
    *tombstone(),
)

CONTACT_PHONES = core(
    "core.contact_phones",
    "A phone of a contact as seen: a number added after a call never links to that call.",
    text("contact_id", "Contact.", key=True),
    text("phone", "Phone in E.164.", key=True, personal="phone"),
    utc("first_seen_at", "From when the contact had it: its creation for the first loaded version, else updated_at."),
    utc("last_seen_at", "updated_at of the last version that showed it, UTC."),
)

ACTIVITIES = core(
    "core.activities",
    "A meeting, task, call note, e-mail or offer in a CRM.",
    text("activity_id", "Activity's id at the source, with its kind in front.", key=True),
    text("activity_type", "meeting, task, call_note, email, offer."),
    text("deal_id", "Deal it hangs on."),
    text("contact_id", "Contact it hangs on."),
    text("company_id", "Company it hangs on."),
    text("user_id", "User's id at the source."),
    text("person_id", "Person, by identities.csv at occurred_at."),
    utc("occurred_at", "When, UTC."),
    integer("duration_seconds", "Duration, seconds."),
    text("phone", "The other party's phone in E.164.", personal="phone"),
    text("direction", "in or out, for a call note."),
    text("call_id", "Telephony's call id as the note states it."),
    flag("is_completed", "Done."),
    *tombstone(),
)
