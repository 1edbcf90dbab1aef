-- key: pipeline_amount
-- number: 39
-- label_ru: Сумма сделок в работе
-- label_en: Amount of open deals
-- unit: money
-- group: pipeline
-- evidence_class: declared
-- event_time: as_of
-- credit: owner_at_event
-- additivity: snapshot
-- entities: manager, team, company
-- by: pipeline, source
-- facets: crm
-- requires: stages
-- rules: dup_days
-- counts_until: period
-- description_ru: Суммы открытых сделок на конец периода или на дату полноты данных, какими они тогда были в CRM.
-- description_en: Amounts of the deals open at the period's end, or when the data ends, as the CRM had them then.

SELECT
    p.period,
    'deal' AS record_type,
    o.source,
    o.deal_id AS record_id,
    o.pipeline_id,
    o.valid_from AS occurred_at,
    o.person_id,
    o.team,
    o.credit_precision,
    o.amount AS num,
    o.excluded_by AS excluded_by
FROM periods AS p
JOIN calc.open_deals AS o ON o.valid_from < p.as_of AND o.valid_to >= p.as_of
