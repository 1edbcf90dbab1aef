-- key: I-14
-- label_ru: Оплаты придержаны до нового месяца
-- label_en: Wins shifted into the next month
-- rule_ru: План прошлого месяца (выручка или оплаченные сделки) выполнен, а shifted_wins_share оплаченных сделок этого месяца и больше
--   оплачены в его первые shifted_wins_days рабочих дня. Проверяется, когда месяц кончился.
-- rule_en: Last month's plan (revenue or paid deals) was reached, and shifted_wins_share or more of this month's paid deals
--   were paid in its first shifted_wins_days working days. Looked for once the month is over.
-- detail_ru: Оплачена {paid_on}; в первые рабочие дни месяца — {early} из {all}, план прошлого месяца выполнен на {reached}.
-- detail_en: Paid on {paid_on}; in the month's first working days {early} of {all}, last month's plan was reached by {reached}.
-- facets: crm, money
-- requires: earlier_plans, calendar
-- rules: shifted_wins_share, shifted_wins_days, paid_threshold, match_days
-- counts_until: period

WITH days AS (SELECT d.period, c.day, row_number() OVER (PARTITION BY d.period ORDER BY c.day) AS ordinal
    FROM core.calendar AS c JOIN period_days AS d ON d.day = c.day WHERE c.hours > 0),
first_days AS (SELECT p.period, max(d.day) AS ends_on FROM periods AS p CROSS JOIN limits AS l
    JOIN days AS d ON d.period = p.period AND d.ordinal <= l.shifted_wins_days
    -- A whole month that is over.
    WHERE p.starts_on = date_trunc('month', p.starts_on) AND p.ends_on = p.starts_on + INTERVAL 1 MONTH
        AND p.as_of >= p.ends_at
    GROUP BY p.period),
earned AS (
    SELECT 'revenue_cash' AS metric, local_date, person_id, team, amount::DOUBLE AS value
    FROM calc.payments WHERE excluded_by IS NULL
    UNION ALL SELECT 'deals_paid', local_date, person_id, team, sign FROM calc.paid_deals),
reached AS (
    SELECT p.period, n.entity_type, n.entity_id, n.metric, sum(e.value) / n.value AS reached
    FROM periods AS p
    JOIN core.plans AS n ON n.period = strftime(p.starts_on - INTERVAL 1 MONTH, '%Y-%m') AND n.value > 0
    JOIN earned AS e ON e.metric = n.metric
        AND e.local_date >= p.starts_on - INTERVAL 1 MONTH AND e.local_date < p.starts_on
        AND n.entity_id = CASE n.entity_type WHEN 'manager' THEN e.person_id WHEN 'team' THEN e.team ELSE 'company' END
    GROUP BY p.period, n.entity_type, n.entity_id, n.metric, n.value HAVING sum(e.value) >= n.value),
sold AS (
    SELECT r.entity_type, r.reached, d.*, f.period, d.local_date <= f.ends_on AS is_early,
        count(*) FILTER (d.local_date <= f.ends_on) OVER entity AS early, count(*) OVER entity AS all
    FROM reached AS r
    JOIN first_days AS f ON f.period = r.period
    JOIN period_days AS p ON p.period = r.period
    JOIN calc.paid_deals AS d ON d.local_date = p.day AND d.sign = 1
        AND r.entity_id = CASE r.entity_type WHEN 'manager' THEN d.person_id WHEN 'team' THEN d.team ELSE 'company' END
    WINDOW entity AS (PARTITION BY f.period, r.entity_type, r.entity_id, r.metric))

SELECT period, 'deal' AS record_type, source, deal_id AS record_id, occurred_at, person_id, source AS deal_source, deal_id,
    local_date AS paid_on, early, "all", reached
FROM sold CROSS JOIN limits AS l
WHERE is_early AND early >= l.shifted_wins_share * "all"
-- The plan nearest to the person tells it.
QUALIFY row_number() OVER (PARTITION BY period, source, deal_id
    ORDER BY list_position(['manager', 'team', 'company'], entity_type), reached DESC, ordinal) = 1
