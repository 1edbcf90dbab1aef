"""Reading the numbers payments and deals are recognised by: each text once, then kept in calc.

The rules that compare them are SQL (sql/money_pairs.sql). What a reader's change would have read differently is read
again by itself, because the digest kept beside the numbers covers the reader's own source.
"""

from __future__ import annotations

import hashlib
import re
from datetime import date
from functools import cache
from pathlib import Path

import duckdb
import pyarrow as pa

from base import purposes
from base.purposes import number_keys, parse_purpose

# Texts read at a time: bounds memory, not the result.
BATCH_ROWS = 50_000

_PLAIN_NUMBER = re.compile(r"[\w/.-]+")

_NUMBERS_SCHEMA = pa.schema(
    [
        ("source", pa.string()),
        ("payment_id", pa.string()),
        ("ordinal", pa.int64()),
        ("role", pa.string()),
        ("number_key", pa.string()),
        ("short_key", pa.string()),
        ("issued_on", pa.date32()),
        ("digest", pa.string()),
    ]
)
_KEYS_SCHEMA = pa.schema([(name, pa.string()) for name in ("number", "number_key", "short_key", "digest")])

# Suppliers' and own transfers' purposes are the bulk of a statement and never matched: they are not read.
_UNREAD_PURPOSES = """
CREATE OR REPLACE TEMP TABLE money_unread AS
SELECT row_number() OVER () - 1 AS place,
    payments.source, payments.payment_id, coalesce(payments.purpose, '') AS purpose,
    md5($reader || coalesce(payments.purpose, '')) AS digest
FROM core.payments AS payments
ANTI JOIN calc.payment_numbers AS numbers
    ON numbers.source = payments.source AND numbers.payment_id = payments.payment_id
    AND numbers.ordinal = 0 AND numbers.digest = md5($reader || coalesce(payments.purpose, ''))
WHERE payments.kind IN ('customer', 'refund')
"""
_UNREAD_BATCH = "SELECT * EXCLUDE (place) FROM money_unread WHERE place >= $since AND place < $since + $rows"

_UNREAD_NUMBERS = """
SELECT DISTINCT printed.number
FROM (
    SELECT invoice_number AS number FROM core.deals
    UNION ALL SELECT contract_number FROM core.deals
    UNION ALL SELECT number FROM core.orders
    UNION ALL SELECT number FROM core.invoices
    UNION ALL SELECT number FROM core.sales_documents
    UNION ALL SELECT number FROM core.costs
    UNION ALL SELECT invoice_number FROM core.payments
    UNION ALL SELECT contract_number FROM core.payments
) AS printed
ANTI JOIN calc.number_keys AS keys ON keys.number = printed.number AND keys.digest = $reader
WHERE trim(coalesce(printed.number, '')) <> ''
"""

# One number named in a text: role, compared key, short key, date.
Named = tuple[str, str, str, date | None]


@cache
def reader_digest() -> str:
    """Changes whenever the reading of texts may have changed: a digest of the readers' source."""
    digest = hashlib.blake2b(digest_size=16)
    for module in (purposes.__file__, __file__):
        digest.update(Path(module).read_bytes())
    return digest.hexdigest()


def read_purposes(connection: duckdb.DuckDBPyConnection) -> int:
    """Fill calc.payment_numbers for payments whose purpose, or its reader, is new. Returns how many were read."""
    connection.execute(_UNREAD_PURPOSES, {"reader": reader_digest()})
    read = 0
    while True:
        batch = connection.execute(_UNREAD_BATCH, {"since": read, "rows": BATCH_ROWS}).to_arrow_table()
        if batch.num_rows == 0:
            connection.execute("DROP TABLE temp.money_unread")
            return read
        _replace_numbers(connection, batch, _number_rows(batch))
        read += batch.num_rows


def read_number_keys(connection: duckdb.DuckDBPyConnection) -> int:
    """Fill calc.number_keys for numbers not seen before. Returns how many were read."""
    unread = connection.execute(_UNREAD_NUMBERS, {"reader": reader_digest()}).to_arrow_table()
    if unread.num_rows == 0:
        return 0
    numbers: list[str] = unread.column("number").to_pylist()
    keys = [number_keys(bare_number(number)) for number in numbers]
    columns = [numbers, [whole for whole, _ in keys], [short for _, short in keys], [reader_digest()] * len(numbers)]
    connection.register("money_new_keys", pa.table(columns, schema=_KEYS_SCHEMA))
    connection.execute("""
        DELETE FROM calc.number_keys AS keys USING money_new_keys AS fresh WHERE keys.number = fresh.number;
        INSERT INTO calc.number_keys (number, number_key, short_key, digest) SELECT * FROM money_new_keys
    """)
    connection.unregister("money_new_keys")
    return len(numbers)


def bare_number(text: str) -> str:
    """The number alone, of a field that people fill by hand: `№ 124`, `Счёт 124 от 02.02.2026`."""
    text = text.strip()
    if _PLAIN_NUMBER.fullmatch(text):
        return text
    for reading in (text, f"счет № {text.lstrip('№#').lstrip()}"):
        purpose = parse_purpose(reading)
        if purpose.invoices:
            return purpose.invoices[0].number
        if purpose.contract:
            return purpose.contract
    return text


def named_numbers(purpose: str) -> list[Named]:
    """Every number a purpose names, in order: invoices, contract, order, returned payment, customer's tax id."""
    found = parse_purpose(purpose)
    named: list[Named] = [("invoice", *number_keys(each.number), each.issued_on) for each in found.invoices]
    if found.contract:
        named.append(("contract", *number_keys(found.contract), None))
    if found.order:
        named.append(("order", *number_keys(found.order), None))
    if found.payment_order:
        number = found.payment_order.number.strip().lstrip("0")
        named.append(("payment_order", number, number, found.payment_order.issued_on))
    if found.customer_tax_id:
        tax_key = found.customer_tax_id.lstrip("0")
        named.append(("tax_id", tax_key, tax_key, None))
    return named


def _number_rows(unread: pa.Table) -> pa.Table:
    """Columns for calc.payment_numbers; ordinal 0 says that the purpose was read, whatever it named."""
    columns: list[list[object]] = [[] for _ in _NUMBERS_SCHEMA]
    sources, payment_ids, texts, digests = (
        unread.column(name).to_pylist() for name in ("source", "payment_id", "purpose", "digest")
    )
    for source, payment_id, text, digest in zip(sources, payment_ids, texts, digests, strict=True):
        named: list[tuple[object, ...]] = [("read", None, None, None), *named_numbers(text)]
        for ordinal, number in enumerate(named):
            for column, value in zip(columns, (source, payment_id, ordinal, *number, digest), strict=True):
                column.append(value)
    return pa.table(columns, schema=_NUMBERS_SCHEMA)


def _replace_numbers(connection: duckdb.DuckDBPyConnection, read: pa.Table, rows: pa.Table) -> None:
    connection.register("money_read", read)
    connection.register("money_numbers_read", rows)
    connection.execute("""
        DELETE FROM calc.payment_numbers AS numbers USING money_read AS fresh
        WHERE numbers.source = fresh.source AND numbers.payment_id = fresh.payment_id;
        INSERT INTO calc.payment_numbers
            (source, payment_id, ordinal, role, number_key, short_key, issued_on, digest)
        SELECT * FROM money_numbers_read
    """)
    connection.unregister("money_read")
    connection.unregister("money_numbers_read")
