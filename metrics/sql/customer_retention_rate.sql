-- key: customer_retention_rate
-- number: 35
-- label_ru: Удержание клиентов
-- label_en: Customer retention
-- unit: ratio
-- group: customers
-- evidence_class: hard
-- event_time: payment
-- credit: account_owner
-- additivity: ratio
-- entities: manager, team, company
-- facets: crm, money
-- requires: payment_history
-- rules: match_days
-- counts_until: period
-- description_ru: Клиенты, платившие и в последние 90 дней, и в 90 дней до них, ко всем, кто платил в те, прежние. Клиент — за тем, кто отвечал
--   за его последнюю сделку в начале последних 90 дней.
-- description_en: Customers who paid both in the last 90 days and in the 90 before, over all who paid in the earlier ones. A customer is credited to
--   whoever was responsible for their latest deal when the last 90 days began.

WITH windows AS (
    SELECT
        p.period, p.as_of, p.as_of - INTERVAL 90 DAY AS middle, p.as_of - INTERVAL 180 DAY AS beginning,
        -- Days, so that only their blocks are read; the last one may lie behind as_of.
        unnest(generate_series(p.starts_on - INTERVAL 181 DAY, p.ends_on::TIMESTAMP, INTERVAL 1 DAY))::DATE AS day
    FROM periods AS p
),

customers AS (
    SELECT
        w.period, w.middle, c.customer_id,
        max(c.occurred_at) FILTER (c.occurred_at < w.middle) AS earlier_at,
        bool_or(c.occurred_at >= w.middle) AS is_kept
    FROM windows AS w
    JOIN calc.customer_payments AS c
        ON c.local_date = w.day AND c.occurred_at >= w.beginning AND c.occurred_at < w.as_of
    GROUP BY w.period, w.middle, c.customer_id
)

SELECT
    c.period,
    'customer' AS record_type,
    coalesce(o.source, '') AS source,
    c.customer_id AS record_id,
    c.earlier_at AS occurred_at,
    o.person_id,
    t.team,
    o.credit_precision,
    if(c.is_kept, 1, 0) AS num,
    1 AS den
FROM customers AS c
LEFT JOIN calc.customer_owners AS o
    ON o.customer_id = c.customer_id AND o.valid_from <= c.middle AND coalesce(o.valid_to, 'infinity') > c.middle
LEFT JOIN core.people AS t
    ON t.person_id = o.person_id AND t.valid_from <= c.middle::DATE AND coalesce(t.valid_to, 'infinity') >= c.middle::DATE
WHERE c.earlier_at IS NOT NULL
