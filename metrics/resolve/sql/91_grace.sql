-- Until when a won deal may still be unpaid (metrics.md 4.7): whole working days of the company after the day it was won.
CREATE OR REPLACE TEMP TABLE next_terminal_events AS
SELECT
    ending.*,
    CASE WHEN ending.outcome = 'won' THEN day_start(last.day + 1) END AS grace_ends_at
FROM next_terminal_events AS ending
LEFT JOIN clock_days AS won ON won.team = '' AND won.day = ending.local_date
LEFT JOIN next_working_days AS last ON last.team = '' AND last.ordinal = won.ordinal + getvariable('grace_days');
