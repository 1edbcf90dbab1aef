-- key: I-12
-- label_ru: Серия звонков у порога
-- label_en: Short-call series
-- rule_ru: За день у сотрудника short_call_count звонков и больше с разговором в пределах short_call_band_seconds секунд от порога успешного звонка.
-- rule_en: In a day a person has short_call_count calls or more with talk within short_call_band_seconds seconds of the successful-call threshold.
-- detail_ru: Звонков у порога за {day}: {count}, разговор от {shortest} до {longest} с. Звонки: {calls}.
-- detail_en: Calls near the threshold on {day}: {count}, talk from {shortest} to {longest} s. Calls: {calls}.
-- facets: calls
-- requires: people
-- rules: successful_call_seconds, successful_call_seconds_by_pipeline, short_call_count, short_call_band_seconds
-- counts_until: period

WITH near AS (
    SELECT d.period, l.short_call_count, c.*
    FROM calc.calls AS c
    JOIN period_days AS d ON d.day = c.local_date AND c.started_at < d.as_of
    CROSS JOIN limits AS l
    LEFT JOIN call_limits AS exact ON exact.source = c.deal_source AND exact.pipeline_id = c.pipeline_id
    LEFT JOIN call_limits AS loose ON loose.source = '' AND loose.pipeline_id = c.pipeline_id
    WHERE c.excluded_by IS NULL
        AND c.is_answered
        AND c.person_id IS NOT NULL
        AND abs(c.talk_seconds - coalesce(exact.seconds, loose.seconds, l.successful_call_seconds))
            <= l.short_call_band_seconds
)

SELECT
    period,
    'call' AS record_type,
    arg_min(source, (started_at, call_id)) AS source,
    arg_min(call_id, (started_at, call_id)) AS record_id,
    min(started_at) AS occurred_at,
    person_id,
    local_date AS day,
    count(*) AS count,
    min(talk_seconds) AS shortest,
    max(talk_seconds) AS longest,
    list(call_id ORDER BY started_at, call_id) AS calls
FROM near
GROUP BY period, person_id, local_date
HAVING count(*) >= any_value(short_call_count)
