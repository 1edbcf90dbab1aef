-- key: overdue_share
-- number: 38
-- label_ru: Доля просроченной дебиторки
-- label_en: Overdue receivables
-- unit: ratio
-- group: money
-- evidence_class: hard
-- event_time: last snapshot of the period
-- credit: account_owner
-- additivity: ratio
-- entities: manager, team, company
-- facets: money
-- requires: receivables
-- direction: down
-- counts_until: period
-- description_ru: Долг, срок которого прошёл, ко всему долгу по учёту, на последний день периода, за который учёт его сообщил.
-- description_en: Debt past its due day over all debt in accounting, on the last day of the period for which accounting stated it.

WITH latest AS (
    SELECT d.period, r.source, max(r.local_date) AS local_date
    FROM calc.receivables AS r
    JOIN period_days AS d ON d.day = r.local_date
    WHERE r.occurred_at < d.as_of
    GROUP BY d.period, r.source
)

SELECT
    l.period,
    'document' AS record_type,
    r.source,
    r.receivable_id AS record_id,
    r.occurred_at,
    r.person_id,
    r.team,
    r.credit_precision,
    r.overdue AS num,
    r.amount AS den,
    r.excluded_by
FROM latest AS l
JOIN calc.receivables AS r ON r.source = l.source AND r.local_date = l.local_date
