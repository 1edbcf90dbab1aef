-- key: missed_callback_rate
-- number: 12
-- label_ru: Перезвон по пропущенным
-- label_en: Missed calls called back
-- unit: ratio
-- group: calls
-- evidence_class: hard
-- event_time: missed call's start
-- credit: team_of_line
-- additivity: ratio
-- entities: team, company
-- facets: calls
-- requires: calendar
-- rules: callback_minutes
-- counts_until: as_of
-- description_ru: Пропущенные, после которых за callback_minutes рабочих минут была попытка на этот номер или принятый звонок с него, ко всем.
--   Несколько пропущенных с номера за это время — один. Звонок, у которого время ещё не вышло, не в счёте.
-- description_en: Missed calls followed within callback_minutes of working time by an attempt to the number or an answered call from it, over all.
--   Several missed calls of a number within that time are one. A call whose time is not over yet is in neither.

SELECT
    d.period,
    'call' AS record_type,
    c.source,
    c.call_id AS record_id,
    c.started_at AS occurred_at,
    NULL AS person_id,
    c.line_team AS team,
    CASE WHEN c.called_back_at <= c.callback_ends_at THEN 1 ELSE 0 END AS num,
    1 AS den,
    coalesce(c.excluded_by, CASE WHEN c.callback_ends_at >= d.as_of THEN 'pending' END) AS excluded_by
FROM calc.missed_calls AS c
JOIN period_days AS d ON d.day = c.local_date
