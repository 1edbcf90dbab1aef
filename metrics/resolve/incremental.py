"""When a part of the records is enough for a resolve, and what must hold for its result to be that of a full one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import duckdb

from metrics.resolve.changes import staged_name
from metrics.resolve.choosing import UNBOOKED, UNSURE_SUMS, choose, keep_choosers
from metrics.resolve.matching import reader_digest
from metrics.resolve.money import MoneyReport
from metrics.resolve.scope import (
    Scope,
    copy_calls,
    copy_records,
    find_seeds,
    grow,
    show_the_rest,
)
from metrics.resolve.timed import is_timed_otherwise
from metrics.resolve.versions import SOURCE_RELATIONS, read_setting, source_settings, store_setting
from metrics.settings import Company
from models.arrow import find_relation

# Beyond this share of all records a full resolve is cheaper. Of all together, not of each kind: when the deals of one
# more account double those of a company with a hundred million calls, a twentieth of its records is news.
SCOPED_SHARE = 0.3

_STATE = "resolved.state"
# Their rows go without a trace where a list comes without them; scope.find_seeds compares them with their ties.
_SHRINKING = ("core.call_legs", "core.deal_contacts", "core.payment_parts")
# Read by every deal of its source: a change of theirs is a change of all, but where the source itself is new.
_COMMON = "core.pipeline_stages"
_LARGE = ("core.deals", "core.calls", "core.payments")


class ScopeError(Exception):
    """What changed can't be resolved apart from the rest; a full resolve can."""


def only_records_changed(stored: dict[str, str], present: dict[str, str]) -> bool:
    """Inputs, settings and rules are those of the last resolve. Of sources, `find_start` tells which came; of the
    production calendar's days, `finish_money` whether they concern what was there."""
    differing = {name for name in stored.keys() | present.keys() if stored.get(name) != present.get(name)}
    return len(differing) > 0 and differing <= {
        "resolve.core_version",
        "resolve.sources_version",
        "resolve.calendar_version",
    }


def is_later(connection: duckdb.DuckDBPyConnection, now: datetime) -> bool:
    """Everything loaded so far was loaded before `now`: what comes later can be told by its time."""
    newest = " UNION ALL ".join(f"SELECT max(loaded_at) AS loaded_at FROM {relation}" for relation in SOURCE_RELATIONS)
    row = connection.execute(f"SELECT coalesce(max(loaded_at) < $now, TRUE) FROM ({newest})", {"now": now}).fetchone()
    return row is not None and bool(row[0])


def store_state(connection: duckdb.DuckDBPyConnection, company: Company, resolved_at: datetime | None) -> None:
    """Remember what was resolved, in the caller's transaction; None = what comes later can't be told by its time."""
    at = None if resolved_at is None else resolved_at.isoformat()
    counted = {"ties": count_of(connection, "FROM calc.ties"), "counts": _count_rows(connection)}
    store_setting(connection, _STATE, {"at": at, **counted, **_surroundings(connection, company)})


def require_full(connection: duckdb.DuckDBPyConnection) -> None:
    """The next resolve looks at everything. For whoever deletes or edits core rows without a trace in `loaded_at`."""
    connection.execute("DELETE FROM meta.settings WHERE starts_with(name, 'resolve')")


def find_start(
    connection: duckdb.DuckDBPyConnection, company: Company, now: datetime, share: float = SCOPED_SHARE
) -> datetime | None:
    """The instant after which records are news to the last resolve; None = that can't be told, they are more than
    `share` of all, or concern all."""
    state = read_setting(connection, _STATE)
    if state is None or state["at"] is None:
        return None
    since = datetime.fromisoformat(state["at"])
    if since >= now or not _is_same_world(state, _surroundings(connection, company)):
        return None
    if _identities_turned(connection, since, now):
        return None
    # Whoever forgets a person empties the ties: theirs are hashes of phones.
    if state["ties"] != count_of(connection, "FROM calc.ties"):
        return None
    ordered = f"FROM {_COMMON} WHERE loaded_at > $since AND source IN (SELECT unnest($known))"
    if count_of(connection, ordered, since=since, known=[*state["stages"]]):
        return None
    counts, before = _count_rows(connection), state["counts"]
    large = 0
    for relation in SOURCE_RELATIONS:
        news = count_of(connection, f"FROM {relation} WHERE loaded_at > $since", since=since)
        large += news if relation in _LARGE else 0
        # Rows that came with an old time, or went: by nobody's ordinary loading.
        if counts[relation] - news > before[relation]:
            return None
        if relation not in _SHRINKING and counts[relation] < before[relation]:
            return None
    return since if large <= share * sum(counts[relation] for relation in _LARGE) else None


def fill_scope(scope: Scope, since: datetime, share: float) -> None:
    """Copy what the changes after `since` are tied to.

    Raises:
        ScopeError: that is more than `share` of all deals, calls and payments, or what deals asked before is unknown.
    """
    find_seeds(scope, since)
    grow(scope)
    choose(scope)
    copy_records(scope)
    _check_share(scope, share, [relation for relation in _LARGE if relation != "core.calls"])
    copy_calls(scope)
    _check_share(scope, share, _LARGE)
    show_the_rest(scope)


def _check_share(scope: Scope, share: float, copied: Sequence[str]) -> None:
    taken = sum(scope.count(f"SELECT count(*) FROM scope.{relation}") for relation in copied)
    if taken > share * sum(scope.count(f"SELECT count(*) FROM {{home}}.{relation}") for relation in _LARGE):
        raise ScopeError(", ".join(copied))


@contextmanager
def see_whole(scope: Scope, relations: Sequence[str]) -> Iterator[None]:
    """Inside, the staged tables of these relations stand for all records: what was made now, and beside it what is
    stored of the others."""
    for relation in relations:
        staged = staged_name(relation)
        # What a step hands on beside the relation's own columns is not stored.
        columns = ", ".join(column.name for column in find_relation(relation).columns)
        scope.run(f"""
            ALTER TABLE temp.{staged} RENAME TO part_of_{staged};
            CREATE TEMP VIEW {staged} AS
            SELECT {columns} FROM part_of_{staged}
            UNION ALL
            SELECT {columns} FROM {{home}}.{relation} ANTI JOIN scope.main.scope_deals USING (source, deal_id)
        """)
    try:
        yield
    finally:
        for relation in relations:
            staged = staged_name(relation)
            scope.run(f"DROP VIEW temp.{staged}; ALTER TABLE temp.part_of_{staged} RENAME TO {staged}")


def finish_money(scope: Scope) -> None:
    """After money: leave out the lists of deals that are not whole, and check the few things that a scope can't see
    beyond itself.

    Raises:
        ScopeError: the company's first lead is of another day, and records outside stand between the two; the
            documents of a changed deal ask a sum nobody reckoned with; or records outside were timed by working days
            that are others now.
    """
    keep_choosers(scope)
    if scope.count(_MOVED_BEGINNING):
        raise ScopeError("first lead")
    if scope.count(_UNFORESEEN_SUMS):
        raise ScopeError("sums of documents")
    if is_timed_otherwise(scope):
        raise ScopeError("working days")


# Before the first lead only accounting knows who bought (sql/94_sales.sql): what that decides of payments outside the
# scope, which holds the first lead of the last resolve, if it is still there. Without any lead nothing is before it.
_MOVED_BEGINNING = """
    SELECT count(*)
    FROM (FROM {home}.calc.customer_payments ANTI JOIN scope.core.payments USING (source, payment_id)) AS payments
    CROSS JOIN (SELECT coalesce(min(local_date), DATE '-infinity') AS day FROM next_leads) AS made
    CROSS JOIN (SELECT coalesce(min(local_date), DATE '-infinity') AS day FROM {home}.calc.leads) AS stored
    WHERE payments.deal_id = ''
        AND payments.local_date >= least(made.day, stored.day)
        AND payments.local_date < greatest(made.day, stored.day)
"""
# Of deals whose documents were other ones before, or add up to something else now: unmatched payments elsewhere that
# are of such a sum.
_UNFORESEEN_SUMS = f"""
    SELECT
        (SELECT count(*) FROM (
            {UNSURE_SUMS.format(linked="next_order_deals", orders="scope.core.orders")}
            UNION ALL
            {UNSURE_SUMS.format(linked="{home}.calc.order_deals", orders="{home}.core.orders")}
        ) WHERE node_of('deal', source, deal_id) IN (FROM scope.main.scope_clusters))
        + (SELECT count(*) FROM ({UNBOOKED}) AS rests
            JOIN {{home}}.core.payments AS payments USING (source, payment_id)
            SEMI JOIN (
                SELECT asked_node(currency, due) AS tie FROM next_deal_payments
                WHERE due_origin = 'order' AND node_of('deal', source, deal_id) IN (FROM scope.main.scope_clusters)
            ) AS asked ON asked.tie = asked_node(payments.currency, payments.amount)
            ANTI JOIN scope.main.scope_asked AS foreseen
                ON foreseen.tie = asked_node(payments.currency, payments.amount)
            ANTI JOIN scope.main.scope_choosers AS known USING (source, payment_id))
"""


def check_written(connection: duckdb.DuckDBPyConnection) -> None:
    """Every record has what is made of each, in the transaction that wrote it.

    Raises:
        ScopeError: a record was lost, or something is left of one that is gone.
    """
    for made, of in (
        ("FROM facts.deal_payments", "core.deals"),
        ("FROM calc.calls", "core.calls"),
        ("FROM (SELECT DISTINCT source, payment_id FROM calc.payments)", "core.payments"),
    ):
        if count_of(connection, made) != count_of(connection, f"FROM {of}"):
            raise ScopeError(of)


def count_money(connection: duckdb.DuckDBPyConnection, purposes_read: int) -> MoneyReport:
    """What money.stage_money reports, counted from what is stored: a scope sees a part."""
    return MoneyReport(
        by_rule=_counts(connection, "match_rule", "deal_id <> '' AND match_rule IS NOT NULL"),
        unmatched=count_of(
            connection, "FROM calc.payments WHERE deal_id = '' AND coalesce(excluded_by, 'no_rate') = 'no_rate'"
        ),
        excluded=_counts(connection, "excluded_by", "excluded_by IS NOT NULL"),
        candidates=count_of(connection, "FROM (SELECT DISTINCT source, payment_id FROM calc.match_candidates)"),
        idle_decisions=count_of(connection, _IDLE_DECISIONS),
        purposes_read=purposes_read,
    )


# A decision books where both its payment's counted copy and its deal are known (sql/money_pairs.sql, money_manual).
_IDLE_DECISIONS = """
    FROM core.matches
    ANTI JOIN (
        SELECT matches.source, matches.payment_id, matches.deal_source, matches.deal_id
        FROM core.matches AS matches
        JOIN core.deals AS deals ON deals.source = matches.deal_source AND deals.deal_id = matches.deal_id
        JOIN calc.payments AS decided
            ON decided.source = matches.source AND decided.payment_id = matches.payment_id
        JOIN calc.payments AS counted
            ON counted.source = coalesce(decided.same_as_source, decided.source)
            AND counted.payment_id = coalesce(decided.same_as_payment_id, decided.payment_id)
            AND coalesce(counted.excluded_by, 'no_rate') = 'no_rate'
    ) AS busy USING (source, payment_id, deal_source, deal_id)
"""


def _counts(connection: duckdb.DuckDBPyConnection, column: str, where: str) -> dict[str, int]:
    rows = connection.execute(f"""
        SELECT {column}, count(DISTINCT (source, payment_id)) FROM calc.payments WHERE {where} GROUP BY ALL ORDER BY ALL
    """).fetchall()
    return dict(rows)


def _surroundings(connection: duckdb.DuckDBPyConnection, company: Company) -> dict[str, Any]:
    """What else decides, beside records, inputs, settings and rules: as JSON has it."""

    def counted(query: str) -> dict[str, Any]:
        return dict(connection.execute(query).fetchall())

    mappings = counted("SELECT source || '/' || stream, mapping_version FROM meta.watermarks")
    lives = counted("SELECT source, CAST(min(started_at) AS VARCHAR) FROM meta.sync_runs GROUP BY source")
    stages = counted(f"""
        SELECT source, count(stage_id)
        FROM (SELECT DISTINCT source, NULL AS stage_id FROM core.deals UNION ALL SELECT source, stage_id FROM {_COMMON})
        GROUP BY source
    """)
    return {
        "mappings": mappings,
        "lives": lives,
        "stages": stages,
        "sources": source_settings(company),
        "reader": reader_digest(),
        # Ties are DuckDB's hashes.
        "engine": duckdb.__version__,
    }


def _is_same_world(before: dict[str, Any], present: dict[str, Any]) -> bool:
    """New sources and streams may come; what was there reads, began and hashes as before."""
    return all(before[name] == present[name] for name in ("reader", "engine")) and all(
        present[name].get(key) == value
        for name in ("mappings", "lives", "stages", "sources")
        for key, value in before[name].items()
    )


def _identities_turned(connection: duckdb.DuckDBPyConnection, since: datetime, now: datetime) -> bool:
    """An account passed to another person meanwhile: whose deals are is decided by today (sql/20_people.sql)."""
    turned = """
        FROM (
            SELECT valid_from AS day FROM core.identities UNION ALL SELECT valid_to + 1 FROM core.identities
        ) AS turns
        WHERE timezone(getvariable('zone'), CAST(day AS TIMESTAMP)) > $since
            AND timezone(getvariable('zone'), CAST(day AS TIMESTAMP)) <= $now
    """
    return count_of(connection, turned, since=since, now=now) > 0


def _count_rows(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    return {relation: count_of(connection, f"FROM {relation}") for relation in SOURCE_RELATIONS}


def count_of(connection: duckdb.DuckDBPyConnection, clause: str, **values: object) -> int:
    """The number of rows of `FROM …`."""
    row = connection.execute(f"SELECT count(*) {clause}", values).fetchone()
    return int(row[0]) if row else 0
