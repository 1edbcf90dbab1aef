"""Which sources are in use: told by the configuration, for what is gone from it can't speak for itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import duckdb

from metrics.sources import store_sources
from tests.metrics.fixture_calc import cover
from tests.metrics.fixture_core import COMPANY, empty_warehouse


def rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    return connection.execute(query).fetchall()


def test_a_source_taken_out_of_the_configuration_or_switched_off_is_in_use_no_more() -> None:
    """Its records stay, and with them the date until which they are complete: every number would end there for good."""
    connection = empty_warehouse()
    for source in ("amo", "old", "mango"):
        cover(connection, source, "crm", "03 00:00")
    company = replace(COMPANY, source_types={"amo": "amocrm", "mango": "mango"}, disabled_sources=frozenset({"mango"}))
    assert store_sources(connection, company) == 3
    stored = rows(connection, "SELECT source, source_type, is_enabled FROM meta.sources ORDER BY source")
    assert stored == [("amo", "amocrm", True), ("mango", "mango", False), ("old", None, False)]


def test_an_unchanged_configuration_writes_nothing_and_a_returning_source_counts_again() -> None:
    connection = empty_warehouse()
    cover(connection, "old", "crm", "03 00:00")
    company = replace(COMPANY, source_types={"amo": "amocrm"})
    assert [store_sources(connection, company) for _ in range(2)] == [2, 0]
    assert store_sources(connection, replace(company, source_types={"amo": "amocrm", "old": "amocrm"})) == 1
    assert rows(connection, "SELECT is_enabled FROM meta.sources WHERE source = 'old'") == [(True,)]
