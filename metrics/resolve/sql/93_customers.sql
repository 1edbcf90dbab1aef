-- The customer behind deals and payments (metrics.md 2.4): taxpayer id, else payer id in accounting, else the CRM's
-- company or contact, those that share a phone being one.

-- Banks write ИНН=0 for private persons; sheets lose leading zeros.
CREATE OR REPLACE TEMP MACRO tax_customer(tax_id) AS 'tax:' || nullif(ltrim(trim(tax_id), '0'), '');

CREATE OR REPLACE TEMP TABLE payers AS
SELECT
    source,
    payment_id,
    tax_customer(payer_tax_id) AS by_tax,
    'payer:' || coalesce(nullif(trim(payer_account), ''), nullif(upper(trim(payer_name)), '')) AS by_payer
FROM core.payments;

-- Companies and contacts as a graph with phones between them: only a shared phone joins anything.
CREATE OR REPLACE TEMP TABLE party_links AS
WITH parties AS (
    SELECT 'contact:' || source || ':' || contact_id AS party, 'phone:' || phone AS phone
    FROM core.contact_phones
    UNION
    SELECT 'company:' || source || ':' || company_id, 'phone:' || unnest(phones)
    FROM core.companies
),

shared AS (
    SELECT * FROM parties WHERE phone IS NOT NULL QUALIFY count(*) OVER (PARTITION BY phone) > 1
)

SELECT party AS node, phone AS neighbour FROM shared
UNION ALL
SELECT phone, party FROM shared;

-- Everyone takes the smallest name within reach; only what changed goes on.
CREATE OR REPLACE TEMP TABLE party_roots AS
WITH RECURSIVE roots (node, root) USING KEY (node) AS (
    SELECT DISTINCT node, node FROM party_links
    UNION
    SELECT link.neighbour, min(roots.root)
    FROM roots
    JOIN party_links AS link ON link.node = roots.node
    JOIN recurring.roots AS known ON known.node = link.neighbour
    WHERE roots.root < known.root
    GROUP BY link.neighbour
)

SELECT node AS party, root FROM roots;

CREATE OR REPLACE TEMP TABLE next_deal_customers AS
WITH paid_by AS (
    SELECT part.deal_source, part.deal_id,
        arg_min(payer, (part.local_date, part.source, part.payment_id)) AS payer
    FROM next_payments AS part
    JOIN payers AS payer ON payer.source = part.source AND payer.payment_id = part.payment_id
    WHERE part.deal_id <> '' AND part.excluded_by IS NULL AND NOT part.is_refund
    GROUP BY part.deal_source, part.deal_id
),

contacts AS (
    SELECT link.source, link.deal_id,
        arg_min(contact.contact_id, (link.is_main IS NOT TRUE, length(contact.contact_id), contact.contact_id))
            AS contact_id,
        -- Contacts of several taxpayers tell nothing.
        CASE WHEN count(DISTINCT tax_customer(contact.tax_id)) = 1 THEN min(tax_customer(contact.tax_id)) END AS by_tax
    FROM core.deal_contacts AS link
    JOIN core.contacts AS contact ON contact.source = link.source AND contact.contact_id = link.contact_id
    GROUP BY link.source, link.deal_id
),

told AS (
    SELECT
        deal.source,
        deal.deal_id,
        coalesce(paid_by.payer.by_tax, tax_customer(deal.tax_id), tax_customer(company.tax_id), contacts.by_tax,
            paid_by.payer.by_payer) AS customer_id,
        coalesce('company:' || deal.source || ':' || nullif(deal.company_id, ''),
            'contact:' || deal.source || ':' || contacts.contact_id) AS party
    FROM core.deals AS deal
    LEFT JOIN paid_by ON paid_by.deal_source = deal.source AND paid_by.deal_id = deal.deal_id
    LEFT JOIN core.companies AS company ON company.source = deal.source AND company.company_id = deal.company_id
    LEFT JOIN contacts ON contacts.source = deal.source AND contacts.deal_id = deal.deal_id
)

SELECT told.source, told.deal_id, coalesce(told.customer_id, root.root, told.party) AS customer_id
FROM told
LEFT JOIN party_roots AS root ON root.party = told.party;

CREATE OR REPLACE TEMP TABLE next_customer_payments AS
WITH told AS (
    SELECT part.*, CASE WHEN part.deal_id = '' THEN coalesce(payer.by_tax, payer.by_payer) ELSE deal.customer_id END
        AS customer_id
    FROM next_payments AS part
    JOIN payers AS payer ON payer.source = part.source AND payer.payment_id = part.payment_id
    LEFT JOIN next_deal_customers AS deal ON deal.source = part.deal_source AND deal.deal_id = part.deal_id
    WHERE part.excluded_by IS NULL AND NOT part.is_refund
),

dated AS (
    SELECT
        *,
        max(local_date) OVER (
            PARTITION BY customer_id ORDER BY local_date
            RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL 1 DAY PRECEDING
        ) AS previous_paid_on,
        row_number() OVER (
            PARTITION BY customer_id, local_date ORDER BY source, payment_id, deal_source, deal_id
        ) = 1 AS is_first_of_day
    FROM told
    WHERE customer_id IS NOT NULL
)

SELECT
    source,
    payment_id,
    deal_source,
    deal_id,
    customer_id,
    local_date,
    occurred_at,
    amount,
    previous_paid_on,
    coalesce(is_first_of_day AND local_date - previous_paid_on >= getvariable('dormant_days'), FALSE) AS is_return,
    person_id,
    team,
    credit_precision
FROM dated;
