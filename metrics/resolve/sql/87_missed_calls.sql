-- Missed calls and whether somebody called back in time (metrics.md 4.2).
CREATE OR REPLACE TEMP TABLE followed_calls AS
SELECT
    source,
    call_id,
    started_at,
    local_date,
    external_number,
    line_team,
    is_missed,
    excluded_by,
    CASE WHEN external_number IS NOT NULL THEN min(CASE WHEN is_attempt OR is_answered THEN started_at END) OVER (
        PARTITION BY external_number, excluded_by IS NULL
        ORDER BY started_at, source, call_id
        ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
    ) END AS called_back_at
FROM next_calls
WHERE direction <> 'internal';

CREATE OR REPLACE TEMP TABLE timed_missed AS
WITH clocked AS (
    SELECT
        call.*,
        coalesce(call.line_team, '') AS team,
        worked_until(call.started_at, opened.opens_at, opened.closes_at, opened.before_us)
            + CAST(getvariable('callback_minutes') AS BIGINT) * 60000000 AS due
    FROM followed_calls AS call
    LEFT JOIN clock_days AS opened
        ON opened.team = coalesce(call.line_team, '')
        AND opened.day = clock_day(coalesce(call.line_team, ''), call.started_at)
    WHERE call.is_missed
)

SELECT
    clocked.* EXCLUDE (team, due, is_missed),
    day.opens_at + to_microseconds(clocked.due - day.before_us) AS callback_ends_at
FROM clocked
LEFT JOIN clock_hours AS day
    ON day.team = clocked.team
    AND day.hour = clocked.due // 3600000000
    AND clocked.due >= day.before_us
    AND clocked.due < day.after_us;

-- Calls of a number, each within the window of the one before, make a chain; within it the first call opens a window,
-- and the first call behind that window the next one.
CREATE OR REPLACE TEMP TABLE missed_chains AS
WITH marked AS (
    SELECT *, coalesce(started_at > lag(callback_ends_at) OVER number, TRUE) AS is_new
    FROM timed_missed
    WHERE excluded_by IS NULL AND external_number IS NOT NULL
    WINDOW number AS (PARTITION BY external_number ORDER BY started_at, source, call_id)
)

SELECT
    source,
    call_id,
    started_at,
    callback_ends_at,
    external_number,
    count_if(is_new) OVER (
        PARTITION BY external_number ORDER BY started_at, source, call_id ROWS UNBOUNDED PRECEDING
    ) AS chain
FROM marked;

CREATE OR REPLACE TEMP TABLE missed_windows AS
WITH RECURSIVE windows AS (
    SELECT external_number, chain, min({'started_at': started_at, 'source': source, 'call_id': call_id}) AS first
    FROM missed_chains
    GROUP BY external_number, chain
    UNION ALL
    SELECT later.external_number, later.chain,
        min({'started_at': later.started_at, 'source': later.source, 'call_id': later.call_id})
    FROM windows
    JOIN missed_chains AS opener ON opener.source = windows.first.source AND opener.call_id = windows.first.call_id
    JOIN missed_chains AS later
        ON later.external_number = windows.external_number
        AND later.chain = windows.chain
        AND later.started_at > opener.callback_ends_at
    GROUP BY later.external_number, later.chain
)

SELECT first.source AS source, first.call_id AS call_id FROM windows;

CREATE OR REPLACE TEMP TABLE next_missed_calls AS
SELECT
    call.* EXCLUDE (excluded_by),
    coalesce(
        call.excluded_by,
        CASE WHEN call.external_number IS NOT NULL AND opener.call_id IS NULL THEN 'repeat_missed' END
    ) AS excluded_by
FROM timed_missed AS call
LEFT JOIN missed_windows AS opener ON opener.source = call.source AND opener.call_id = call.call_id;
