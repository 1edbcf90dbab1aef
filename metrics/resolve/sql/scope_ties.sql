-- What records are tied by: whatever a step compares records of two owners by, or finds one record from another with.
-- Two records that share a tie, over any number of steps, are one cluster; nothing resolve makes of a record depends on
-- another cluster (scope.py). In: core, calc.number_keys, calc.payment_numbers. Out: next_ties.

CREATE OR REPLACE TEMP TABLE next_ties AS
WITH told AS (
    SELECT node_of('deal', source, deal_id) AS owner, source, company_id, tax_id, order_id, invoice_number,
        contract_number, amount, currency
    FROM core.deals
),

paid AS (
    SELECT node_of('payment', source, payment_id) AS owner, *,
        kind IN ('customer', 'refund') AS is_matched
    FROM core.payments
),

ties AS (
    SELECT owner, 'record' AS kind, node_of('company', source, company_id) AS tie FROM told
    UNION ALL SELECT owner, 'record', node('tax', tie_tax(tax_id)) FROM told
    UNION ALL SELECT owner, 'record', node('order', nullif(trim(order_id), '')) FROM told
    UNION ALL
    SELECT told.owner, 'record', unnest([node('number', keys.number_key), node('invoice', keys.short_key)])
    FROM told JOIN calc.number_keys AS keys ON keys.number = told.invoice_number
    UNION ALL
    SELECT told.owner, 'record', node('contract', keys.short_key)
    FROM told JOIN calc.number_keys AS keys ON keys.number = told.contract_number
    UNION ALL SELECT owner, 'asks', asked_node(currency, amount) FROM told WHERE amount > 0
    -- Rows of these two lists are deleted when the list comes without them: the tie remembers that there was one.
    UNION ALL
    SELECT node_of('deal', source, deal_id), 'contact', node_of('contact', source, contact_id) FROM core.deal_contacts
    UNION ALL
    SELECT node_of('payment', source, payment_id), 'part', node('order', order_id) FROM core.payment_parts

    UNION ALL SELECT node_of('contact', source, contact_id), 'record', node('phone', phone) FROM core.contact_phones
    UNION ALL SELECT node_of('contact', source, contact_id), 'record', node('tax', tie_tax(tax_id)) FROM core.contacts
    UNION ALL
    SELECT node_of('contact', source, contact_id), 'record', node_of('email', source, lower(unnest(emails)))
    FROM core.contacts
    UNION ALL SELECT node_of('company', source, company_id), 'record', node('tax', tie_tax(tax_id)) FROM core.companies
    UNION ALL SELECT node_of('company', source, company_id), 'record', node('phone', unnest(phones)) FROM core.companies

    -- Copies of one movement agree in these three at least (money_payments.sql).
    UNION ALL
    SELECT owner, 'record', node('copy', own_account || ':' || paid_on || ':' || amount)
    FROM paid WHERE coalesce(own_account, '') <> '' AND is_deleted IS NOT TRUE
    UNION ALL SELECT owner, 'record', node('tax', tie_tax(payer_tax_id)) FROM paid WHERE is_matched
    UNION ALL SELECT owner, 'record', node('account', nullif(trim(payer_account), '')) FROM paid WHERE is_matched
    UNION ALL SELECT owner, 'record', node('name', nullif(upper(trim(payer_name)), '')) FROM paid WHERE is_matched
    UNION ALL SELECT owner, 'record', node('order', nullif(trim(order_id), '')) FROM paid
    UNION ALL
    SELECT paid.owner, 'record', node('invoice', keys.short_key)
    FROM paid JOIN calc.number_keys AS keys ON keys.number = paid.invoice_number
    UNION ALL
    SELECT paid.owner, 'record', node('contract', keys.short_key)
    FROM paid JOIN calc.number_keys AS keys ON keys.number = paid.contract_number
    UNION ALL
    SELECT paid.owner, 'record',
        CASE numbers.role WHEN 'contract' THEN node('contract', numbers.short_key)
            WHEN 'tax_id' THEN node('tax', numbers.number_key)
            WHEN 'invoice' THEN node('invoice', numbers.short_key)
            WHEN 'order' THEN node('invoice', numbers.short_key) END
    FROM paid JOIN calc.payment_numbers AS numbers
        ON numbers.source = paid.source AND numbers.payment_id = paid.payment_id
    WHERE paid.is_matched
    UNION ALL
    SELECT node_of('payment', source, payment_id), 'record', node_of('deal', deal_source, deal_id) FROM core.matches

    UNION ALL
    SELECT node_of('order', orders.source, orders.order_id), 'record', unnest([
        node('order', orders.order_id), node('order', orders.based_on_order_id),
        node_of('deal', orders.deal_source, orders.deal_id),
        node('number', keys.number_key), node('invoice', keys.short_key)
    ])
    FROM core.orders AS orders
    LEFT JOIN calc.number_keys AS keys ON keys.number = orders.number
    UNION ALL
    SELECT node_of('order', source, order_id), 'asks', asked_node(currency, amount) FROM core.orders WHERE amount > 0
    UNION ALL
    SELECT node_of('invoice', invoices.source, invoices.invoice_id), 'record',
        unnest([node_of('deal', invoices.deal_source, invoices.deal_id), node('invoice', keys.short_key)])
    FROM core.invoices AS invoices
    LEFT JOIN calc.number_keys AS keys ON keys.number = invoices.number
    UNION ALL
    SELECT node_of('shipment', shipments.source, shipments.document_id), 'record', unnest([
        node_of('deal', shipments.deal_source, shipments.deal_id), node('order', shipments.order_id),
        node('number', keys.number_key)
    ])
    FROM core.sales_documents AS shipments
    LEFT JOIN calc.number_keys AS keys ON keys.number = shipments.number
    UNION ALL
    SELECT node_of('cost', costs.source, costs.cost_id), 'record',
        unnest([node_of('deal', costs.deal_source, costs.deal_id), node('number', keys.number_key)])
    FROM core.costs AS costs
    LEFT JOIN calc.number_keys AS keys ON keys.number = costs.number
    UNION ALL
    SELECT node_of('receivable', source, receivable_id), 'record', node_of('deal', deal_source, deal_id)
    FROM core.receivables
)

SELECT DISTINCT owner, kind, tie FROM ties WHERE owner IS NOT NULL AND tie IS NOT NULL;
