"""Conversations and their legs, as the telephony's log has them."""

from __future__ import annotations

from models.columns import core, day, flag, integer, text, utc

CALLS = core(
    "core.calls",
    "One conversation, legs merged.",
    text("call_id", "Call's id at the telephony.", key=True),
    utc("started_at", "Start, UTC."),
    day("local_date", "Day of the start in the company's time zone."),
    text("direction", "in, out, internal."),
    text("external_number", "The outside party in E.164; NULL when hidden or unreadable.", personal="phone"),
    text("external_number_raw", "The outside party as the telephony wrote it.", personal="phone"),
    text("line", "Line the client dialled, or the one used to call out."),
    text(
        "extension",
        "Extension that held the conversation: the longest answered leg, the last one on a tie.",
        personal="extension",
    ),
    text("user_id", "The telephony's own id of that employee."),
    text("person_id", "Person of that extension at the start of the call."),
    flag("is_answered", "A person talked."),
    integer("talk_seconds", "Talk of the longest leg, seconds; ringing and queue left out."),
    integer("duration_seconds", "Whole call, seconds."),
    integer("leg_count", "User legs; menu and group legs don't count."),
)

CALL_LEGS = core(
    "core.call_legs",
    "A leg of a call: one employee's device.",
    text("call_id", "Call.", key=True),
    integer("leg", "Order within the call, from 1.", key=True),
    utc("started_at", "Ringing began, UTC."),
    utc("answered_at", "Picked up, UTC; NULL = never."),
    utc("finished_at", "Ended, UTC."),
    text("extension", "Extension.", personal="extension"),
    text("user_id", "The telephony's own id of the employee."),
    integer("talk_seconds", "Talk, seconds."),
)
