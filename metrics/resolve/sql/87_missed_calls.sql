-- Missed calls and whether somebody called back in time (metrics.md 4.2).
CREATE OR REPLACE TEMP TABLE callbacks AS
SELECT
    call_no,
    is_missed,
    min(CASE WHEN is_attempt OR is_answered THEN started_at END) OVER (
        PARTITION BY number_no, is_counted
        ORDER BY call_no
        ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
    ) AS called_back_at
FROM (
    SELECT number.number_no, call.excluded_by IS NULL AS is_counted,
        call.call_no, call.is_missed, call.is_attempt, call.is_answered, call.started_at
    FROM next_calls AS call
    JOIN (
        SELECT external_number, row_number() OVER () AS number_no
        FROM (SELECT DISTINCT external_number FROM next_calls WHERE is_missed)
    ) AS number ON number.external_number = call.external_number
    WHERE call.direction <> 'internal' AND (call.is_missed OR call.is_attempt OR call.is_answered)
)
QUALIFY is_missed;

CREATE OR REPLACE TEMP TABLE timed_missed AS
WITH clocked AS (
    SELECT
        call.call_no,
        call.source,
        call.call_id,
        call.started_at,
        call.local_date,
        call.external_number,
        call.line_team,
        call.excluded_by,
        callback.called_back_at,
        coalesce(call.line_team, '') AS team,
        worked_until(call.started_at, opened.opens_at, opened.closes_at, opened.before_us)
            + CAST(getvariable('callback_minutes') AS BIGINT) * 60000000 AS due
    FROM next_calls AS call
    LEFT JOIN callbacks AS callback ON callback.call_no = call.call_no
    LEFT JOIN clock_parts AS opened
        ON opened.team = coalesce(call.line_team, '')
        AND opened.utc_day = utc_day(call.started_at)
        AND opened.from_at <= call.started_at
        AND opened.to_at > call.started_at
    WHERE call.is_missed
)

SELECT
    clocked.* EXCLUDE (team, due),
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
    WINDOW number AS (PARTITION BY external_number ORDER BY call_no)
)

SELECT
    call_no,
    started_at,
    callback_ends_at,
    external_number,
    count_if(is_new) OVER (
        PARTITION BY external_number ORDER BY call_no ROWS UNBOUNDED PRECEDING
    ) AS chain
FROM marked;

CREATE OR REPLACE TEMP TABLE missed_windows AS
WITH RECURSIVE windows AS (
    SELECT external_number, chain, min(call_no) AS call_no
    FROM missed_chains
    GROUP BY external_number, chain
    UNION ALL
    SELECT later.external_number, later.chain, min(later.call_no)
    FROM windows
    JOIN missed_chains AS opener ON opener.call_no = windows.call_no
    JOIN missed_chains AS later
        ON later.external_number = windows.external_number
        AND later.chain = windows.chain
        AND later.started_at > opener.callback_ends_at
    GROUP BY later.external_number, later.chain
)

SELECT call_no FROM windows;

CREATE OR REPLACE TEMP TABLE next_missed_calls AS
SELECT
    call.* EXCLUDE (excluded_by),
    coalesce(
        call.excluded_by,
        CASE WHEN call.external_number IS NOT NULL AND opener.call_no IS NULL THEN 'repeat_missed' END
    ) AS excluded_by
FROM timed_missed AS call
LEFT JOIN missed_windows AS opener ON opener.call_no = call.call_no;
