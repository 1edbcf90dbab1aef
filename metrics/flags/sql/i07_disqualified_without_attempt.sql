-- key: I-07
-- label_ru: Отказ без звонка
-- label_en: Disqualified without an attempt
-- rule_ru: Лид проигран до квалификации, а телефония не знает ни исходящей попытки, ни принятого звонка по нему. Дубли не в счёте.
-- rule_en: A lead was lost before it was qualified, and telephony has neither an outbound attempt nor an answered call about it. Duplicates don't count.
-- detail_ru: Лид от {created_at} проигран {lost_at}, ни одного звонка по нему не было.
-- detail_en: A lead of {created_at} was lost at {lost_at} without a single call.
-- facets: crm, calls
-- requires: stage:base, stage:qualified, stage:lost
-- rules: dup_days, origin_minutes
-- counts_until: period

SELECT
    d.period,
    'deal' AS record_type,
    t.source,
    t.deal_id AS record_id,
    t.occurred_at,
    t.person_id,
    t.source AS deal_source,
    t.deal_id,
    l.created_at,
    t.occurred_at AS lost_at
FROM calc.terminal_events AS t
JOIN period_days AS d ON d.day = t.local_date AND t.occurred_at < d.as_of
JOIN calc.leads AS l ON l.source = t.source AND l.deal_id = t.deal_id AND l.excluded_by IS NULL
ANTI JOIN calc.stage_passes AS q
    ON q.source = t.source AND q.deal_id = t.deal_id AND q.kind = 'qualified' AND q.passed_at < t.occurred_at
WHERE t.outcome = 'lost' AND coalesce(l.first_action_at > t.occurred_at, TRUE)
QUALIFY row_number() OVER (PARTITION BY d.period, t.source, t.deal_id ORDER BY t.occurred_at DESC) = 1
