"""Staged rows read back as they were given, whichever way a column was built."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from connectors.stream import Rows, target
from warehouse.staging import Staging

DEALS = target("core.deals", "deal_id title amount created_at")
NOTHING = (None, None, None)


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("SET TimeZone = 'UTC'")
        yield opened


def staged(connection: duckdb.DuckDBPyConnection, *chunks: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Title, amount, creation (microseconds), version and place of rows given in chunks; row n has version 10 n."""
    with Staging(connection) as staging:
        first = 0
        for chunk in chunks:
            rows = Rows()
            for ordinal, values in enumerate(chunk):
                rows.begin(ordinal)
                rows.add(DEALS, (str(first + ordinal), *values))
            versions = [10 * (first + ordinal) for ordinal in range(len(chunk))]
            assert staging.append(rows, versions, first) == {}
            first += len(chunk)
        (only,) = staging.targets
        return connection.execute(
            f"SELECT title, amount, epoch_us(created_at), version, _ordinal FROM {only.rows} ORDER BY _ordinal"
        ).fetchall()


@pytest.mark.parametrize(
    "titles",
    [
        pytest.param(["а", "б", "а"], id="first and last alike, another between them"),
        pytest.param([None, "б", None], id="nothing at both ends"),
        pytest.param(["а", None, "а"], id="nothing between"),
        pytest.param(["а", "а", "а"], id="one text"),
        pytest.param([None, None, None], id="nothing"),
        pytest.param(["", "", ""], id="empty texts are no nothing"),
    ],
)
def test_a_column_that_looks_like_one_value_keeps_each_of_its_own(
    connection: duckdb.DuckDBPyConnection, titles: list[str | None]
) -> None:
    """A short way for columns of one value that takes a column for such a one by its ends."""
    found = staged(connection, [(title, None, None) for title in titles])
    assert [row[0] for row in found] == titles


def test_a_column_empty_in_one_chunk_is_of_the_same_type_in_the_next(connection: duckdb.DuckDBPyConnection) -> None:
    """An empty column without its type: the chunks could not be read as one."""
    full = ("а", Decimal("1.50"), 1_700_000_000_000_000)
    assert staged(connection, [NOTHING, NOTHING], [full], [NOTHING]) == [
        (*NOTHING, 0, 0),
        (*NOTHING, 10, 1),
        (*full, 20, 2),
        (*NOTHING, 30, 3),
    ]


def test_one_text_that_is_no_utf_8_in_every_row_is_still_a_reject(connection: duckdb.DuckDBPyConnection) -> None:
    """The short way would build the value outside of what looks for misfits."""
    rows = Rows()
    for ordinal in range(2):
        rows.begin(ordinal)
        rows.add(DEALS, (str(ordinal), "\ud800", None, None))
    with Staging(connection) as staging:
        assert {place: bad.code for place, bad in staging.append(rows, [1, 1], 0).items()} == {
            0: "does_not_fit",
            1: "does_not_fit",
        }
