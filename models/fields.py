"""Fields a company has added to its CRM, and what records hold in them.

Names of such fields repeat, change and hold any character, so they never become columns: a definition is a row, a
value is a row, and an analyst joins the two by `field_id`.
"""

from __future__ import annotations

from models.columns import core, day, exact, flag, integer, text, utc

CUSTOM_FIELDS = core(
    "core.custom_fields",
    "A field the company added to deals, contacts, companies or invoices of its CRM.",
    text("field_id", "Field's id at the source, with the kind of record in front: deal-501.", key=True),
    text("entity_type", "Kind of record it belongs to: deal, contact, company, invoice."),
    text("name", "Name, as people see it today."),
    text("code", "The source's code of a field it knows itself (PHONE, UTM_SOURCE); NULL for the company's own."),
    text("field_type", "The source's name of the type."),
    integer("position", "Place in the card."),
    text("currency", "ISO 4217 code of a field that holds money."),
    flag("is_removed", "No longer at the source; old values still point at it."),
)

CUSTOM_FIELD_OPTIONS = core(
    "core.custom_field_options",
    "A choice of a list field, with its name of today.",
    text("field_id", "Field.", key=True),
    text("option_id", "Option's id at the source.", key=True),
    text("name", "Name of today; a value keeps the name it was read with."),
    text("code", "The source's code of the option."),
    integer("position", "Place in the list."),
    text("parent_option_id", "Option above it, in a tree."),
    flag("is_removed", "No longer at the source; old values still point at it."),
)

CUSTOM_FIELD_VALUES = core(
    "core.custom_field_values",
    "One value of a custom field of a record, as last seen. A field with several values has several rows.",
    text("entity_type", "Kind of record: deal, contact, company, invoice.", key=True),
    text("record_id", "Record: deal_id, contact_id, company_id or invoice_id.", key=True),
    text("field_id", "Field, of core.custom_fields.", key=True),
    integer("position", "Place among the field's values, from 0.", key=True),
    text("text_value", "As a person reads it; for a list field the option's name.", personal="text"),
    exact("number_value", "The number, where the field holds one; a tick is 1, its removal 0."),
    day("day_value", "The day, where the field holds one, in the account's own time zone."),
    utc("time_value", "The instant, where the field holds one, UTC."),
    text("option_id", "Option of a list field, of core.custom_field_options; element of a chained list."),
    text("option_code", "The source's code of the option: WORK, MOB, paid."),
    text("details", "JSON of a value that has parts: a legal entity, an invoice's item, a file.", personal="text"),
)
