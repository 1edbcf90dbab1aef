-- A company's history as conforming would have left it, made by SQL: deals with their logs, calls, payments.
-- In: variables deals, calls (of a deal), months, until (the day after the last), zone. Deterministic: a record's values hang on its number alone.

CREATE OR REPLACE TEMP MACRO dice(number, salt, sides) AS CAST(hash(number, salt) % CAST(sides AS UBIGINT) AS BIGINT);
CREATE OR REPLACE TEMP MACRO chance(number, salt) AS (hash(number, salt) % 1000000) / 1e6;
CREATE OR REPLACE TEMP MACRO phone_of(contact) AS '+79' || lpad(CAST(contact AS VARCHAR), 9, '0');

CREATE OR REPLACE TEMP TABLE told_stages AS
SELECT * FROM (VALUES
    (0, '10', 'new', 10, 'base', 1.0), (1, '20', 'qualified', 20, 'qualified', 0.85),
    (2, '30', 'meeting', 30, 'meeting', 0.62), (3, '40', 'offer', 40, 'offer', 0.52),
    (4, '50', 'invoice', 50, 'invoice', 0.42), (5, '142', 'won', 100, 'won', 0.32),
    (6, '143', 'lost', 110, 'lost', 0.0)
) AS stages (step, stage_id, name, position, kind, reached);

-- Deals are spread evenly over the months; one in eight is a customer's who bought before.
CREATE OR REPLACE TEMP TABLE told_deals AS
WITH numbered AS (
    SELECT range AS number, getvariable('deals') AS deals,
        timezone(getvariable('zone'), CAST(getvariable('until') AS TIMESTAMP)) AS ends_at
    FROM range(getvariable('deals'))
)
SELECT
    number,
    'D' || number AS deal_id,
    CAST(CASE WHEN number % 8 = 7 AND number >= deals // 5 THEN (number - deals // 5) // 8 * 8 ELSE number END AS BIGINT)
        AS contact,
    CAST(1 + dice(number, 1, 200) AS VARCHAR) AS owner_id,
    CAST(2000 + dice(number, 2, 39800) * 10 AS DECIMAL(18, 2)) AS amount,
    chance(number, 3) AS luck,
    ends_at - to_seconds(CAST((deals - number) * (getvariable('months') * 30.4 * 86400) / deals AS BIGINT)) AS created_at,
    ends_at
FROM numbered;

INSERT INTO core.deal_events
    (source, event_id, deal_id, event_type, occurred_at, from_value, to_value, from_pipeline_id, pipeline_id, stage_id,
    user_id, precision, version, loaded_at)
WITH moves AS (
    SELECT deal.*, stage.step, stage.stage_id,
        deal.created_at + to_seconds(stage.step * 86400 + stage.step * dice(deal.number, 10 + stage.step, 400000))
            AS moved_at
    FROM told_deals AS deal
    JOIN told_stages AS stage ON stage.step BETWEEN 1 AND 5 AND deal.luck < stage.reached
    UNION ALL
    SELECT deal.*, 6, '143', deal.created_at + to_seconds(30 * 86400 + dice(deal.number, 16, 1000000))
    FROM told_deals AS deal
    -- Every deal ends within six weeks: left open they would add up, and a month of a longer history be a larger month.
    WHERE deal.luck >= 0.32
),
entered AS (
    SELECT *, coalesce(lag(stage_id) OVER (PARTITION BY number ORDER BY moved_at), '10') AS before FROM moves
),
events AS (
    SELECT number, 0 AS place, deal_id, 'created' AS event_type, created_at AS occurred_at,
        NULL AS from_value, NULL AS to_value, NULL AS stage_id, owner_id, ends_at
    FROM told_deals
    UNION ALL
    SELECT number, step, deal_id, 'stage', moved_at, before, stage_id, stage_id, owner_id, ends_at FROM entered
    UNION ALL
    SELECT number, 7, deal_id, 'owner', created_at + to_seconds(dice(number, 21, 1500000)),
        CAST(1 + dice(number, 22, 200) AS VARCHAR), owner_id, NULL, owner_id, ends_at
    FROM told_deals WHERE number % 3 = 0
    UNION ALL
    SELECT number, 8, deal_id, 'amount', created_at + to_seconds(dice(number, 23, 1500000)),
        CAST(amount + 500 AS VARCHAR), CAST(amount AS VARCHAR), NULL, owner_id, ends_at
    FROM told_deals WHERE number % 2 = 0
)
SELECT 'amo', 'E' || lpad(CAST(number AS VARCHAR), 9, '0') || place, deal_id, event_type, occurred_at,
    from_value, to_value, CASE WHEN event_type = 'stage' THEN '7' END, CASE WHEN event_type = 'stage' THEN '7' END,
    stage_id, owner_id, 'log', epoch_us(occurred_at), ends_at
FROM events
WHERE occurred_at < ends_at;

CREATE OR REPLACE TEMP TABLE told_now AS
SELECT deal_id,
    arg_max(stage_id, occurred_at) FILTER (event_type = 'stage') AS stage_id,
    max(occurred_at) FILTER (event_type = 'stage' AND stage_id IN ('142', '143')) AS closed_at,
    max(occurred_at) FILTER (event_type = 'stage' AND stage_id = '142') AS won_at,
    max(occurred_at) AS updated_at
FROM core.deal_events GROUP BY deal_id;

INSERT INTO core.deals
    (source, deal_id, pipeline_id, stage_id, owner_id, company_id, title, amount, currency, created_at, updated_at,
    closed_at, invoice_number, tax_id, is_deleted, version, loaded_at)
SELECT 'amo', deal.deal_id, '7', coalesce(now.stage_id, '10'), deal.owner_id, NULL, 'Deal ' || deal.number,
    deal.amount, 'RUB', deal.created_at, now.updated_at, now.closed_at,
    CASE WHEN deal.luck < 0.42 THEN 'РИ-' || lpad(CAST(deal.number AS VARCHAR), 8, '0') END,
    CASE WHEN deal.contact % 5 <> 0 THEN lpad(CAST(77000000 + deal.contact AS VARCHAR), 10, '0') END,
    FALSE, epoch_us(now.updated_at), deal.ends_at
FROM told_deals AS deal
JOIN told_now AS now ON now.deal_id = deal.deal_id;

INSERT INTO core.contacts (source, contact_id, name, phones, emails, created_at, updated_at, version, loaded_at)
SELECT 'amo', 'K' || contact, 'Contact ' || contact, [phone_of(contact)], [], min(created_at), min(created_at), 1,
    any_value(ends_at)
FROM told_deals GROUP BY contact;

INSERT INTO core.contact_phones (source, contact_id, phone, first_seen_at, last_seen_at, version, loaded_at)
SELECT source, contact_id, phones[1], created_at, created_at, 1, loaded_at FROM core.contacts;

INSERT INTO core.deal_contacts (source, deal_id, contact_id, is_main, version, loaded_at)
SELECT 'amo', deal_id, 'K' || contact, TRUE, 1, ends_at FROM told_deals;

-- So many calls a deal: four of five with its customer in the weeks after its creation, the others with strangers.
INSERT INTO core.calls
    (source, call_id, started_at, local_date, direction, external_number, external_number_raw, line, extension,
    is_answered, talk_seconds, duration_seconds, leg_count, version, loaded_at)
WITH told AS (
    SELECT number * getvariable('calls') + place.range AS number, place.range AS place, contact, ends_at,
        created_at + to_seconds(600 + place.range * 86400 + dice(number * getvariable('calls') + place.range, 31, 200000))
            AS started_at
    FROM told_deals
    CROSS JOIN range(getvariable('calls')) AS place
),
rolled AS (
    SELECT *,
        CASE WHEN dice(number, 32, 20) = 0 THEN 'internal' WHEN dice(number, 32, 20) < 8 THEN 'in' ELSE 'out' END
            AS direction,
        CASE WHEN place % 10 < 8 THEN phone_of(contact) ELSE '+74' || lpad(CAST(dice(number, 33, 3000000) AS VARCHAR), 9, '0')
        END AS phone,
        CASE WHEN dice(number, 34, 10) < 3 THEN 0 ELSE 5 + dice(number, 35, 400) END AS talk
    FROM told
)
SELECT 'mango', 'C' || number, started_at, CAST(timezone(getvariable('zone'), started_at) AS DATE), direction,
    CASE WHEN direction <> 'internal' THEN phone END, phone, '74951234567',
    CASE WHEN talk > 0 OR direction <> 'in' THEN CAST(1001 + dice(number, 36, 200) AS VARCHAR) END,
    talk > 0, talk, talk + 12, 1, 1, ends_at
FROM rolled
WHERE started_at < ends_at;

-- A payment a deal on average: won deals are paid in one to three parts, some give back; the rest is no customer's.
INSERT INTO core.payments
    (source, payment_id, paid_on, amount, currency, amount_reporting, kind, payer_name, payer_tax_id, payer_account,
    own_account, purpose, document_number, document_on, is_deleted, version, loaded_at)
WITH parts AS (
    SELECT deal.*, place.range AS place, 1 + deal.number % 3 AS parts,
        CAST(timezone(getvariable('zone'), now.won_at) AS DATE) + CAST(place.range * 9 AS INTEGER) AS paid_on
    FROM told_deals AS deal
    JOIN told_now AS now ON now.deal_id = deal.deal_id
    CROSS JOIN range(4) AS place
    WHERE now.won_at IS NOT NULL AND (place.range <= deal.number % 3 OR (place.range = 3 AND deal.number % 20 = 0))
),
customers AS (
    SELECT number * 4 + place AS payment, paid_on, ends_at, contact, place = 3 AS is_refund,
        CAST(round(CASE WHEN place = 3 THEN -amount / 10 ELSE amount / parts END, 2) AS DECIMAL(18, 2)) AS amount,
        CASE WHEN place = 3 THEN 'Возврат излишне перечисленных средств по счету № РИ-' || lpad(CAST(number AS VARCHAR), 8, '0')
            WHEN dice(number, 41, 100) < 75
                THEN 'Оплата по счету № РИ-' || lpad(CAST(number AS VARCHAR), 8, '0') || '. В т.ч. НДС (22%)'
            ELSE 'Оплата за инструмент. НДС не облагается' END AS purpose
    FROM parts
),
others AS (
    SELECT getvariable('deals') * 4 + number AS payment, CAST(timezone(getvariable('zone'), created_at) AS DATE) AS paid_on,
        ends_at, dice(number, 42, 5000) AS supplier, CAST(-500 * (1 + dice(number, 43, 400)) AS DECIMAL(18, 2)) AS amount
    FROM told_deals WHERE chance(number, 44) < 0.4
)
SELECT 'accounting', 'P' || payment, paid_on, amount, 'RUB', NULL, CASE WHEN is_refund THEN 'refund' ELSE 'customer' END,
    'Customer ' || contact, lpad(CAST(77000000 + contact AS VARCHAR), 10, '0'),
    '40702810' || lpad(CAST(contact AS VARCHAR), 12, '0'), '40702810600000000101', purpose,
    CAST(payment % 1000000 AS VARCHAR), paid_on, FALSE, 1, ends_at
FROM customers WHERE paid_on < getvariable('until')
UNION ALL
SELECT 'accounting', 'P' || payment, paid_on, amount, 'RUB', NULL, 'other', 'Supplier ' || supplier,
    lpad(CAST(99000000 + supplier AS VARCHAR), 10, '0'), '40702810' || lpad(CAST(900000000 + supplier AS VARCHAR), 12, '0'),
    '40702810600000000101', 'Оплата поставщику за товар', CAST(payment % 1000000 AS VARCHAR), paid_on, FALSE, 1, ends_at
FROM others WHERE paid_on < getvariable('until');

INSERT INTO core.stages (source, pipeline_id, stage_id, name, position, kind, valid_from, is_guess)
SELECT 'amo', '7', stage_id, name, position, kind, DATE '1900-01-01', FALSE FROM told_stages;

INSERT INTO core.people (person_id, name, team, role, valid_from)
SELECT 'P' || range, 'Person ' || range, 'Team ' || range % 12, 'manager', DATE '1900-01-01' FROM range(1, 201);

INSERT INTO core.identities (person_id, source, external_id, valid_from)
SELECT 'P' || range, 'amo', CAST(range AS VARCHAR), DATE '1900-01-01' FROM range(1, 201)
UNION ALL
SELECT 'P' || range, 'mango', CAST(1000 + range AS VARCHAR), DATE '1900-01-01' FROM range(1, 201);

INSERT INTO core.lines (source, line, team) VALUES ('mango', '74951234567', 'Team 1');

INSERT INTO meta.coverage (source, stream, complete_until, facet)
SELECT source, stream, timezone(getvariable('zone'), CAST(getvariable('until') AS TIMESTAMP)), facet
FROM (VALUES ('amo', 'leads', 'crm'), ('mango', 'calls', 'calls'), ('accounting', 'statements', 'money'))
    AS streams (source, stream, facet);
