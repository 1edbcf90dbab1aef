-- Working days of every team: the country's calendar × hours.csv (metrics.md 2.1).
CREATE OR REPLACE TEMP MACRO clock_minutes(clock) AS
    CAST(split_part(clock, ':', 1) AS BIGINT) * 60 + CAST(split_part(clock, ':', 2) AS BIGINT);

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

CREATE OR REPLACE TEMP TABLE next_working_days AS
WITH worked AS (
    SELECT
        clock.team,
        calendar.day,
        clock.zone,
        clock.opens,
        -- A day shortened by the calendar ends earlier by as much as it lacks of eight hours.
        clock.closes - clock.opens - CAST(greatest(480 - calendar.hours * 60, 0) AS BIGINT) AS minutes
    FROM core.calendar AS calendar
    JOIN team_clocks AS clock ON clock.weekday = isodow(calendar.day)
    WHERE calendar.hours > 0
)

SELECT
    team,
    day,
    timezone(zone, CAST(day AS TIMESTAMP) + to_minutes(opens)) AS opens_at,
    timezone(zone, CAST(day AS TIMESTAMP) + to_minutes(opens + minutes)) AS closes_at,
    CAST(sum(minutes) OVER team_days - minutes AS BIGINT) AS minutes_before,
    row_number() OVER team_days AS ordinal
FROM worked
WHERE minutes > 0
WINDOW team_days AS (PARTITION BY team ORDER BY day ROWS UNBOUNDED PRECEDING);

-- Every day of every team, days off too, with what was worked before: an instant finds its day by equality. (An ASOF
-- JOIN on few teams and many instants took a minute for a hundred thousand leads.)
CREATE OR REPLACE TEMP TABLE clock_days AS
SELECT
    team.team,
    calendar.day,
    coalesce(working.opens_at, timezone(team.zone, CAST(calendar.day AS TIMESTAMP))) AS opens_at,
    coalesce(working.closes_at, timezone(team.zone, CAST(calendar.day AS TIMESTAMP))) AS closes_at,
    coalesce(sum(date_diff('minute', working.opens_at, working.closes_at)) OVER earlier_days, 0) * 60000000 AS before_us,
    count(working.day) OVER (PARTITION BY team.team ORDER BY calendar.day) AS ordinal
FROM (SELECT team, min(zone) AS zone FROM team_clocks GROUP BY team) AS team
CROSS JOIN core.calendar AS calendar
LEFT JOIN next_working_days AS working ON working.team = team.team AND working.day = calendar.day
WINDOW earlier_days AS (
    PARTITION BY team.team ORDER BY calendar.day ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
);

SET VARIABLE team_zones = (SELECT map_from_entries(list((team, zone))) FROM (
    SELECT team, min(zone) AS zone FROM team_clocks GROUP BY team
));
CREATE OR REPLACE TEMP MACRO clock_day(team, moment) AS
    CAST(timezone(getvariable('team_zones')[team], moment) AS DATE);

-- Working microseconds from the calendar's beginning to an instant, given its day.
CREATE OR REPLACE TEMP MACRO worked_until(moment, opens_at, closes_at, before_us) AS
    CAST(before_us AS BIGINT) + epoch_us(greatest(least(moment, closes_at), opens_at)) - epoch_us(opens_at);

-- The way back, from worked time to the instant: working days by the hours of worked time that fall into them.
CREATE OR REPLACE TEMP TABLE clock_hours AS
SELECT
    team,
    opens_at,
    CAST(minutes_before AS BIGINT) * 60000000 AS before_us,
    (CAST(minutes_before AS BIGINT) + date_diff('minute', opens_at, closes_at)) * 60000000 AS after_us,
    unnest(range(minutes_before // 60, (minutes_before + date_diff('minute', opens_at, closes_at) - 1) // 60 + 1)) AS hour
FROM next_working_days;
