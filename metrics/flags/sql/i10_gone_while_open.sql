-- key: I-10
-- label_ru: Сделка удалена или слита открытой
-- label_en: Deal deleted or merged while open
-- rule_ru: Открытая сделка удалена или слита с другой. Из баз она не уходит и считается не выигранной.
-- rule_en: An open deal was deleted, or merged into another. It leaves no base and counts as not won.
-- detail_ru: deleted: Удалена {gone_at}, не завершена. | merged: Слита с другой сделкой {gone_at}, не завершена.
-- detail_en: deleted: Deleted at {gone_at} while open. | merged: Merged into another deal at {gone_at} while open.
-- facets: crm
-- counts_until: period

SELECT
    d.period,
    'deal' AS record_type,
    t.source,
    t.deal_id AS record_id,
    t.occurred_at,
    t.person_id,
    t.source AS deal_source,
    t.deal_id,
    t.outcome AS form,
    t.occurred_at AS gone_at
FROM calc.terminal_events AS t
JOIN period_days AS d ON d.day = t.local_date AND t.occurred_at < d.as_of
WHERE t.outcome IN ('deleted', 'merged')
QUALIFY row_number() OVER (PARTITION BY d.period, t.source, t.deal_id ORDER BY t.occurred_at DESC) = 1
