-- key: I-06
-- label_ru: Возврат из «успешно» или из проигранных
-- label_en: Reopened after lost, or won reverted
-- rule_ru: Сделка вышла с завершающего этапа. Каждый период считает своё последнее завершение, прошлые не меняются.
-- rule_en: A deal left a closing stage. Each period counts its own last ending; earlier ones stay as they are.
-- detail_ru: lost: Проигранная сделка снова в работе с {moved_at}: этап «{stage}». | won: «Успешно» отменено {moved_at}: этап «{stage}».
-- detail_en: lost: A lost deal is at work again since {moved_at}: stage "{stage}". | won: Won was reverted at {moved_at}: stage "{stage}".
-- facets: crm
-- requires: stage:won, stage:lost
-- counts_until: period

SELECT
    d.period,
    'deal' AS record_type,
    e.source,
    e.deal_id AS record_id,
    e.entered_at AS occurred_at,
    e.person_id,
    e.source AS deal_source,
    e.deal_id,
    e.from_kind AS form,
    e.entered_at AS moved_at,
    coalesce(s.name, e.stage_id) AS stage
FROM calc.stage_events AS e
JOIN period_days AS d ON d.day = e.local_date AND e.entered_at < d.as_of
LEFT JOIN stage_names AS s ON s.source = e.source AND s.pipeline_id = e.pipeline_id AND s.stage_id = e.stage_id
WHERE e.from_kind IN ('lost', 'won') AND e.kind IS DISTINCT FROM e.from_kind
QUALIFY row_number() OVER (PARTITION BY d.period, e.source, e.deal_id ORDER BY e.entered_at DESC) = 1
