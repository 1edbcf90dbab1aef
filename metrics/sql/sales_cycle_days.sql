-- key: sales_cycle_days
-- number: 26
-- label_ru: Цикл сделки
-- label_en: Sales cycle
-- unit: days
-- group: money
-- evidence_class: logged
-- event_time: paid event
-- credit: owner_at_payment
-- additivity: distribution
-- entities: manager, team, company
-- facets: crm, money
-- rules: paid_threshold, match_days, origin_minutes
-- direction: down
-- counts_until: period
-- description_ru: Календарных дней от создания сделки (или звонка, из которого она возникла, если он раньше) до оплаты, медиана; вариант mean — среднее.
--   Неоплаченные сделки не входят.
-- description_en: Calendar days from a deal's creation (or the call that created it, if earlier) to its payment, median; variant mean is the mean.
--   Unpaid deals are not in it.

SELECT
    d.period,
    unnest(['', 'mean']) AS variant,
    'deal' AS record_type,
    s.source,
    s.deal_id AS record_id,
    s.occurred_at,
    s.person_id,
    s.team,
    s.credit_precision,
    s.local_date - s.started_on AS num
FROM calc.sales AS s
JOIN period_days AS d ON d.day = s.local_date
WHERE s.ordinal = 1
