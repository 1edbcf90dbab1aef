-- key: avg_check
-- number: 30
-- label_ru: Средний чек
-- label_en: Average check
-- unit: money
-- group: money
-- evidence_class: hard
-- event_time: paid event
-- credit: owner_at_payment
-- additivity: ratio
-- entities: manager, team, company
-- by: pipeline, source
-- facets: crm, money
-- rules: paid_threshold, match_days
-- counts_until: as_of
-- description_ru: Оплаты за вычетом возвратов по сделкам, ставшим оплаченными в периоде, к числу оплаченных сделок. Не среднее средних.
-- description_en: Net payments of the deals that became paid in the period, over paid deals. Never an average of averages.

WITH decided AS (
    SELECT
        d.period,
        d.as_of,
        p.*,
        -- Paid, refunded and paid again in one period: its money counts once.
        row_number() OVER (
            PARTITION BY d.period, p.source, p.deal_id, p.sign, p.occurred_at < d.as_of ORDER BY p.ordinal DESC
        ) = 1 AS holds_money
    FROM calc.paid_deals AS p
    JOIN period_days AS d ON d.day = p.local_date
),

net AS (
    SELECT b.period, b.source, b.deal_id, sum(m.amount) AS paid
    FROM decided AS b
    JOIN calc.payments AS m ON m.deal_source = b.source AND m.deal_id = b.deal_id
    WHERE b.sign = 1 AND b.holds_money AND b.occurred_at < b.as_of AND m.excluded_by IS NULL AND m.occurred_at < b.as_of
    GROUP BY b.period, b.source, b.deal_id
)

SELECT
    b.period,
    'deal' AS record_type,
    b.source,
    b.deal_id AS record_id,
    b.pipeline_id,
    b.occurred_at,
    b.person_id,
    b.team,
    b.credit_precision,
    CASE b.due_origin WHEN 'order' THEN 'hard' ELSE 'logged' END AS evidence_class,
    CASE WHEN b.sign = 1 AND b.holds_money THEN coalesce(n.paid, 0) ELSE 0 END AS num,
    b.sign AS den
FROM decided AS b
LEFT JOIN net AS n ON n.period = b.period AND n.source = b.source AND n.deal_id = b.deal_id
