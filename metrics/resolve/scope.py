"""The part of the records that a resolve has to look at again, as a catalog of its own with the same names.

What resolve makes of a record depends on the records it shares a tie with (sql/scope_ties.sql), over any number of
steps: its cluster. Clusters that hold a changed record, by the ties of now or of the last resolve, are copied beside
the warehouse; there the same SQL files find them as `core.deals` and the rest, and see nothing else.

One relation looks further: the deals that a payment without one may be for (choosing.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from models import WAREHOUSE

SQL_DIR = Path(__file__).parent / "sql"
CATALOG = "scope"

# Records by the relation they (or parts of them) stand in: kind in scope_ties.sql, and id.
RECORDS = {
    "core.deals": ("deal", "deal_id"),
    "core.deal_events": ("deal", "deal_id"),
    "core.deal_contacts": ("deal", "deal_id"),
    "core.contacts": ("contact", "contact_id"),
    "core.contact_phones": ("contact", "contact_id"),
    "core.companies": ("company", "company_id"),
    "core.payments": ("payment", "payment_id"),
    "core.payment_parts": ("payment", "payment_id"),
    "core.orders": ("order", "order_id"),
    "core.invoices": ("invoice", "invoice_id"),
    "core.sales_documents": ("shipment", "document_id"),
    "core.costs": ("cost", "cost_id"),
    "core.receivables": ("receivable", "receivable_id"),
}
# Conversations and notes of them are found by their number alone; they tie nothing else together.
BY_PHONE = {"core.calls": ("external_number", "call_id"), "core.activities": ("phone", "activity_id")}


@dataclass(frozen=True, kw_only=True)
class Kept:
    """Rows with the keys of some of the scope's records."""

    records: str
    keys: str

    @property
    def join(self) -> str:
        """What leaves of a relation these rows alone."""
        return f"SEMI JOIN {self.records} AS in_scope USING ({self.keys})"


_DEAL = Kept(records="scope.main.scope_deals", keys="source, deal_id")
_CALL = Kept(records="scope.core.calls", keys="source, call_id")
_PAYMENT = Kept(records="scope.core.payments", keys="source, payment_id")
# What earlier resolves made of the scope's records: compared with what is made now.
MADE = {
    **dict.fromkeys(
        (
            "core.deal_owners", "core.deal_stage_visits", "calc.stage_events", "calc.leads", "calc.stage_passes",
            "calc.kind_touches", "calc.terminal_events", "calc.stage_times", "calc.deal_customers", "calc.sales",
            "calc.milestones", "calc.open_deals", "calc.part_paid_deals", "calc.paid_deals", "facts.deal_payments",
            "calc.customer_owners",
        ),
        _DEAL,
    ),
    **dict.fromkeys(("calc.calls", "calc.missed_calls"), _CALL),
    "calc.call_notes": Kept(records="scope.core.activities", keys="source, activity_id"),
    **dict.fromkeys(
        ("calc.payments", "core.payment_allocations", "calc.customer_payments", "calc.margins"), _PAYMENT
    ),
    "calc.match_candidates": Kept(records="scope.main.scope_choosers", keys="source, payment_id"),
    "calc.order_deals": Kept(records="scope.core.orders", keys="source, order_id"),
    "calc.shipments": Kept(records="scope.core.sales_documents", keys="source, document_id"),
    "calc.receivables": Kept(records="scope.core.receivables", keys="source, receivable_id"),
    # A customer's deals are one cluster; a customer new to the scope had no phones in it.
    "calc.customer_phones": Kept(records="scope.calc.deal_customers", keys="customer_id"),
    "calc.ties": Kept(records="(SELECT node AS owner FROM scope.main.scope_reached)", keys="owner"),
}  # fmt: skip
# Small and the same for all records: made whole every time.
WHOLE = ("calc.working_days", "calc.split_shares", "calc.stage_odds")


@dataclass(frozen=True, kw_only=True)
class Scope:
    """A connection whose default catalog is the scope, and the way back."""

    connection: duckdb.DuckDBPyConnection
    home: str

    @contextmanager
    def at_home(self) -> Iterator[None]:
        """The warehouse is the default catalog inside."""
        self.connection.execute(f'USE "{self.home}"')
        try:
            yield
        finally:
            self.connection.execute(f"USE {CATALOG}")

    def count(self, query: str) -> int:
        """The one number a query of the warehouse (`{home}`) gives."""
        row = self.connection.execute(query.format(home=f'"{self.home}"')).fetchone()
        return int(row[0]) if row else 0

    def run(self, query: str, values: dict[str, object] | None = None) -> None:
        self.connection.execute(query.format(home=f'"{self.home}"'), values or {})

    def close(self) -> None:
        """Take in everything tied to what is in `scope_frontier`, step by step."""
        while self.count("SELECT count(*) FROM scope.main.scope_frontier"):
            self.run("""
                INSERT INTO scope.main.scope_reached FROM scope.main.scope_frontier;
                CREATE OR REPLACE TABLE scope.main.scope_frontier AS
                WITH met AS (
                    SELECT tie AS node FROM scope.main.scope_edges
                    SEMI JOIN scope.main.scope_frontier AS frontier ON frontier.node = owner
                    UNION
                    SELECT owner FROM scope.main.scope_edges
                    SEMI JOIN scope.main.scope_frontier AS frontier ON frontier.node = tie
                )
                FROM met ANTI JOIN scope.main.scope_reached USING (node)
            """)

    def reach(self, query: str) -> None:
        """Take in the nodes a query gives, and all they are tied to."""
        self.run(
            f"CREATE OR REPLACE TABLE scope.main.scope_frontier AS SELECT DISTINCT node FROM ({query}) AS met "
            "ANTI JOIN scope.main.scope_reached USING (node) WHERE node IS NOT NULL"
        )
        self.close()


@contextmanager
def open_scope(connection: duckdb.DuckDBPyConnection) -> Iterator[Scope]:
    """An empty scope as the default catalog; it is gone afterwards."""
    row = connection.execute("SELECT current_database()").fetchone()
    assert row is not None
    home = str(row[0])
    connection.execute(f"ATTACH ':memory:' AS {CATALOG}")
    try:
        for schema in {table.schema for table in WAREHOUSE.sorted_tables}:
            connection.execute(f"CREATE SCHEMA {CATALOG}.{schema}")
        connection.execute(f"USE {CATALOG}")
        yield Scope(connection=connection, home=home)
    finally:
        connection.execute(f'USE "{home}"')
        connection.execute(f"DETACH {CATALOG}")


def find_seeds(scope: Scope, since: datetime) -> None:
    """Note the records that were written after `since`, or lost an entry of a list: `scope_frontier`, `scope_phones`,
    `scope_calls` and `scope_activities`."""
    changed = " UNION ".join(
        f"SELECT node_of('{kind}', source, {name}) AS node FROM {{home}}.{relation} WHERE loaded_at > $since"
        for relation, (kind, name) in RECORDS.items()
    )
    scope.run(
        f"""
        CREATE TABLE scope.main.scope_reached (node BIGINT);
        CREATE TABLE scope.main.scope_frontier AS
        SELECT DISTINCT node FROM (
            {changed}
            UNION
            SELECT owner FROM {{home}}.calc.ties AS ties
            ANTI JOIN (
                SELECT node_of('deal', source, deal_id) AS owner, node_of('contact', source, contact_id) AS tie
                FROM {{home}}.core.deal_contacts
            ) AS links ON links.owner = ties.owner AND links.tie = ties.tie
            WHERE ties.kind = 'contact'
            UNION
            SELECT owner FROM {{home}}.calc.ties AS ties
            ANTI JOIN (
                SELECT node_of('payment', source, payment_id) AS owner, node('order', order_id) AS tie
                FROM {{home}}.core.payment_parts
            ) AS parts ON parts.owner = ties.owner AND parts.tie = ties.tie
            WHERE ties.kind = 'part'
        ) WHERE node IS NOT NULL
        """,
        {"since": since},
    )
    for relation, (_, name) in BY_PHONE.items():
        kind = relation.partition(".")[2]
        scope.run(
            f"CREATE TABLE scope.main.scope_{kind} AS SELECT source, {name} FROM {{home}}.{relation}"
            " WHERE loaded_at > $since",
            {"since": since},
        )
    scope.run("""
        CREATE TABLE scope.main.scope_phones AS
        SELECT external_number AS phone FROM {home}.core.calls SEMI JOIN scope.main.scope_calls USING (source, call_id)
        UNION
        SELECT external_number FROM {home}.calc.calls SEMI JOIN scope.main.scope_calls USING (source, call_id)
        UNION
        SELECT phone FROM {home}.core.activities SEMI JOIN scope.main.scope_activities USING (source, activity_id);

        INSERT INTO scope.main.scope_frontier
        SELECT node('phone', phone) FROM scope.main.scope_phones WHERE phone IS NOT NULL
    """)


def grow(scope: Scope) -> None:
    """From the seeds to everything that they are tied to, as nodes: `scope_reached`."""
    _read_fresh_ties(scope)
    scope.close()


def _read_fresh_ties(scope: Scope) -> None:
    """What the seeds are tied to now, beside what everything was tied to at the last resolve."""
    scope.run("INSERT INTO scope.main.scope_reached FROM scope.main.scope_frontier")
    copy_records(scope)
    scope.connection.execute((SQL_DIR / "scope_ties.sql").read_text(encoding="utf-8"))
    scope.run("""
        CREATE TABLE scope.main.scope_fresh AS FROM next_ties;
        DROP TABLE next_ties;
        DELETE FROM scope.main.scope_reached;
        CREATE VIEW scope.main.scope_edges AS
        SELECT owner, tie FROM {home}.calc.ties WHERE kind <> 'asks'
        UNION ALL
        SELECT owner, tie FROM scope.main.scope_fresh WHERE kind <> 'asks';

        CREATE VIEW scope.main.scope_asks AS SELECT owner, tie FROM {home}.calc.ties WHERE kind = 'asks';
        CREATE VIEW scope.main.scope_before AS
        SELECT owner, tie FROM {home}.calc.ties WHERE kind = 'asks'
        UNION ALL
        -- Several documents of a deal ask together what is due.
        SELECT node_of('deal', source, deal_id), asked_node(currency, due) FROM {home}.facts.deal_payments
    """)


def copy_records(scope: Scope) -> None:
    """Copy the reached records under their own names."""
    for relation, (kind, name) in RECORDS.items():
        if kind != "deal":
            scope.run(
                f"CREATE OR REPLACE TABLE scope.{relation} AS FROM {{home}}.{relation}"
                f" WHERE node_of('{kind}', source, {name}) IN (FROM scope.main.scope_reached)"
            )
    scope.run("""
        CREATE OR REPLACE TABLE scope.main.scope_deals AS
        SELECT source, deal_id FROM {home}.core.deals
        WHERE node_of('deal', source, deal_id) IN (FROM scope.main.scope_reached)
        UNION
        -- A deal the CRM no longer lists is known from its log.
        SELECT source, deal_id FROM {home}.core.deal_events ANTI JOIN {home}.core.deals USING (source, deal_id)
        WHERE node_of('deal', source, deal_id) IN (FROM scope.main.scope_reached)
    """)
    for relation in ("core.deals", "core.deal_events", "core.deal_contacts"):
        scope.run(f"CREATE OR REPLACE TABLE scope.{relation} AS FROM {{home}}.{relation} {_DEAL.join}")
    for relation in ("core.matches", "calc.payment_numbers"):
        scope.run(f"CREATE OR REPLACE TABLE scope.{relation} AS FROM {{home}}.{relation} {_PAYMENT.join}")
    numbers = " UNION ".join(
        f"SELECT {name} AS number FROM scope.{relation}"
        for relation, name in (
            ("core.deals", "invoice_number"),
            ("core.deals", "contract_number"),
            ("core.payments", "invoice_number"),
            ("core.payments", "contract_number"),
            ("core.orders", "number"),
            ("core.invoices", "number"),
            ("core.sales_documents", "number"),
            ("core.costs", "number"),
        )
    )
    scope.run(
        "CREATE OR REPLACE TABLE scope.calc.number_keys AS FROM {home}.calc.number_keys"
        f" SEMI JOIN ({numbers}) AS printed USING (number)"
    )


def copy_calls(scope: Scope) -> None:
    """Copy the conversations, and notes of them, of every number in scope, and those that changed."""
    scope.run("""
        INSERT INTO scope.main.scope_phones
        SELECT phone FROM scope.core.contact_phones UNION SELECT unnest(phones) FROM scope.core.companies
    """)
    for relation, (phone, name) in BY_PHONE.items():
        changed = f"scope.main.scope_{relation.partition('.')[2]}"
        scope.run(
            f"""
            CREATE TABLE scope.{relation} AS
            FROM {{home}}.{relation} AS record
            SEMI JOIN scope.main.scope_phones AS phones ON phones.phone = record.{phone}
            UNION ALL
            FROM {{home}}.{relation} AS record
            SEMI JOIN {changed} AS changed ON changed.source = record.source AND changed.{name} = record.{name}
            ANTI JOIN scope.main.scope_phones AS phones ON phones.phone = record.{phone}
            """
        )


def show_the_rest(scope: Scope) -> None:
    """Name everything that is not copied: what was made of the copied records, and inputs and the like as they are."""
    for relation, kept in MADE.items():
        scope.run(f"CREATE VIEW scope.{relation} AS FROM {{home}}.{relation} {kept.join}")
    shown = {*RECORDS, *BY_PHONE, *MADE, "core.matches", "calc.payment_numbers", "calc.number_keys"}
    for table in WAREHOUSE.sorted_tables:
        is_read = table.schema in ("core", "calc") or table.fullname == "meta.sync_runs"
        if is_read and table.fullname not in shown:
            scope.run(f"CREATE VIEW scope.{table.fullname} AS FROM {{home}}.{table.fullname}")
