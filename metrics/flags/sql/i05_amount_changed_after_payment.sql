-- key: I-05
-- label_ru: Сумма изменена после первой оплаты
-- label_en: Amount changed after the first payment
-- rule_ru: Сумму сделки в CRM изменили позже дня её первой оплаты. На показатели это не влияет: сумма берётся на момент первой оплаты.
-- rule_en: The deal's amount in the CRM was changed after the day of its first payment. No metric follows: the amount at the first payment holds.
-- detail_ru: Первая оплата {paid_on}; сумма изменена {changed_at}: {before} → {after}.
-- detail_en: First paid on {paid_on}; amount changed at {changed_at}: {before} → {after}.
-- facets: crm, money
-- rules: match_days
-- counts_until: period

WITH first_paid AS (
    SELECT deal_source, deal_id, min(occurred_at) AS paid_at, min(local_date) AS paid_on
    FROM calc.payments
    WHERE deal_id <> '' AND excluded_by IS NULL AND NOT is_refund
    GROUP BY deal_source, deal_id
),

changes AS (
    SELECT
        p.period,
        e.*,
        f.paid_on,
        try_cast(e.from_value AS DECIMAL(18, 2)) AS before,
        try_cast(e.to_value AS DECIMAL(18, 2)) AS after
    FROM core.deal_events AS e
    JOIN first_paid AS f ON f.deal_source = e.source AND f.deal_id = e.deal_id
    JOIN periods AS p ON e.occurred_at >= p.starts_at AND e.occurred_at < least(p.ends_at, p.as_of)
    WHERE e.event_type = 'amount' AND e.occurred_at > f.paid_at
        AND try_cast(e.from_value AS DECIMAL(18, 2)) IS DISTINCT FROM try_cast(e.to_value AS DECIMAL(18, 2))
)

SELECT
    c.period,
    'deal' AS record_type,
    c.source,
    c.deal_id AS record_id,
    max(c.occurred_at) AS occurred_at,
    -- Who changed it; where the source does not log that, who was responsible.
    arg_max(coalesce(c.person_id, o.person_id), c.occurred_at) AS person_id,
    c.source AS deal_source,
    c.deal_id,
    min(c.paid_on) AS paid_on,
    max(c.occurred_at) AS changed_at,
    arg_min(c.before, c.occurred_at) AS before,
    arg_max(c.after, c.occurred_at) AS after
FROM changes AS c
LEFT JOIN core.deal_owners AS o
    ON o.source = c.source AND o.deal_id = c.deal_id
    AND o.valid_from <= c.occurred_at AND coalesce(o.valid_to, 'infinity') > c.occurred_at
GROUP BY c.period, c.source, c.deal_id
