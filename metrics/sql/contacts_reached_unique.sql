-- key: contacts_reached_unique
-- number: 10
-- label_ru: Уникальные собеседники
-- label_en: People reached
-- unit: numbers
-- group: calls
-- evidence_class: hard
-- event_time: call start
-- credit: actor
-- additivity: distinct
-- entities: manager, team, company
-- facets: calls
-- rules: successful_call_seconds, successful_call_seconds_by_pipeline
-- counts_until: period
-- description_ru: Разные внешние номера, с которыми был успешный звонок. Повторный звонок на номер ничего не прибавляет.
--   Скрытый номер ни с каким другим не сравнить: он не считается. По сотрудникам не складывается.
-- description_en: Distinct external numbers with a successful call. Redialling a number adds nothing.
--   A hidden number can be told from no other: it does not count. People do not sum to the company.

SELECT
    d.period,
    'call' AS record_type,
    c.source,
    c.call_id AS record_id,
    c.external_number AS key,
    c.started_at AS occurred_at,
    c.person_id,
    c.team,
    1 AS num,
    coalesce(
        c.excluded_by,
        CASE
            WHEN c.is_answered IS NOT TRUE THEN 'not_answered'
            WHEN c.is_successful IS NOT TRUE THEN 'too_short'
            WHEN c.external_number IS NULL THEN 'hidden_number'
        END
    ) AS excluded_by
FROM calc.calls AS c
JOIN period_days AS d ON d.day = c.local_date
