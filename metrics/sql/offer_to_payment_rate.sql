-- key: offer_to_payment_rate
-- number: 18
-- label_ru: КП → оплата
-- label_en: Offer to payment
-- unit: ratio
-- group: conversion
-- evidence_class: logged
-- event_time: paid event; first touch of the stage
-- credit: owner_at_payment
-- additivity: ratio
-- entities: manager, team, company
-- by: pipeline, source
-- facets: crm, money
-- requires: stage:offer
-- rules: dup_days, paid_threshold, match_days
-- counts_until: period
-- description_ru: Оплаченные сделки периода к отправленным КП периода, каких бы сделок они ни были; полный возврат вычитается в своём периоде.
--   Оплата — за ответственным на день платежа, КП — за ответственным в его момент.
-- description_en: The period's paid deals over its offers sent, whatever their deals; a full refund is taken off in its own period.
--   A payment is credited to the responsible person of its day, an offer to the one of its moment.

SELECT
    d.period,
    'deal' AS record_type,
    k.source,
    k.deal_id AS record_id,
    k.pipeline_id,
    k.touched_at AS occurred_at,
    k.person_id,
    k.team,
    k.credit_precision,
    'logged' AS evidence_class,
    0 AS num,
    1 AS den,
    k.excluded_by
FROM calc.kind_touches AS k
JOIN period_days AS d ON d.day = k.local_date
WHERE k.kind = 'offer'
UNION ALL
SELECT
    d.period,
    'deal',
    p.source,
    p.deal_id,
    p.pipeline_id,
    p.occurred_at,
    p.person_id,
    p.team,
    p.credit_precision,
    CASE p.due_origin WHEN 'order' THEN 'hard' ELSE 'logged' END,
    p.sign,
    0,
    NULL
FROM calc.paid_deals AS p
JOIN period_days AS d ON d.day = p.local_date
