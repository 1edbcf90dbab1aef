-- A warehouse to be published, as large as real ones are by the row: long titles and purposes, hashed ids, field values.
-- In: variables calls and people (contacts, deals and payments each). A record's values hang on its number alone.

CREATE OR REPLACE TEMP MACRO dice(number, salt, sides) AS CAST(hash(number, salt) % CAST(sides AS UBIGINT) AS BIGINT);
CREATE OR REPLACE TEMP MACRO one_of(number, salt, words) AS words[1 + dice(number, salt, len(words))];
CREATE OR REPLACE TEMP MACRO phone_of(number) AS
    '+79' || lpad(CAST(dice(number % getvariable('people'), 1, 1000000000) AS VARCHAR), 9, '0');
CREATE OR REPLACE TEMP MACRO tax_id_of(number) AS CAST(7700000000 + dice(number, 2, 90000) AS VARCHAR);
CREATE OR REPLACE TEMP MACRO invoice_of(number) AS 'РИ-' || lpad(CAST(number AS VARCHAR), 8, '0');
CREATE OR REPLACE TEMP MACRO instant(number, seconds) AS
    TIMESTAMPTZ '2024-01-01 06:00:00+00' + to_seconds(CAST(number * seconds AS BIGINT));

INSERT INTO core.calls BY NAME
SELECT 'mango' AS source, 'MToxOjEwMD' || hex(hash(range)) AS call_id, instant(range, 20) AS started_at,
    CAST(started_at AS DATE) AS local_date, if(range % 3 = 0, 'in', 'out') AS direction,
    phone_of(range) AS external_number, ltrim(external_number, '+') AS external_number_raw,
    CAST(100 + range % 40 AS VARCHAR) AS extension, 'p' || range % 40 AS person_id, range % 4 <> 0 AS is_answered,
    dice(range, 3, 600) AS talk_seconds, 1 AS leg_count, range AS version, started_at AS loaded_at
FROM range(getvariable('calls'));

INSERT INTO calc.calls BY NAME
SELECT source, call_id, started_at, local_date, direction, external_number, extension, person_id, talk_seconds,
    is_answered, direction = 'out' AS is_attempt
FROM core.calls;

INSERT INTO core.contacts BY NAME
SELECT 'amo' AS source, CAST(range AS VARCHAR) AS contact_id,
    'Имя' || range % 997 || ' Фамилия' || dice(range, 4, 90000) AS name, [phone_of(range)] AS phones,
    ['user' || range || '@example.ru'] AS emails, range AS version
FROM range(getvariable('people'));

INSERT INTO core.contact_phones BY NAME
SELECT source, contact_id, unnest(phones) AS phone, make_timestamptz(0) AS first_seen_at, version FROM core.contacts;

INSERT INTO core.deals BY NAME
SELECT 'amo' AS source, CAST(range AS VARCHAR) AS deal_id, '7' AS pipeline_id,
    CAST(dice(range, 5, 8) AS VARCHAR) AS stage_id,
    one_of(range, 6, ['Поставка', 'Монтаж', 'Проект', 'Ремонт']) || ' оборудования по запросу № '
        || dice(range, 7, 10000000) || ' для ООО «Заказчик ' || dice(range, 2, 90000) || '», '
        || one_of(range, 8, ['Казань', 'Пермь', 'Тула']) AS title,
    CAST(dice(range, 9, 900000) AS DECIMAL(18, 2)) AS amount, 'RUB' AS currency, invoice_of(range) AS invoice_number,
    tax_id_of(range) AS tax_id, 'https://example.amocrm.ru/leads/detail/' || range AS url,
    instant(range, 40) AS created_at, created_at + to_seconds(dice(range, 10, 2000000)) AS updated_at, range AS version
FROM range(getvariable('people'));

INSERT INTO core.deal_events BY NAME
SELECT 'amo' AS source, '01j' || hex(hash(range)) AS event_id, CAST(range // 3 AS VARCHAR) AS deal_id,
    'stage' AS event_type, instant(range, 13) + to_seconds(dice(range, 11, 90000)) AS occurred_at,
    CAST(dice(range, 12, 8) AS VARCHAR) AS from_value, CAST(dice(range, 13, 8) AS VARCHAR) AS to_value,
    '7' AS from_pipeline_id, '7' AS pipeline_id, to_value AS stage_id, CAST(dice(range, 14, 40) AS VARCHAR) AS user_id,
    'log' AS precision, epoch_us(occurred_at) AS version, occurred_at AS loaded_at
FROM range(getvariable('people') * 3);

INSERT INTO core.custom_field_values BY NAME
SELECT 'amo' AS source, 'deal' AS entity_type, CAST(range // 4 AS VARCHAR) AS record_id,
    CAST(500 + range % 4 AS VARCHAR) AS field_id, 0 AS position,
    CASE range % 4
        WHEN 0 THEN 'Звонить после обеда, спросить ' || dice(range, 15, 90000)
        WHEN 1 THEN 'yandex'
        WHEN 2 THEN 'Доставка: ул. Ленина, д. ' || dice(range, 16, 300) || ', кв. ' || dice(range, 17, 900)
        ELSE 'utm-' || dice(range, 18, 5000)
    END AS text_value,
    range AS version
FROM range(getvariable('people') * 4);

INSERT INTO core.payments BY NAME
SELECT 'bank' AS source, '40702810600000000101-' || hex(hash(range)) AS payment_id,
    DATE '2024-01-01' + CAST(range * 700 // getvariable('people') AS INTEGER) AS paid_on,
    CAST(1000 + dice(range, 19, 90000000) / 100 AS DECIMAL(18, 2)) AS amount, 'RUB' AS currency, 'customer' AS kind,
    'ООО "Заказчик ' || dice(range, 2, 90000) || '"' AS payer_name, tax_id_of(range) AS payer_tax_id,
    '407028104' || lpad(CAST(dice(range, 2, 90000) AS VARCHAR), 11, '0') AS payer_account,
    '40702810600000000101' AS own_account,
    'Оплата по счету № ' || invoice_of(range) || ' от ' || strftime(paid_on - 9, '%d.%m.%Y') || ' за '
        || one_of(range, 20, ['оборудование', 'монтаж и пусконаладку', 'сервисное обслуживание', 'запасные части'])
        || ' по договору № ' || dice(range, 21, 5000) || '/25. Сумма ' || amount || ' руб. В т.ч. НДС (22%) '
        || round(amount * 22 / 122, 2) AS purpose,
    CAST(range % 1000000 AS VARCHAR) AS document_number, paid_on AS document_on, invoice_of(range) AS invoice_number,
    'kl_to_1c.txt' AS file, 'statement' AS channel, range AS version, make_timestamptz(0) AS loaded_at
FROM range(getvariable('people'));

INSERT INTO calc.payment_numbers BY NAME
SELECT source, payment_id, 0 AS ordinal, 'invoice' AS role, invoice_number AS number_key,
    ltrim(right(invoice_number, 8), '0') AS short_key, document_on AS issued_on, hex(hash(purpose)) AS digest
FROM core.payments;

INSERT INTO calc.deal_customers BY NAME
SELECT source, deal_id, 'tax:' || tax_id AS customer_id FROM core.deals;
