-- key: I-04
-- label_ru: Звонка из CRM нет в телефонии
-- label_en: CRM call not in telephony
-- rule_ru: Примечание о звонке, которому в телефонии нет звонка с тем же номером, началом в пределах 5 минут и длительностью в пределах 10 %.
-- rule_en: A call note for which telephony has no call with the same number, start within 5 minutes and duration within 10 %.
-- detail_ru: Примечание от {noted_at} о звонке на {seconds} с: такого звонка в телефонии нет.
-- detail_en: A note of {noted_at} about a call of {seconds} s: telephony has no such call.
-- facets: crm, calls
-- counts_until: period

SELECT
    d.period,
    'activity' AS record_type,
    n.source,
    n.activity_id AS record_id,
    n.occurred_at,
    n.person_id,
    if(a.deal_id IS NULL, NULL, n.source) AS deal_source,
    a.deal_id,
    n.occurred_at AS noted_at,
    a.duration_seconds AS seconds
FROM calc.call_notes AS n
JOIN period_days AS d ON d.day = n.local_date
LEFT JOIN core.activities AS a ON a.source = n.source AND a.activity_id = n.activity_id
WHERE n.call_id IS NULL
