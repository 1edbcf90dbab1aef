"""Which payments may choose among which deals: the one thing that looks beyond clusters (scope.py).

A payment without a deal lists deals that ask its very amount (calc.match_candidates). Amounts tie too many strangers to
be ties: who asks is taken into a scope for the payments whose list may have changed, and nobody else's list is written.
"""

from __future__ import annotations

from metrics.resolve.changes import staged_name
from metrics.resolve.scope import Scope

# At most so many deals may ask an amount for it to point at any of them (sql/money_by_amount.sql).
_ASKERS = 50


def choose(scope: Scope) -> None:
    """From clusters (`scope_reached`) to the payments whose list may differ, and to all that these may list.

    `scope_edges` (owner, tie) tie records; of amounts, `scope_fresh` has what the clusters ask now, `scope_asks` what
    everybody asks and `scope_before` what everybody asked at the last resolve.
    """
    scope.run("CREATE TABLE scope.main.scope_clusters AS FROM scope.main.scope_reached")
    _choose_payments(scope)
    reach_asking(scope)


def reach_asking(scope: Scope) -> None:
    """Take in the payments that choose, and whoever asks for what they paid."""
    scope.reach("SELECT node_of('payment', source, payment_id) AS node FROM scope.main.scope_choosers")
    scope.reach(_ASKING)
    # The company's first lead divides its customers into those of before and the others (sql/94_sales.sql).
    scope.reach("""
        SELECT node_of('deal', source, deal_id) AS node
        FROM (FROM {home}.calc.leads ORDER BY local_date, source, deal_id LIMIT 1)
    """)


# Deals outside the scope that surely ask an amount: by their own card, because accounting has no document of them.
_SURE = """
    SELECT ties.tie, ties.owner FROM scope.main.scope_asks AS ties
    JOIN (
        SELECT node_of('deal', source, deal_id) AS owner FROM {home}.facts.deal_payments WHERE due_origin <> 'order'
    ) AS deals USING (owner)
    ANTI JOIN scope.main.scope_reached AS reached ON reached.node = ties.owner
"""


def _choose_payments(scope: Scope) -> None:
    """Payments whose list may differ: the clusters' own, and unmatched ones of an amount that a cluster's deal asks,
    now or before. An amount that more deals ask than a list may have points at nobody, whatever changed."""
    scope.run(
        f"""
        CREATE TABLE scope.main.scope_asked AS
        SELECT DISTINCT tie FROM (
            SELECT tie FROM scope.main.scope_before
            SEMI JOIN scope.main.scope_reached AS reached ON reached.node = owner
            UNION ALL
            SELECT tie FROM scope.main.scope_fresh WHERE kind = 'asks'
        )
        ANTI JOIN (SELECT tie FROM ({_SURE}) GROUP BY tie HAVING count(*) > {_ASKERS}) AS common USING (tie)
        WHERE tie IS NOT NULL;

        CREATE TABLE scope.main.scope_choosers AS
        SELECT source, payment_id FROM {{home}}.core.payments
        SEMI JOIN scope.main.scope_reached AS reached ON reached.node = node_of('payment', source, payment_id)
        UNION
        SELECT source, payment_id FROM {{home}}.core.payments AS payments
        SEMI JOIN ({UNBOOKED}) AS rests USING (source, payment_id)
        SEMI JOIN scope.main.scope_asked AS asked ON asked.tie = asked_node(payments.currency, payments.amount)
        UNION
        SELECT source, payment_id FROM {{home}}.calc.match_candidates
        SEMI JOIN scope.main.scope_reached AS reached ON reached.node = node_of('deal', deal_source, deal_id)
        """
    )


UNBOOKED = """
    SELECT source, payment_id FROM {home}.calc.payments
    WHERE deal_id = '' AND NOT is_refund AND coalesce(excluded_by, 'no_rate') = 'no_rate'
"""

# Documents of one deal whose sum is not what is due: in another currency, or taking something back.
UNSURE_SUMS = """
    SELECT linked.deal_source AS source, linked.deal_id
    FROM {linked} AS linked
    JOIN {orders} AS orders ON orders.source = linked.source AND orders.order_id = linked.order_id
    GROUP BY linked.deal_source, linked.deal_id
    HAVING count(*) > 1 AND NOT coalesce(bool_and(
        orders.amount > 0 AND coalesce(orders.currency, getvariable('currency')) = getvariable('currency')
    ), FALSE)
"""

# Who asks for what the choosers paid: everybody, or so many that it points at nobody.
_ASKING = f"""
    WITH paid AS (
        SELECT DISTINCT asked_node(currency, amount) AS tie FROM {{home}}.core.payments
        SEMI JOIN scope.main.scope_choosers USING (source, payment_id)
        WHERE amount > 0
    ),
    sure AS (
        FROM ({_SURE}) SEMI JOIN paid USING (tie)
    ),
    common AS (SELECT tie FROM sure GROUP BY tie HAVING count(*) > {_ASKERS})
    SELECT owner AS node FROM sure SEMI JOIN common USING (tie)
    QUALIFY row_number() OVER (PARTITION BY tie ORDER BY owner) <= {_ASKERS} + 1
    UNION
    SELECT ties.owner FROM scope.main.scope_asks AS ties SEMI JOIN paid USING (tie) ANTI JOIN common USING (tie)
    UNION
    SELECT node_of('deal', source, deal_id) FROM {{home}}.facts.deal_payments
    SEMI JOIN paid ON paid.tie = asked_node(currency, due)
    WHERE due_origin = 'order'
    UNION
    SELECT node_of('deal', source, deal_id)
    FROM ({UNSURE_SUMS.format(linked="{home}.calc.order_deals", orders="{home}.core.orders")})
"""


def keep_choosers(scope: Scope) -> None:
    """Of the lists of deals to choose from, only those whose every candidate is in the scope."""
    staged = staged_name("calc.match_candidates")
    scope.run(f"""
        CREATE OR REPLACE TEMP TABLE {staged} AS
        FROM {staged} SEMI JOIN scope.main.scope_choosers USING (source, payment_id)
    """)
