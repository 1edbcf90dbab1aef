"""A resolve of what changed ends in the rows of a resolve of everything: over worlds in which everything is tied."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import duckdb
import pytest

from base.clock import FakeClock
from metrics.resolve import ResolveReport, resolve
from metrics.resolve.incremental import find_start, only_records_changed, require_full
from metrics.resolve.parts import PART_DEALS
from metrics.resolve.scope import MADE, WHOLE
from metrics.resolve.versions import read_setting
from tests.metrics.fixture_core import COMPANY, empty_warehouse
from tests.metrics.tangled import BEGINNING, DAYS, Worlds

TOLD = replace(COMPANY, source_types={"amo": "amocrm", "b24": "bitrix24", "mango": "mango", "bank": "onec"})
RESOLVED = (*MADE, *WHOLE, "core.deals", "core.deal_events", "core.calls", "core.activities", "core.payments")


class Twins:
    """Worlds of a seed, to be changed, and the same resolved from nothing for comparison."""

    def __init__(self, seed: int, worlds: int) -> None:
        self.connection = empty_warehouse()
        self.connection.execute("SET threads = 1")
        self.clock = FakeClock(BEGINNING + timedelta(days=DAYS))
        self.worlds = Worlds(self.connection, seed, worlds)
        self.resolve()

    def resolve(self, share: float = 1.0) -> ResolveReport:
        self.clock.advance(3600)
        self.resolved_at = self.clock.now()
        return resolve(self.connection, TOLD, self.clock, scoped_share=share)

    def change(self, share: float) -> None:
        self.clock.advance(3600)
        self.worlds.change(self.clock.now(), share)

    def compare(self) -> tuple[ResolveReport, dict[str, list[tuple[object, ...]]]]:
        """A full resolve's report, and the rows that only one of both has; when they were written aside."""
        self.connection.execute("ATTACH ':memory:' AS twin; COPY FROM DATABASE memory TO twin; USE twin")
        require_full(self.connection)
        report = resolve(self.connection, TOLD, self.clock)
        self.connection.execute("USE memory")
        found = {relation: _differing(self.connection, relation) for relation in RESOLVED}
        self.connection.execute("DETACH twin")
        return report, {relation: rows for relation, rows in found.items() if rows}


def _differing(connection: duckdb.DuckDBPyConnection, relation: str) -> list[tuple[object, ...]]:
    rows = "SELECT COLUMNS(name -> name NOT IN ('loaded_at', 'version')) FROM {}." + relation
    here, there = rows.format("memory"), rows.format("twin")
    return connection.execute(
        f"SELECT 'scoped' AS only, * FROM ({here} EXCEPT ALL {there})"
        f" UNION ALL SELECT 'full', * FROM ({there} EXCEPT ALL {here})"
    ).fetchall()


def test_what_changed_alone_gives_what_everything_gives() -> None:
    """Something a step reads beyond the ties: a row of a record nobody looked at again would stay as it was."""
    twins = Twins(1, 40)
    for share in (0.15, 0.8):
        twins.change(share)
        scoped = twins.resolve()
        full, differing = twins.compare()
        assert differing == {}
        assert (scoped.scoped, full.scoped) == (True, False)
        assert scoped.rows > 0
        assert full.rows == 0
        assert scoped.money is not None
        assert full.money is not None
        # Counted from what is stored, while a scope sees a part.
        assert replace(scoped.money, purposes_read=0) == replace(full.money, purposes_read=0)


@pytest.fixture(scope="module")
def resolved() -> Twins:
    return Twins(2, 3)


@pytest.fixture
def undone(resolved: Twins) -> Iterator[Twins]:
    resolved.connection.execute("BEGIN")
    yield resolved
    resolved.connection.execute("ROLLBACK")


def test_nothing_else_changed(undone: Twins) -> None:
    """The cases below prove nothing if a start is never found; new records and a new source, with stages of its own,
    are no reason not to."""
    undone.change(1.0)
    undone.connection.execute(
        "INSERT INTO core.pipeline_stages (source, pipeline_id, stage_id, loaded_at) VALUES ('new', '7', '1', now())"
    )
    undone.connection.execute(
        "INSERT INTO meta.sync_runs (run_id, source, stream, started_at) VALUES ('2', 'new', 'deals', now())"
    )
    since = undone.resolved_at
    assert find_start(undone.connection, TOLD, since + timedelta(hours=9), share=1.0) == since
    assert find_start(undone.connection, TOLD, since + timedelta(hours=9), share=0.0) is None


@pytest.mark.parametrize(
    "tampering",
    [
        "INSERT INTO core.deals (source, deal_id, loaded_at) VALUES ('amo', 'late', '2026-09-01 00:00:00+00')",
        "DELETE FROM core.deal_events WHERE event_id LIKE 'e1-%'",
        "DELETE FROM core.calls WHERE call_id = 'c1-0'",
        "INSERT INTO core.pipeline_stages (source, pipeline_id, stage_id, loaded_at) VALUES ('amo', '7', '1', now())",
        "UPDATE meta.sync_runs SET started_at = TIMESTAMPTZ '2026-09-02 00:00:00+00'",
        "DELETE FROM meta.watermarks",
        "DELETE FROM calc.ties",
        "UPDATE meta.watermarks SET mapping_version = '2'",
        "INSERT INTO core.identities VALUES ('A', 'amo', '7', DATE '2026-11-21', NULL)",
        "UPDATE core.identities SET valid_to = DATE '2026-11-20'",
        "DELETE FROM meta.settings WHERE name = 'resolved.state'",
        "UPDATE meta.settings SET value = '{\"at\": null}' WHERE name = 'resolved.state'",
        f"UPDATE meta.settings SET value = replace(value, '{duckdb.__version__}', '0.1') WHERE name = 'resolved.state'",
    ],
)
def test_what_changes_everything_resolves_everything(undone: Twins, tampering: str) -> None:
    """Each concerns records that no row of it names by its time: a scope would leave them as they were."""
    undone.connection.execute(tampering)
    assert find_start(undone.connection, TOLD, undone.resolved_at + timedelta(days=2), share=1.0) is None


def test_a_clock_that_stands_still_tells_no_news(undone: Twins) -> None:
    """Rows loaded in the very instant of the last resolve can't be told from those it saw."""
    assert find_start(undone.connection, TOLD, undone.resolved_at) is None


def test_only_records() -> None:
    """A change of inputs, settings or rules taken for one of records."""
    stored = {"resolve.core_version": "1", "resolve.input_version": "1", "resolve.rules_version": "1"}
    assert only_records_changed(stored, stored | {"resolve.core_version": "2"})
    assert not only_records_changed(stored, stored | {"resolve.core_version": "2", "resolve.input_version": "2"})
    assert not only_records_changed({}, stored)
    assert not only_records_changed(stored, stored)
    assert only_records_changed(stored | {"resolve.sources_version": "1"}, stored | {"resolve.sources_version": "2"})


def test_a_source_that_came_is_news_and_one_that_changed_concerns_all(undone: Twins) -> None:
    """A second account's own section in the configuration had everything resolved anew; a bank that takes the other's
    place decides over payments of both."""
    now = undone.resolved_at + timedelta(hours=9)
    more = replace(TOLD, source_types={**TOLD.source_types, "amo2": "amocrm"})
    assert find_start(undone.connection, more, now) is not None
    other = replace(TOLD, source_types={**TOLD.source_types, "amo": "bitrix24"})
    assert find_start(undone.connection, other, now) is None
    less = replace(TOLD, source_types={"amo": "amocrm"})
    assert find_start(undone.connection, less, now) is None
    first = replace(TOLD, priorities={**TOLD.priorities, "bank": 1})
    assert find_start(undone.connection, first, now) is None


def test_too_much_is_resolved_as_a_whole() -> None:
    """A scope given up half-way must leave nothing behind: neither its tables nor the catalog."""
    twins = Twins(3, 3)
    twins.change(1.0)
    assert find_start(twins.connection, TOLD, twins.clock.now() + timedelta(hours=1), share=0.2) is not None
    assert not twins.resolve(share=0.2).scoped
    assert twins.connection.execute(
        "SELECT count(*) FROM duckdb_databases() WHERE database_name = 'scope'"
    ).fetchone() == (0,)


def test_a_second_account_of_deals_is_little_beside_the_calls_of_a_large_company() -> None:
    """Deals weighed against deals alone: a company with a hundred million calls, which a full resolve can't hold, got
    one for every account it added."""
    twins = Twins(4, 3)
    twins.connection.execute(
        "INSERT INTO core.calls (source, call_id, loaded_at)"
        " SELECT 'mango', 'old-' || number, $now FROM range(1000) AS numbers (number)",
        {"now": twins.clock.now()},
    )
    twins.resolve()
    twins.clock.advance(3600)
    twins.connection.execute("UPDATE core.deals SET loaded_at = $now", {"now": twins.clock.now()})
    assert twins.resolve(share=0.3).scoped
    assert twins.compare()[1] == {}


class HurriedClock(FakeClock):
    """Told twice, it never tells the same."""

    def now(self) -> datetime:
        self.advance(1)
        return super().now()


@pytest.mark.parametrize("part_deals", [PART_DEALS, 7])
def test_what_a_resolve_writes_is_no_news_to_the_next(part_deals: int) -> None:
    """The night after everything was resolved resolved everything again: calls that were given a person, and payments
    a deal, bore a later time than the resolve itself."""
    twins = Twins(6, 4)
    connection = twins.connection
    connection.execute("UPDATE core.calls SET person_id = NULL; UPDATE core.payments SET match_rule = NULL")
    require_full(connection)
    resolve(connection, TOLD, HurriedClock(twins.clock.now()), part_deals=part_deals)
    state = read_setting(connection, "resolved.state")
    for relation in ("core.calls", "core.payments"):
        newest = connection.execute(f"SELECT max(loaded_at) FROM {relation}").fetchone()
        assert newest == (datetime.fromisoformat(state["at"]),), relation


def pay_before_the_first_lead(connection: duckdb.DuckDBPyConnection) -> None:
    """Customers of every world bought half a year before its first deal, as accounting knows."""
    connection.execute(
        "INSERT INTO core.payments BY NAME SELECT * REPLACE ('old-' || payment_id AS payment_id,"
        " DATE '2026-03-03' AS paid_on,"
        " NULL AS order_id, NULL AS invoice_number, NULL AS contract_number, '' AS purpose) FROM core.payments"
        " WHERE kind = 'customer' AND is_deleted IS NOT TRUE AND amount > 0 AND payer_tax_id IS NOT NULL"
    )


def add_lone_deals(connection: duckdb.DuckDBPyConnection, deal_ids: Sequence[str], day: str, now: datetime) -> None:
    """Deals of one more account, made on a day and tied to nothing."""
    connection.execute(
        "INSERT INTO core.deals BY NAME SELECT deals.* REPLACE (lone.deal_id AS deal_id, 'another' AS source,"
        " NULL AS company_id, NULL AS tax_id, NULL AS order_id, NULL AS invoice_number,"
        " NULL AS contract_number, NULL AS amount, CAST($day AS TIMESTAMPTZ) AS created_at, $now AS loaded_at)"
        " FROM (SELECT * FROM core.deals SEMI JOIN calc.leads USING (source, deal_id) LIMIT 1) AS deals"
        " CROSS JOIN (SELECT unnest($deals) AS deal_id) AS lone",
        {"day": f"{day} 09:00:00+00", "now": now, "deals": [*deal_ids]},
    )


@pytest.mark.parametrize("is_between", [False, True])
def test_an_account_older_than_the_company_is_news_where_nobody_bought_before(is_between: bool) -> None:
    """The first lead moved a year back made every customer's beginning new, whether anything hung on it or not; and
    where it does, customers outside the scope stayed what they were."""
    twins = Twins(5, 3)
    if is_between:
        pay_before_the_first_lead(twins.connection)
        twins.resolve()
    first = "SELECT min(local_date) FROM calc.leads"
    before = twins.connection.execute(first).fetchone()
    twins.clock.advance(3600)
    add_lone_deals(twins.connection, ["ancient"], "2026-01-01", twins.clock.now())
    assert twins.resolve().scoped != is_between
    assert twins.connection.execute(first).fetchone() != before, "nothing has moved"
    assert twins.compare()[1] == {}
