"""The portal's lists of records, as data: what is asked of each, and by which time its records change.

Fields are named, never masked: an explicit list is several times cheaper for the server than `*`, and some fields
(phones, mails, communications) come only when they are named.
"""

from __future__ import annotations

from connectors.bitrix24.listing import Listing

# Types of records of the universal methods (`entityTypeId`).
LEAD, DEAL, CONTACT, COMPANY, QUOTE, INVOICE = 1, 2, 3, 4, 7, 31

_UTM = ("UTM_SOURCE", "UTM_MEDIUM", "UTM_CAMPAIGN", "UTM_CONTENT", "UTM_TERM")
_PARTY = ("NAME", "SECOND_NAME", "LAST_NAME", "SOURCE_ID", "ASSIGNED_BY_ID", "DATE_CREATE", "DATE_MODIFY")
_MULTIFIELDS = ("PHONE", "EMAIL")

DEALS = Listing(
    method="crm.deal.list",
    time_field="DATE_MODIFY",
    select=(
        *("ID", "TITLE", "TYPE_ID", "CATEGORY_ID", "STAGE_ID", "STAGE_SEMANTIC_ID", "OPPORTUNITY", "CURRENCY_ID"),
        *("IS_MANUAL_OPPORTUNITY", "TAX_VALUE", "LEAD_ID", "COMPANY_ID", "CONTACT_ID", "QUOTE_ID", "BEGINDATE"),
        *("CLOSEDATE", "ASSIGNED_BY_ID", "CREATED_BY_ID", "MODIFY_BY_ID", "MOVED_BY_ID", "DATE_CREATE", "DATE_MODIFY"),
        *("MOVED_TIME", "CLOSED", "IS_RECURRING", "IS_RETURN_CUSTOMER", "SOURCE_ID", "ORIGINATOR_ID", "ORIGIN_ID"),
        *_UTM,
    ),
)
# The classic list tells a deal's first contact only.
DEAL_CONTACTS = Listing(
    method="crm.item.list",
    id_field="id",
    time_field="updatedTime",
    rows_key="items",
    params={"entityTypeId": DEAL},
    select=("id", "contactId", "contactIds", "updatedTime"),
    user_fields=False,
    stops_at_garbage=True,
)
# The same from a box without the universal methods: at least the first contact.
FIRST_CONTACTS = Listing(
    method="crm.deal.list", time_field="DATE_MODIFY", select=("ID", "CONTACT_ID", "DATE_MODIFY"), user_fields=False
)
CONTACTS = Listing(
    method="crm.contact.list",
    time_field="DATE_MODIFY",
    select=("ID", *_PARTY, "POST", "TYPE_ID", "COMPANY_ID", "LEAD_ID", "ORIGINATOR_ID", "ORIGIN_ID", *_MULTIFIELDS),
)
COMPANIES = Listing(
    method="crm.company.list",
    time_field="DATE_MODIFY",
    select=(
        *("ID", "TITLE", "COMPANY_TYPE", "INDUSTRY", "REVENUE", "CURRENCY_ID", "IS_MY_COMPANY", "LEAD_ID"),
        *("ASSIGNED_BY_ID", "DATE_CREATE", "DATE_MODIFY", "ORIGINATOR_ID", "ORIGIN_ID", *_MULTIFIELDS),
    ),
)
LEADS = Listing(
    method="crm.lead.list",
    time_field="DATE_MODIFY",
    select=(
        *("ID", "TITLE", "STATUS_ID", "STATUS_SEMANTIC_ID", "DATE_CLOSED", "OPPORTUNITY", "CURRENCY_ID", *_PARTY),
        *("COMPANY_TITLE", "COMPANY_ID", "CONTACT_ID", "CREATED_BY_ID", *_UTM, *_MULTIFIELDS),
    ),
)
ACTIVITIES = Listing(
    method="crm.activity.list",
    time_field="LAST_UPDATED",
    prefix="activity-",
    user_fields=False,
    select=(
        *("ID", "OWNER_ID", "OWNER_TYPE_ID", "TYPE_ID", "PROVIDER_ID", "PROVIDER_TYPE_ID", "SUBJECT", "CREATED"),
        *("LAST_UPDATED", "START_TIME", "END_TIME", "DEADLINE", "COMPLETED", "STATUS", "DIRECTION", "RESPONSIBLE_ID"),
        *("AUTHOR_ID", "ORIGIN_ID", "ASSOCIATED_ENTITY_ID", "COMMUNICATIONS"),
    ),
)
QUOTES = Listing(
    method="crm.quote.list",
    time_field="DATE_MODIFY",
    prefix="quote-",
    select=(
        *("ID", "TITLE", "QUOTE_NUMBER", "STATUS_ID", "OPPORTUNITY", "CURRENCY_ID", "LEAD_ID", "DEAL_ID", "COMPANY_ID"),
        *("CONTACT_ID", "BEGINDATE", "CLOSED", "ASSIGNED_BY_ID", "DATE_CREATE", "DATE_MODIFY"),
    ),
)
INVOICES = Listing(
    method="crm.item.list",
    id_field="id",
    time_field="updatedTime",
    rows_key="items",
    params={"entityTypeId": INVOICE},
    stops_at_garbage=True,
    select=(
        *("id", "accountNumber", "title", "stageId", "categoryId", "opportunity", "currencyId", "taxValue"),
        *("parentId2", "parentId7", "companyId", "contactId", "mycompanyId", "assignedById", "begindate", "closedate"),
        *("movedTime", "createdTime", "updatedTime"),
    ),
)
PAYMENTS = Listing(
    method="sale.payment.list", id_field="id", rows_key="payments", user_fields=False, stops_at_garbage=True
)


def stage_history(entity_type: int, *, prefix: str = "") -> Listing:
    """The stage history of one kind of records. Its entries do not say whose kind they are: the prefix does."""
    return Listing(
        method="crm.stagehistory.list",
        time_field="CREATED_TIME",
        rows_key="items",
        params={"entityTypeId": entity_type},
        prefix=prefix,
        stops_at_garbage=True,
    )


STAGE_HISTORY = stage_history(DEAL)
LEAD_HISTORY = stage_history(LEAD, prefix="lead-")
INVOICE_HISTORY = stage_history(INVOICE, prefix="invoice-")
