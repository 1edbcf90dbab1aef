-- key: calls_successful
-- number: 8
-- label_ru: Успешные звонки
-- label_en: Successful calls
-- unit: calls
-- group: calls
-- evidence_class: hard
-- event_time: call start
-- credit: actor
-- additivity: additive
-- entities: manager, team, company
-- facets: calls
-- rules: successful_call_seconds, successful_call_seconds_by_pipeline
-- counts_until: period
-- description_ru: Принятые внешние разговоры, входящие и исходящие, дольше successful_call_seconds (строго больше), без гудков и очереди.
--   Один разговор — один зачёт: тому, кто говорил дольше. Примечание о звонке в CRM не значит ничего.
--   Варианты: direction=in, direction=out; cold — с номером ещё не говорили, warm — остальные.
-- description_en: Answered external conversations, in and out, longer than successful_call_seconds (strictly), ringing and queue left out.
--   One conversation is one credit: to whoever talked longest. A call note in the CRM counts for nothing.
--   Variants: direction=in, direction=out; cold = no earlier conversation with the number, warm = the others.

SELECT
    d.period,
    unnest(['', concat('direction=', c.direction), if(c.is_cold, 'cold', 'warm')]) AS variant,
    'call' AS record_type,
    c.source,
    c.call_id AS record_id,
    c.started_at AS occurred_at,
    c.person_id,
    c.team,
    1 AS num,
    coalesce(
        c.excluded_by,
        CASE
            WHEN c.is_answered IS NOT TRUE THEN 'not_answered'
            WHEN c.is_successful IS NOT TRUE THEN 'too_short'
        END
    ) AS excluded_by
FROM calc.calls AS c
JOIN period_days AS d ON d.day = c.local_date
