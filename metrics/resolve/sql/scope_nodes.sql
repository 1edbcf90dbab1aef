-- Names of records and of what ties them, as numbers; records and ties share one space of them.

-- A tie too many only makes a cluster larger; so a hash may stand for the text, which may be a person's phone.
-- What isn't there has a hash too, and would tie all records without it.
CREATE OR REPLACE TEMP MACRO node(kind, name) AS
    CAST(nullif(hash(kind || ':' || name), hash(CAST(NULL AS VARCHAR))) >> 1 AS BIGINT);
CREATE OR REPLACE TEMP MACRO node_of(kind, source, id) AS node(kind, source || ':' || id);
CREATE OR REPLACE TEMP MACRO tie_tax(tax_id) AS nullif(ltrim(trim(tax_id), '0'), '');
CREATE OR REPLACE TEMP MACRO asked_node(currency, amount) AS
    node('asks', coalesce(currency, getvariable('currency')) || ' ' || CAST(amount AS DECIMAL(18, 2)));
