-- Working days of every team: the country's calendar × hours.csv (metrics.md 2.1).
CREATE OR REPLACE TEMP MACRO clock_minutes(clock) AS
    CAST(split_part(clock, ':', 1) AS BIGINT) * 60 + CAST(split_part(clock, ':', 2) AS BIGINT);

CREATE OR REPLACE TEMP MACRO minutes_between(since, until) AS (epoch_us(until) - epoch_us(since)) // 60000000;

CREATE OR REPLACE TEMP TABLE team_clocks AS
WITH declared AS (
    SELECT team, weekday, clock_minutes(opens) AS opens, clock_minutes(closes) AS closes,
        coalesce(timezone, getvariable('zone')) AS zone
    FROM core.hours
),

teams AS (
    SELECT '' AS team
    UNION SELECT team FROM core.people WHERE team IS NOT NULL
    UNION SELECT team FROM core.lines WHERE team IS NOT NULL
    UNION SELECT team FROM declared
)

SELECT * FROM declared
UNION ALL
-- A working Saturday or Sunday the file doesn't name is worked like the team's first weekday.
SELECT team, weekend.weekday, opens, closes, zone
FROM (SELECT * FROM declared QUALIFY row_number() OVER (PARTITION BY team ORDER BY weekday) = 1) AS usual
CROSS JOIN (VALUES (6), (7)) AS weekend (weekday)
ANTI JOIN declared AS named ON named.team = usual.team AND named.weekday = weekend.weekday
UNION ALL
SELECT team, weekday, 9 * 60, 18 * 60, getvariable('zone')
FROM teams
ANTI JOIN declared USING (team)
CROSS JOIN range(1, 8) AS week (weekday);

-- A clock's day once, however many teams keep it: a zone that differs by row takes 10 us an answer.
CREATE OR REPLACE TEMP TABLE worked_days AS
SELECT
    *,
    timezone(zone, CAST(day AS TIMESTAMP) + to_minutes(opens)) AS opens_at,
    timezone(zone, CAST(day AS TIMESTAMP) + to_minutes(opens + minutes)) AS closes_at
FROM (
    SELECT DISTINCT
        clock.zone,
        calendar.day,
        clock.opens,
        clock.closes,
        -- A day shortened by the calendar ends earlier by as much as it lacks of eight hours.
        clock.closes - clock.opens - CAST(greatest(480 - calendar.hours * 60, 0) AS BIGINT) AS minutes
    FROM core.calendar AS calendar
    JOIN team_clocks AS clock ON clock.weekday = isodow(calendar.day)
    WHERE calendar.hours > 0
)
WHERE minutes > 0;

CREATE OR REPLACE TEMP TABLE next_working_days AS
SELECT
    clock.team,
    worked.day,
    worked.opens_at,
    worked.closes_at,
    CAST(sum(worked.minutes) OVER team_days - worked.minutes AS BIGINT) AS minutes_before,
    row_number() OVER team_days AS ordinal
FROM team_clocks AS clock
JOIN worked_days AS worked
    ON worked.zone = clock.zone
    AND worked.opens = clock.opens
    AND worked.closes = clock.closes
    AND isodow(worked.day) = clock.weekday
WINDOW team_days AS (PARTITION BY clock.team ORDER BY worked.day ROWS UNBOUNDED PRECEDING);

-- The zones' days as instants, and the team's days with what was worked before, days off too.
CREATE OR REPLACE TEMP TABLE clock_days AS
WITH zone_days AS (
    SELECT
        zone,
        day,
        timezone(zone, CAST(day AS TIMESTAMP)) AS from_at,
        timezone(zone, CAST(day + 1 AS TIMESTAMP)) AS to_at
    FROM (SELECT DISTINCT zone FROM team_clocks)
    CROSS JOIN (SELECT day FROM core.calendar)
)

SELECT
    team.team,
    days.day,
    days.from_at,
    days.to_at,
    coalesce(working.opens_at, days.from_at) AS opens_at,
    coalesce(working.closes_at, days.from_at) AS closes_at,
    CAST(coalesce(sum(minutes_between(working.opens_at, working.closes_at)) OVER earlier_days, 0) * 60000000 AS BIGINT)
        AS before_us,
    count(working.day) OVER (PARTITION BY team.team ORDER BY days.day) AS ordinal
FROM (SELECT team, min(zone) AS zone FROM team_clocks GROUP BY team) AS team
JOIN zone_days AS days ON days.zone = team.zone
LEFT JOIN next_working_days AS working ON working.team = team.team AND working.day = days.day
WINDOW earlier_days AS (
    PARTITION BY team.team ORDER BY days.day ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
);

-- An instant finds its team's day by equality: each day stands under the UTC days it touches. (An ASOF JOIN on few
-- teams and many instants took a minute for a hundred thousand leads; asking the team's zone for each, seconds.)
CREATE OR REPLACE TEMP MACRO utc_day(moment) AS epoch_us(moment) // 86400000000;
CREATE OR REPLACE TEMP TABLE clock_parts AS
SELECT team, from_at, to_at, opens_at, closes_at, before_us,
    unnest(range(utc_day(from_at), utc_day(to_at - INTERVAL 1 MICROSECOND) + 1)) AS utc_day
FROM clock_days;

-- Working microseconds from the calendar's beginning to an instant, given its day.
CREATE OR REPLACE TEMP MACRO worked_until(moment, opens_at, closes_at, before_us) AS
    before_us + epoch_us(greatest(least(moment, closes_at), opens_at)) - epoch_us(opens_at);

-- The way back, from worked time to the instant: working days by the hours of worked time that fall into them.
CREATE OR REPLACE TEMP TABLE clock_hours AS
SELECT
    team,
    opens_at,
    CAST(minutes_before AS BIGINT) * 60000000 AS before_us,
    (CAST(minutes_before AS BIGINT) + minutes_between(opens_at, closes_at)) * 60000000 AS after_us,
    unnest(range(minutes_before // 60, (minutes_before + minutes_between(opens_at, closes_at) - 1) // 60 + 1)) AS hour
FROM next_working_days;
