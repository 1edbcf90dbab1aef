"""Which payment belongs to which deal, when a deal became paid, and who is credited (metrics.md 2.2–2.4, 2.6).

All history is resolved anew in sets: a late payment, a corrected order or a person's decision may move earlier ones.
The steps are SQL files that hand temporary tables to one another; only reading texts and splitting a payment over
several deals is Python. Stored relations change where the result differs, so a rerun over the same records writes
nothing, whatever order they were loaded in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa

from metrics.resolve.changes import Change, write_changes
from metrics.resolve.matching import read_number_keys, read_purposes
from metrics.resolve.splitting import LedgerRow, split_ledger
from metrics.settings import Company
from warehouse.engine import temporary_tables

SQL_DIR = Path(__file__).parent / "sql"

_BEFORE_SPLIT = ("payments", "documents", "pairs", "by_amount", "shares")
_AFTER_SPLIT = ("refunds", "credit", "paid", "candidates")
# Made by the steps as temporary tables `next_*`, written where they differ.
MONEY_WRITES = (
    "core.payment_allocations",
    "calc.payments",
    "calc.paid_deals",
    "calc.match_candidates",
    "calc.order_deals",
    "facts.deal_payments",
)

# What changes in core.payments; outlives the steps' other tables until it is written.
PAYMENT_MARKS = "payment_marks"

_LEDGER_COLUMNS = "source, payment_id, rule, deal_source, deal_id, amount, gross, declared, is_partial, is_split, due"
_PARTS_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("source", "payment_id", "deal_source", "deal_id")]
    + [("amount", pa.decimal128(18, 2)), ("rule", pa.string())]
)


@dataclass(frozen=True, kw_only=True)
class MoneyReport:
    """What resolving found: counts of payments."""

    by_rule: dict[str, int] = field(default_factory=dict)  # match_rule -> payments booked by it
    unmatched: int = 0  # customers' payments and refunds with a rest that no deal has
    excluded: dict[str, int] = field(default_factory=dict)  # rule that keeps them out -> payments
    candidates: int = 0  # unmatched payments with deals a person may choose from
    idle_decisions: int = 0  # rows of matches.csv that book nothing: unknown payment or deal, or money left out
    purposes_read: int = 0


def stage_money(connection: duckdb.DuckDBPyConnection, company: Company) -> MoneyReport:
    """Match, credit and sum up all payments into temporary tables `next_*` of `MONEY_WRITES`; writes nothing but the
    numbers read from texts (calc.payment_numbers, calc.number_keys), which are right by themselves.

    Stands on core.deals, core.deal_events, the inputs in force, and the steps' `next_stage_events` and `deal_credits`.
    """
    purposes_read = read_purposes(connection)
    read_number_keys(connection)
    _load_settings(connection, company)
    for step in _BEFORE_SPLIT:
        _run(connection, step)
    _split(connection)
    for step in _AFTER_SPLIT:
        _run(connection, step)
    _stage_marks(connection)
    report = MoneyReport(
        by_rule=_counts(connection, "match_rule", "deal_id <> '' AND match_rule IS NOT NULL"),
        unmatched=_number(
            connection, "FROM money_rows WHERE deal_id = '' AND coalesce(excluded_by, 'no_rate') = 'no_rate'"
        ),
        excluded=_counts(connection, "excluded_by", "excluded_by IS NOT NULL"),
        candidates=_number(connection, "FROM (SELECT DISTINCT source, payment_id FROM next_match_candidates)"),
        idle_decisions=_idle_decisions(connection),
        purposes_read=purposes_read,
    )
    _drop_temporary(connection)
    return report


def write_money(connection: duckdb.DuckDBPyConnection, now: datetime) -> tuple[Change, ...]:
    """Write what `stage_money` made and `compare_changes` compared: core.payments (amount and match columns) and
    `MONEY_WRITES`, in the caller's transaction."""
    changes = [write_changes(connection, relation, now) for relation in MONEY_WRITES]
    return (*changes, _update_payments(connection, now))


def _load_settings(connection: duckdb.DuckDBPyConnection, company: Company) -> None:
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE money_settings AS SELECT CAST($zone AS VARCHAR) AS zone,
            CAST($currency AS VARCHAR) AS currency, CAST($match_days AS INTEGER) AS match_days,
            CAST($threshold AS DECIMAL(9, 6)) AS paid_threshold, CAST($is_net AS BOOLEAN) AS is_net
        """,
        {
            "zone": company.zone.key,
            "currency": company.currency,
            "match_days": company.rules.match_days,
            # Through its text: 0.95 as written, not the binary fraction beside it.
            "threshold": Decimal(str(company.rules.paid_threshold)),
            "is_net": company.vat_mode == "net",
        },
    )
    priorities = pa.table(
        {"source": list(company.priorities), "priority": list(company.priorities.values())},
        schema=pa.schema([("source", pa.string()), ("priority", pa.int64())]),
    )
    _store(connection, "money_priorities", priorities)


def _run(connection: duckdb.DuckDBPyConnection, step: str) -> None:
    connection.execute((SQL_DIR / f"money_{step}.sql").read_text(encoding="utf-8"))


def _split(connection: duckdb.DuckDBPyConnection) -> None:
    """Book the payments that go to several deals, in the order of posting."""
    ledger = connection.execute(f"SELECT {_LEDGER_COLUMNS} FROM money_ledger").to_arrow_table()
    parts = split_ledger(LedgerRow(**row) for row in ledger.to_pylist())
    _store(connection, "money_split", pa.Table.from_pylist([vars(part) for part in parts], schema=_PARTS_SCHEMA))
    connection.execute("INSERT INTO money_parts BY NAME SELECT * FROM money_split")


def _store(connection: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    connection.register("money_arrow", rows)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM money_arrow")
    connection.unregister("money_arrow")


def _stage_marks(connection: duckdb.DuckDBPyConnection) -> None:
    """Reporting amounts of all payments, deal and rule of those with one allocation: where the stored ones differ."""
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE {PAYMENT_MARKS} AS
        WITH booked AS (
            SELECT source, payment_id, any_value(deal_source) AS deal_source, any_value(deal_id) AS deal_id,
                any_value(match_rule) AS match_rule
            FROM next_payment_allocations GROUP BY source, payment_id HAVING count(*) = 1
        )
        SELECT payments.source, payments.payment_id, payments.gross,
            booked.deal_source, booked.deal_id, booked.match_rule
        FROM money_payments AS payments
        LEFT JOIN booked USING (source, payment_id)
        JOIN core.payments AS stored ON stored.source = payments.source AND stored.payment_id = payments.payment_id
        WHERE stored.amount_reporting IS DISTINCT FROM payments.gross
            OR stored.deal_source IS DISTINCT FROM booked.deal_source
            OR stored.deal_id IS DISTINCT FROM booked.deal_id
            OR stored.match_rule IS DISTINCT FROM booked.match_rule
    """)


def _update_payments(connection: duckdb.DuckDBPyConnection, now: datetime) -> Change:
    changed = _number(connection, f"FROM {PAYMENT_MARKS}")
    if changed:
        connection.execute(
            f"""
            UPDATE core.payments SET amount_reporting = changed.gross, deal_source = changed.deal_source,
                deal_id = changed.deal_id, match_rule = changed.match_rule, loaded_at = $now
            FROM {PAYMENT_MARKS} AS changed
            WHERE payments.source = changed.source AND payments.payment_id = changed.payment_id
            """,
            {"now": now},
        )
    connection.execute(f"DROP TABLE temp.{PAYMENT_MARKS}")
    return Change(relation="core.payments", written=changed)


def _counts(connection: duckdb.DuckDBPyConnection, column: str, where: str) -> dict[str, int]:
    rows = connection.execute(f"""
        SELECT {column}, count(DISTINCT (source, payment_id)) FROM money_rows WHERE {where} GROUP BY ALL ORDER BY ALL
    """).fetchall()
    return dict(rows)


def _idle_decisions(connection: duckdb.DuckDBPyConnection) -> int:
    return _number(
        connection,
        """
        FROM core.matches AS matches
        LEFT JOIN money_payments AS payments USING (source, payment_id)
        ANTI JOIN money_pairs AS pairs
            ON pairs.rule = 'manual'
            AND pairs.source = coalesce(payments.same_as_source, payments.source)
            AND pairs.payment_id = coalesce(payments.same_as_payment_id, payments.payment_id)
            AND pairs.deal_source = matches.deal_source AND pairs.deal_id = matches.deal_id
        """,
    )


def _number(connection: duckdb.DuckDBPyConnection, clause: str) -> int:
    row = connection.execute(f"SELECT count(*) {clause}").fetchone()
    return int(row[0]) if row else 0


def _drop_temporary(connection: duckdb.DuckDBPyConnection) -> None:
    """The connection lives on for computing, and the tables are as large as all payments."""
    views = _names(
        connection, "SELECT view_name FROM duckdb_views() WHERE temporary AND starts_with(view_name, 'money_')"
    )
    tables = sorted(name for name in temporary_tables(connection) if name.startswith("money_"))
    macros = _names(
        connection,
        """
        SELECT DISTINCT function_name FROM duckdb_functions()
        WHERE function_type = 'macro' AND starts_with(function_name, 'money_')
        """,
    )
    for kind, names in (("VIEW", views), ("TABLE", tables), ("MACRO", macros)):
        for name in names:
            connection.execute(f"DROP {kind} temp.{name}")


def _names(connection: duckdb.DuckDBPyConnection, query: str, values: dict[str, object] | None = None) -> list[str]:
    return [name for (name,) in connection.execute(query, values or {}).fetchall()]
