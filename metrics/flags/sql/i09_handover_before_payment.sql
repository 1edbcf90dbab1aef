-- key: I-09
-- label_ru: Ответственный сменён перед оплатой
-- label_en: Responsible changed just before payment
-- rule_ru: За handover_guard_days дней до оплаты сделку передали другому; оплата засчитана ему.
-- rule_en: The deal was handed over within handover_guard_days days before a payment, which is credited to the new owner.
-- detail_ru: Ответственный сменён {changed_at}, оплата {paid_on}: {amount}.
-- detail_en: Responsible changed at {changed_at}, paid on {paid_on}: {amount}.
-- facets: crm, money
-- rules: handover_guard_days, match_days
-- counts_until: period

WITH paid AS (
    SELECT d.period, m.*
    FROM calc.payments AS m
    JOIN period_days AS d ON d.day = m.local_date AND m.occurred_at < d.as_of
    WHERE m.deal_id <> '' AND m.excluded_by IS NULL AND NOT m.is_refund
),

handovers AS (
    SELECT source, deal_id, valid_from, owner_id
    FROM core.deal_owners
    SEMI JOIN paid ON paid.deal_source = deal_owners.source AND paid.deal_id = deal_owners.deal_id
    -- A row may differ from the one before in precision alone.
    QUALIFY owner_id <> lag(owner_id) OVER (PARTITION BY source, deal_id ORDER BY valid_from)
)

SELECT
    p.period,
    'deal' AS record_type,
    p.deal_source AS source,
    p.deal_id AS record_id,
    p.occurred_at,
    p.person_id,
    p.deal_source,
    p.deal_id,
    h.valid_from AS changed_at,
    p.local_date AS paid_on,
    p.amount
FROM paid AS p
CROSS JOIN limits AS l
JOIN handovers AS h
    ON h.source = p.deal_source AND h.deal_id = p.deal_id
    AND h.valid_from <= p.occurred_at AND h.valid_from > p.occurred_at - to_days(l.handover_guard_days)
QUALIFY row_number() OVER (
    PARTITION BY p.period, p.deal_source, p.deal_id ORDER BY p.occurred_at DESC, p.payment_id, h.valid_from DESC
) = 1
