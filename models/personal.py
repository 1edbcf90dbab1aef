"""Which columns may tell of a person. Every text column is decided: marked where it is declared, or named here.

A new text column that is neither counts as free text, so forgetting to decide publishes nothing; a test names it.
"""

from __future__ import annotations

from typing import Any, cast

import sqlalchemy as sa

from models.columns import PERSONAL, STAND_IN, Personal

# Names that mean the same in every relation: ids and codes of the sources, and the program's own words.
_IDS = """
    source deal_source call_source success_call_source payment_source refund_of_source same_as_source stream run_id
    activity_id call_id company_id contact_id cost_id credit_id deal_id document_id event_id field_id invoice_id lead_id
    option_id order_id owner_id parent_option_id payment_id pipeline_id receivable_id record_id refund_of_payment_id
    same_as_payment_id stage_id status_id user_id entry_person_id person_id entity_id based_on_order_id
    first_action_call_id first_success_call_id duplicate_of from_pipeline_id from_stage_id from_stage to_stage team
    entry_team line line_team own_account
"""
_CODES = """
    activity_type additivity basis billionths channel closes code component core_version covered credit_precision
    currency digest direction due_origin entity_type entry_credit_precision event_type evidence_class excluded_by facet
    field_type flag form from_kind grade input_version kind mapping_version match_rule metric mode moment opens
    option_code origin outcome period phase pipeline precision prorate record_type role rule rule_version scheme
    source_type state status system_kind timezone unit variant vat_mode version_num
"""
# What administrators name, and numbers printed on documents.
_NAMES_OF_THINGS = """
    department document_number from_name loss_reason lead_source method number pipeline_name stage_name to_name url
"""
IMPERSONAL = frozenset(f"{_IDS} {_CODES} {_NAMES_OF_THINGS}".split())

# Names that are personal elsewhere.
IMPERSONAL_COLUMNS = frozenset(
    {
        "core.custom_field_options.name",
        "core.custom_fields.name",
        "core.stages.name",
        # Stages, owners and amounts: an event of another kind has no values.
        "core.deal_events.from_value",
        "core.deal_events.to_value",
        # A flag's words hold dates, numbers and stages (metrics/flags).
        "facts.flags.detail",
        "meta.absent_metrics.reason",
        "meta.inputs.file",
        "meta.period_flags.absent",
        "meta.rejects.expected",
        "meta.rejects.reason",
        "meta.settings.name",
        "meta.settings.value",
        "meta.sources.label",
    }
)


def is_text(column: sa.Column[Any]) -> bool:
    return isinstance(column.type, sa.Text | sa.ARRAY)


def is_decided(column: sa.Column[Any]) -> bool:
    """Somebody has said whether this column may tell of a person."""
    return PERSONAL in column.info or _is_impersonal(column)


def personal_kind(column: sa.Column[Any]) -> Personal | None:
    """What of a person the column may tell; None: nothing."""
    if PERSONAL in column.info:
        return cast(Personal, column.info[PERSONAL])
    return None if _is_impersonal(column) else "text"


def stand_in(column: sa.Column[Any]) -> str | None:
    """SQL over the row's own columns for what is published in the column's place."""
    return column.info.get(STAND_IN)


def _is_impersonal(column: sa.Column[Any]) -> bool:
    name = f"{column.table.fullname}.{column.name}"
    return not is_text(column) or column.name in IMPERSONAL or name in IMPERSONAL_COLUMNS
