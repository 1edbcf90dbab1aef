-- key: call_to_meeting_rate
-- number: 16
-- label_ru: Звонок → встреча
-- label_en: Call to meeting
-- unit: ratio
-- group: conversion
-- evidence_class: logged
-- event_time: call start; first touch of the stage
-- credit: owner_at_event
-- additivity: ratio
-- entities: manager, team, company
-- facets: crm, calls
-- requires: stage:meeting
-- rules: dup_days, successful_call_seconds, successful_call_seconds_by_pipeline
-- counts_until: period
-- description_ru: Проведённые встречи периода к успешным звонкам периода, каких бы сделок они ни были. Звонок — за тем, кто говорил; встреча — за ответственным.
-- description_en: The period's meetings held over its successful calls, whatever their deals. A call is its speaker's, a meeting the responsible person's.

SELECT
    d.period,
    'deal' AS record_type,
    k.source,
    k.deal_id AS record_id,
    k.touched_at AS occurred_at,
    k.person_id,
    k.team,
    k.credit_precision,
    'logged' AS evidence_class,
    1 AS num,
    0 AS den,
    k.excluded_by
FROM calc.kind_touches AS k
JOIN period_days AS d ON d.day = k.local_date
WHERE k.kind = 'meeting'
UNION ALL
SELECT
    d.period,
    'call',
    c.source,
    c.call_id,
    c.started_at,
    c.person_id,
    c.team,
    'log',
    'hard',
    0,
    1,
    coalesce(
        c.excluded_by,
        CASE WHEN c.is_answered IS NOT TRUE THEN 'not_answered' WHEN c.is_successful IS NOT TRUE THEN 'too_short' END
    )
FROM calc.calls AS c
JOIN period_days AS d ON d.day = c.local_date
