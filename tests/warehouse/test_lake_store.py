"""A lake whose data is in an object store: the S3-compatible server is moto's, in this process."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from base.clock import FakeClock
from base.errors import WarehouseError
from base.secrets import Secret
from tests.engine import make_lake, opened_lake
from warehouse.address import Lake, ObjectStore
from warehouse.engine import transaction
from warehouse.lake_search import forget_extremes, lake_holds
from warehouse.lake_upkeep import keep_up, purge

moto_server = pytest.importorskip("moto.server")
CLOCK = FakeClock(datetime(2026, 11, 22, tzinfo=UTC))
BUCKET = "company"
SECRET = Secret("never-to-be-seen-anywhere")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """host:port of the store, with one bucket."""
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    httpx.put(f"http://{host}:{port}/{BUCKET}").raise_for_status()
    yield f"{host}:{port}"
    server.stop()


@pytest.fixture
def lake(endpoint: str, tmp_path: Path) -> Lake:
    store = ObjectStore(key_id=Secret("key"), secret=SECRET, region="us-east-1", endpoint=endpoint, is_encrypted=False)
    return replace(make_lake(tmp_path), data_path=f"s3://{BUCKET}/{tmp_path.name}", store=store)


def objects(endpoint: str, prefix: str) -> list[str]:
    listed = httpx.get(f"http://{endpoint}/{BUCKET}", params={"list-type": "2", "prefix": prefix}).text
    return re.findall(r"<Key>([^<]+)</Key>", listed)


def test_rows_are_written_kept_up_and_forgotten_in_a_store_as_in_a_folder(
    lake: Lake, endpoint: str, tmp_path: Path
) -> None:
    """A removal that the store's protocol has and the extension has not would leave a forgotten person's file there."""
    with opened_lake(lake) as connection:
        connection.execute("CREATE TABLE warehouse.main.people (id BIGINT, phone VARCHAR)")
        for number in range(10):
            with transaction(connection):
                connection.execute(f"INSERT INTO warehouse.main.people VALUES ({number}, '+7916000000{number}')")
        (_, kept_up) = keep_up(connection, CLOCK, lake)
        assert (kept_up.before.files, kept_up.after.files, kept_up.merged) == (10, 1, 1)
        with transaction(connection):
            connection.execute("UPDATE warehouse.main.people SET phone = 'nobody' WHERE id = 9")
        assert any(place.startswith("s3://") for place in lake_holds(connection, lake, ["9160000009"]))
        assert len(objects(endpoint, tmp_path.name)) > 10
        purge(connection, CLOCK, lake)
        rows = connection.execute("FROM warehouse.main.people ORDER BY id").fetchall()
    with opened_lake(lake) as connection:
        forget_extremes(connection)
        assert lake_holds(connection, lake, ["9160000009"]) == []
        assert lake_holds(connection, lake, ["9160000008"]) != []
        assert connection.execute("FROM warehouse.main.people ORDER BY id").fetchall() == rows
    assert rows[8:] == [(8, "+79160000008"), (9, "nobody")]
    # What the purge wrote anew, and the file of the changed row.
    assert len([key for key in objects(endpoint, tmp_path.name) if key.endswith(".parquet")]) == 2


def test_a_store_s_secret_is_in_no_error_and_no_list(lake: Lake) -> None:
    """DuckDB tells the whole request when a store refuses it."""
    with opened_lake(lake) as connection:
        assert SECRET.reveal() not in repr(connection.execute("SELECT * FROM duckdb_secrets()").fetchall())
        connection.execute("CREATE TABLE warehouse.main.numbers AS SELECT 1 AS number")
    assert lake.store is not None
    nowhere = replace(lake, store=replace(lake.store, endpoint="127.0.0.1:1"))
    with pytest.raises(Exception, match=re.escape("127.0.0.1:1")) as refused, opened_lake(nowhere) as connection:
        connection.execute("FROM warehouse.main.numbers").fetchall()
    assert SECRET.reveal() not in str(refused.value)
    with pytest.raises(WarehouseError) as other:
        opened_lake(replace(lake, data_path=f"s3://{BUCKET}/elsewhere"))
    assert SECRET.reveal() not in str(other.value)
