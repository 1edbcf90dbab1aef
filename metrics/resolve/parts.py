"""A resolve of everything, part by part: what it needs of memory is what a part needs, however large the company is.

Records that are tied, over any number of steps (sql/scope_ties.sql), are one cluster; a part is whole clusters. Each is
resolved as what changed is, in a scope (scope.py), and written by itself. The parts to come still have what an earlier
resolve made of them, or nothing, so two things are told to every part beforehand: who asks which amount, and who asked
it before. What only the end can tell is looked at again there: the company's first lead, and the deals to choose from
for payments of sums that come from documents.

Between two parts no resolve is on record, so whatever ends the work there, the next one begins anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import duckdb

from metrics.resolve.choosing import UNBOOKED, choose, reach_asking
from metrics.resolve.incremental import require_full
from metrics.resolve.scope import (
    BY_PHONE,
    MADE,
    RECORDS,
    Scope,
    copy_calls,
    copy_records,
    show_the_rest,
)
from warehouse.engine import transaction

# A part of so many resolves within the memory that computing begins with (a million deals with three million calls, as
# one part, did not).
PART_DEALS = 500_000
PART_CALLS = 5_000_000
# The first lead is among the deals made first, mostly; every part sees so many of them.
_EARLIEST = 100

_SQL_DIR = Path(__file__).parent / "sql"
_CATALOG = "parts"


def count_parts(deals: int, calls: int, part_deals: int = PART_DEALS) -> int:
    """How many parts a company of that size is resolved in; 1 = as a whole."""
    return max(-(-deals // part_deals), -(-calls // (part_deals * (PART_CALLS // PART_DEALS))), 1)


@contextmanager
def open_parts(connection: duckdb.DuckDBPyConnection, count: int) -> Iterator[None]:
    """Divide all records into `count` parts, for `fill_part`; the division is gone afterwards."""
    connection.execute(f"ATTACH ':memory:' AS {_CATALOG}")
    try:
        _read_ties(connection)
        _find_clusters(connection)
        _divide(connection, count)
        yield
    finally:
        connection.execute(f"DETACH {_CATALOG}")


def _read_ties(connection: duckdb.DuckDBPyConnection) -> None:
    """`parts.edges`: who is tied to what, now or at the last resolve; `parts.asks` and `parts.before`: amounts."""
    connection.execute((_SQL_DIR / "scope_ties.sql").read_text(encoding="utf-8"))
    connection.execute("""
        CREATE TABLE parts.edges AS
        SELECT owner, tie FROM next_ties WHERE kind <> 'asks'
        UNION
        SELECT owner, tie FROM calc.ties WHERE kind <> 'asks';
        CREATE TABLE parts.asks AS SELECT owner, tie FROM next_ties WHERE kind = 'asks';
        CREATE TABLE parts.before AS
        SELECT owner, tie FROM calc.ties WHERE kind = 'asks'
        UNION ALL
        SELECT node_of('deal', source, deal_id), asked_node(currency, due) FROM facts.deal_payments;
        DROP TABLE next_ties
    """)


def _find_clusters(connection: duckdb.DuckDBPyConnection) -> None:
    """`parts.labels`: of every record and tie the least node of its cluster.

    Each takes the least label of its neighbours, and then that of its label: long chains take few rounds.
    """
    records = " UNION ".join(
        f"SELECT node_of('{kind}', source, {name}) AS node FROM {relation}"
        for relation, (kind, name) in RECORDS.items()
    )
    connection.execute(f"""
        CREATE TABLE parts.labels AS
        SELECT node, node AS label
        FROM ({records} UNION SELECT owner FROM parts.edges UNION SELECT tie FROM parts.edges) AS all_nodes
        WHERE node IS NOT NULL
    """)
    while True:
        connection.execute("""
            CREATE OR REPLACE TABLE parts.met AS
            SELECT node, min(label) AS label FROM (
                FROM parts.labels
                UNION ALL
                SELECT edges.tie, labels.label FROM parts.edges JOIN parts.labels ON labels.node = edges.owner
                UNION ALL
                SELECT edges.owner, labels.label FROM parts.edges JOIN parts.labels ON labels.node = edges.tie
            ) GROUP BY node
        """)
        row = connection.execute("""
            SELECT count(*) FROM parts.met JOIN parts.labels USING (node) WHERE met.label <> labels.label
        """).fetchone()
        connection.execute("""
            CREATE OR REPLACE TABLE parts.labels AS
            SELECT met.node, least(met.label, further.label) AS label
            FROM parts.met JOIN parts.met AS further ON further.node = met.label;
            DROP TABLE parts.met
        """)
        if row == (0,):
            connection.execute("DROP TABLE parts.edges")
            return


def _divide(connection: duckdb.DuckDBPyConnection, count: int) -> None:
    """`parts.numbers`: the part of every number in a conversation, which no contact need have."""
    named = {relation: phone for relation, (phone, _) in BY_PHONE.items()} | {"calc.calls": "external_number"}
    numbers = " UNION ".join(f"SELECT {phone} AS phone FROM {relation}" for relation, phone in named.items())
    connection.execute(
        "CREATE OR REPLACE TABLE parts.labels AS SELECT node, label, label % $count AS part FROM parts.labels",
        {"count": count},
    )
    connection.execute(
        f"""
        CREATE TABLE parts.numbers AS
        SELECT numbers.phone, coalesce(labels.part, node('phone', numbers.phone) % $count) AS part
        FROM ({numbers}) AS numbers LEFT JOIN parts.labels ON labels.node = node('phone', numbers.phone)
        WHERE numbers.phone IS NOT NULL
        """,
        {"count": count},
    )


def _sweep(connection: duckdb.DuckDBPyConnection) -> None:
    """Delete what was made of records that are gone without a trace: no part has them."""
    copied = {f"scope.{relation}": relation for relation in (*RECORDS, *BY_PHONE)}
    # A deal the CRM no longer lists is known from its log.
    copied["scope.main.scope_deals"] = (
        "(SELECT source, deal_id FROM core.deals UNION SELECT source, deal_id FROM core.deal_events)"
    )
    for kept in dict.fromkeys(MADE.values()):
        if kept.records in copied:
            made = [relation for relation, other in MADE.items() if other == kept]
            _sweep_kind(connection, made, kept.keys, copied[kept.records])
    connection.execute("""
        DELETE FROM calc.customer_phones AS made
        WHERE NOT EXISTS (FROM calc.deal_customers AS kept WHERE kept.customer_id = made.customer_id)
    """)


def _sweep_kind(connection: duckdb.DuckDBPyConnection, made: Sequence[str], keys: str, records: str) -> None:
    # One look at all of them: in a lake every DELETE costs another, and there is hardly ever anything to delete.
    everything = " UNION ALL ".join(f"SELECT {keys} FROM {relation}" for relation in made)
    connection.execute(
        f"CREATE TEMP TABLE gone AS SELECT DISTINCT {keys} FROM ({everything}) AS made"
        f" ANTI JOIN {records} AS kept USING ({keys})"
    )
    if connection.execute("SELECT count(*) FROM gone").fetchone() != (0,):
        for relation in made:
            same = " AND ".join(f"made.{key} = gone.{key}" for key in keys.split(", "))
            connection.execute(f"DELETE FROM {relation} AS made USING gone WHERE {same}")
    connection.execute("DROP TABLE gone")


def fill_part(scope: Scope, part: int) -> None:
    """Copy the records of a part, and what its payments may be asked by."""
    _begin(scope, f"SELECT node FROM parts.labels WHERE part = {part}", f"part = {part}", part == 0)
    scope.reach(
        """
        SELECT node_of('deal', source, deal_id) AS node
        FROM (FROM {home}.core.deals ORDER BY created_at, source, deal_id LIMIT $earliest)
    """.replace("$earliest", str(_EARLIEST))
    )
    choose(scope)
    _copy(scope)


def fill_lists(scope: Scope) -> bool:
    """After all parts: copy the payments without a deal, of a sum that is due by documents, and who asks it. False =
    there are none."""
    _begin(scope, "SELECT node FROM parts.labels WHERE FALSE", "FALSE", False)
    scope.run(f"""
        CREATE TABLE scope.main.scope_clusters AS FROM scope.main.scope_reached;
        CREATE TABLE scope.main.scope_choosers AS
        SELECT source, payment_id FROM {{home}}.core.payments AS payments
        SEMI JOIN ({UNBOOKED}) AS rests USING (source, payment_id)
        SEMI JOIN (
            SELECT asked_node(currency, due) AS tie FROM {{home}}.facts.deal_payments WHERE due_origin = 'order'
        ) AS asked ON asked.tie = asked_node(payments.currency, payments.amount)
    """)
    reach_asking(scope)
    _copy(scope)
    return scope.count("SELECT count(*) FROM scope.main.scope_choosers") > 0


def _begin(scope: Scope, reached: str, numbers: str, with_nameless: bool) -> None:
    """The tables that scope.py goes on with; `with_nameless`: conversations that name no number."""
    scope.run(f"""
        CREATE TABLE scope.main.scope_reached AS {reached};
        CREATE VIEW scope.main.scope_edges AS SELECT node AS owner, label AS tie FROM parts.labels;
        CREATE VIEW scope.main.scope_asks AS FROM parts.asks;
        CREATE VIEW scope.main.scope_fresh AS
        SELECT owner, 'asks' AS kind, tie FROM parts.asks
        SEMI JOIN scope.main.scope_reached AS reached ON reached.node = owner;
        CREATE VIEW scope.main.scope_before AS FROM parts.before;
        CREATE TABLE scope.main.scope_phones AS SELECT phone FROM parts.numbers WHERE {numbers}
    """)
    for relation, (phone, name) in BY_PHONE.items():
        scope.run(
            f"CREATE TABLE scope.main.scope_{relation.partition('.')[2]} AS SELECT source, {name}"
            f" FROM {{home}}.{relation} WHERE {phone} IS NULL AND {with_nameless}"
        )


def _copy(scope: Scope) -> None:
    copy_records(scope)
    copy_calls(scope)
    show_the_rest(scope)


def first_day(connection: duckdb.DuckDBPyConnection) -> date | None:
    """The day of the company's first lead; while a scope is open, of the first in it."""
    row = connection.execute("SELECT min(local_date) FROM calc.leads").fetchone()
    return row[0] if row else None


def begin_anew(connection: duckdb.DuckDBPyConnection) -> None:
    """No resolve is on record from here on, and nothing is made of records that are gone."""
    with transaction(connection):
        require_full(connection)
        _sweep(connection)
