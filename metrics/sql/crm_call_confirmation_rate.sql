-- key: crm_call_confirmation_rate
-- number: 45
-- label_ru: Подтверждённые звонки в CRM
-- label_en: CRM calls confirmed
-- unit: ratio
-- group: discipline
-- evidence_class: declared
-- event_time: time of the note
-- credit: actor
-- additivity: ratio
-- entities: manager, team, company
-- facets: crm, calls
-- counts_until: period
-- description_ru: Примечания о звонках в CRM, которым в телефонии есть звонок с тем же номером, началом в пределах 5 минут и длительностью в пределах 10 %,
--   ко всем таким примечаниям. Показывается, но не оплачивается.
-- description_en: CRM call notes for which telephony has a call with the same number, start within 5 minutes and duration within 10 %,
--   over all CRM call notes. Shown, never paid on.

SELECT
    d.period,
    'activity' AS record_type,
    n.source,
    n.activity_id AS record_id,
    n.occurred_at,
    n.person_id,
    n.team,
    CASE WHEN n.call_id IS NULL THEN 0 ELSE 1 END AS num,
    1 AS den
FROM calc.call_notes AS n
JOIN period_days AS d ON d.day = n.local_date
