-- key: I-11
-- label_ru: Дата закрытия отодвигается
-- label_en: Close date moved later
-- rule_ru: Плановую дату закрытия перенесли на более поздний день close_date_moves раз и больше за всё время сделки.
-- rule_en: The planned close date was moved to a later day close_date_moves times or more in the deal's life.
-- detail_ru: Переносов на более поздний день: {moves}; было {first}, стало {last}.
-- detail_en: Moves to a later day: {moves}; it was {first}, it is {last}.
-- facets: crm
-- requires: close_dates
-- rules: close_date_moves
-- counts_until: period

WITH moves AS (
    SELECT
        *,
        row_number() OVER deal AS moves,
        first_value(from_day) OVER deal AS first
    FROM (
        SELECT *, try_cast(from_value AS DATE) AS from_day, try_cast(to_value AS DATE) AS to_day
        FROM core.deal_events
        WHERE event_type = 'close_date'
    ) AS dated
    WHERE to_day > from_day
    WINDOW deal AS (PARTITION BY source, deal_id ORDER BY occurred_at, event_id)
)

SELECT
    p.period,
    'deal' AS record_type,
    m.source,
    m.deal_id AS record_id,
    m.occurred_at,
    coalesce(o.person_id, m.person_id) AS person_id,
    m.source AS deal_source,
    m.deal_id,
    m.moves,
    m.first,
    m.to_day AS last
FROM moves AS m
JOIN periods AS p ON m.occurred_at >= p.starts_at AND m.occurred_at < least(p.ends_at, p.as_of)
CROSS JOIN limits AS l
LEFT JOIN core.deal_owners AS o
    ON o.source = m.source AND o.deal_id = m.deal_id
    AND o.valid_from <= m.occurred_at AND coalesce(o.valid_to, 'infinity') > m.occurred_at
WHERE m.moves >= l.close_date_moves
QUALIFY row_number() OVER (PARTITION BY p.period, m.source, m.deal_id ORDER BY m.moves DESC) = 1
