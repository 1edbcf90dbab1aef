-- key: I-15
-- label_ru: Найдено только сверкой
-- label_en: Found only by reconciliation
-- rule_ru: Сделка, которую обычные загрузки пропустили, или которая изменилась, а время изменения осталось прежним. Её нашло полное чтение (sync --full).
-- rule_en: A deal that ordinary loads had missed, or that changed while its time of change stayed. A full reading (sync --full) found it.
-- detail_ru: missed: Загрузки её не видели, нашлась при сверке {found_at}. | edited: Изменена без изменения времени, нашлось при сверке {found_at}.
-- detail_en: missed: No load had met it; found by reconciliation at {found_at}. | edited: Changed while its time of change stayed; found by reconciliation at {found_at}.
-- facets: crm
-- counts_until: period

-- A record belongs to the moment until which its stream had claimed to be complete.
SELECT
    p.period,
    'deal' AS record_type,
    f.source,
    f.record_id,
    f.believed_until - INTERVAL 1 MICROSECOND AS occurred_at,
    d.person_id,
    f.source AS deal_source,
    f.record_id AS deal_id,
    f.kind AS form,
    f.found_at
FROM meta.drift AS f
JOIN core.deals AS d ON d.source = f.source AND d.deal_id = f.record_id
JOIN periods AS p ON f.believed_until > p.starts_at AND f.believed_until <= p.ends_at
WHERE f.kind IN ('missed', 'edited')
    -- amoCRM calls its deals leads; a Bitrix24 lead is no deal.
    AND (
        f.stream = 'deals'
        OR (f.stream = 'leads' AND f.source NOT IN (SELECT source FROM core.leads))
    )
QUALIFY row_number() OVER (PARTITION BY p.period, f.source, f.record_id ORDER BY f.found_at DESC) = 1
