"""Whether records that a scope leaves alone were timed by working days that are others now."""

from __future__ import annotations

from metrics.resolve.scope import Scope


def is_timed_otherwise(scope: Scope) -> bool:
    """A working day came, went or has other hours in the stretch that stored results were counted in, or one of them
    had looked beyond the calendar's end.

    A calendar grows by itself: by a year every January, and by earlier ones with an older account. Where nothing was
    timed, days come and go freely: a stay, a norm or a grace is a difference of two sums over the days in between.
    """
    # The days are few and nearly always the same; what they timed is all deals and missed calls.
    return scope.count(f"SELECT count(*) FROM ({_DIFFERING})") > 0 and scope.count(_TIMED) > 0


_DAYS = "SELECT team, day, opens_at, closes_at FROM"
_DIFFERING = f"""
    ({_DAYS} next_working_days EXCEPT {_DAYS} {{home}}.calc.working_days)
    UNION ALL
    ({_DAYS} {{home}}.calc.working_days EXCEPT {_DAYS} next_working_days)
"""
# What steps 86, 87, 91 and 92 count in working time. Without an end where there must be one, the calendar had none to
# give. A day is added on both sides: the days of teams begin at different instants.
_TIMED = f"""
    WITH stretches AS (
        SELECT
            min(least(created_at, first_action_at, first_success_at)) AS since,
            max(greatest(sla_ends_at, first_action_at, first_success_at)) AS until,
            bool_or(
                sla_ends_at IS NULL
                OR (first_action_at IS NOT NULL AND action_minutes IS NULL)
                OR (first_success_at IS NOT NULL AND success_minutes IS NULL)
            ) AS is_cut
        FROM {{home}}.calc.leads
        UNION ALL
        SELECT min(started_at), max(callback_ends_at), bool_or(callback_ends_at IS NULL) FROM {{home}}.calc.missed_calls
        UNION ALL
        SELECT min(occurred_at), max(grace_ends_at), bool_or(outcome = 'won' AND grace_ends_at IS NULL)
        FROM {{home}}.calc.terminal_events
        UNION ALL
        SELECT min(entered_at), max(left_at), FALSE FROM {{home}}.core.deal_stage_visits
        UNION ALL
        SELECT NULL, NULL, bool_or(hours IS NULL) FROM {{home}}.calc.stage_times
    ),

    timed AS (SELECT min(since) AS since, max(until) AS until, bool_or(is_cut) AS is_cut FROM stretches)

    SELECT count(*)
    FROM ({_DIFFERING}) AS differing
    JOIN timed
        ON timed.is_cut
        OR (
            differing.closes_at >= timed.since - INTERVAL 1 DAY
            AND differing.opens_at <= timed.until + INTERVAL 1 DAY
        )
"""
