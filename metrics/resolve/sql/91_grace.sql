-- Until when a won deal may still be unpaid (metrics.md 4.7): whole working days of the company after the day it was won.
CREATE OR REPLACE TEMP TABLE next_terminal_events AS
SELECT
    ending.*,
    CASE WHEN ending.outcome = 'won' THEN day_start(last.day + 1) END AS grace_ends_at,
    -- Won, taken out and won once more is one win: re-entries do not count again (metrics.md 2.6).
    ending.outcome = 'won' AND coalesce(lag(ending.outcome) OVER (
        PARTITION BY ending.deal_no ORDER BY ending.occurred_at
    ) = 'won', FALSE) AS is_again
FROM next_terminal_events AS ending
LEFT JOIN clock_days AS won ON won.team = '' AND won.day = ending.local_date
LEFT JOIN next_working_days AS last ON last.team = '' AND last.ordinal = won.ordinal + getvariable('grace_days');
