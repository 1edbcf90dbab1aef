-- key: I-16
-- label_ru: НДС в платеже не назван
-- label_en: VAT is not named in a payment
-- rule_ru: Компания считает деньги без НДС (vat_mode = net), а платёж не называет налога: ни суммы, ни слов «без НДС». Он посчитан целиком,
--   и показатели с деньгами завышены на этот налог, если он в платеже есть.
-- rule_en: The company counts money without VAT (vat_mode = net), and the payment names none: no amount, nor that there is none. It is
--   counted whole, and if there is VAT in it, every metric of money is too high by that.
-- detail_ru: {amount} от {paid_on} посчитаны целиком: какая часть из них НДС, в платеже не сказано.
-- detail_en: {amount} of {paid_on} are counted whole: the payment does not tell how much of it is VAT.
-- facets: money
-- counts_until: period

SELECT
    d.period,
    'payment' AS record_type,
    p.source,
    p.payment_id AS record_id,
    p.occurred_at,
    p.person_id,
    nullif(p.deal_source, '') AS deal_source,
    nullif(p.deal_id, '') AS deal_id,
    sum(p.amount) OVER payment AS amount,
    p.local_date AS paid_on
FROM calc.payments AS p
JOIN period_days AS d ON d.day = p.local_date
JOIN core.payments AS c ON c.source = p.source AND c.payment_id = p.payment_id
CROSS JOIN limits AS l
WHERE l.is_net AND c.vat_amount IS NULL AND p.excluded_by IS NULL
WINDOW payment AS (PARTITION BY d.period, p.source, p.payment_id)
-- Of the parts of a payment the largest tells whose it is.
QUALIFY row_number() OVER (payment ORDER BY abs(p.amount) DESC, p.deal_source, p.deal_id) = 1
