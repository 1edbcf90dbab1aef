"""The storage the warehouse is written in: who can read it, and what becomes of files of an older one."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb

from flows.steps.publish import publish
from tests.engine import only_files
from tests.toy import Toy, deal, page
from warehouse.quoting import quote_literal

# The oldest DuckDB that opens a published file; raising it locks out every analyst with an older one.
OLDEST_READER = "v1.3.0+"


def storage(path: Path) -> str:
    with duckdb.connect(str(path), read_only=True) as connection:
        row = connection.execute("SELECT tags['storage_version'] FROM duckdb_databases() WHERE NOT internal").fetchone()
    assert row is not None
    return str(row[0])


def rewrite_as_older(path: Path) -> None:
    """The file as an earlier voronka left it: in the storage that all versions from 1.0 on read."""
    older = path.with_suffix(".older")
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH {quote_literal(str(path))} AS now (READ_ONLY)")
        connection.execute(f"ATTACH {quote_literal(str(older))} AS older (STORAGE_VERSION 'v1.0.0')")
        connection.execute("COPY FROM DATABASE now TO older")
    os.replace(older, path)


def test_the_published_file_is_read_by_the_oldest_engine_promised(toy: Toy) -> None:
    """An option that writes a newer storage: nobody here would notice, analysts could not open the file."""
    toy.run({"deals": [page(deal(1, 100))]})
    assert storage(publish(toy.project(), clock=toy.clock).path) == OLDEST_READER


@only_files("it is of an older storage")
def test_a_file_of_an_older_storage_is_opened_kept_whole_and_written_in_the_present_one(toy: Toy) -> None:
    """An engine that refuses the option for existing files: no installation could be updated."""
    toy.run({"deals": [page(deal(1, 100))]})
    warehouse = toy.project().warehouse_path
    rewrite_as_older(warehouse)
    assert storage(warehouse) == "v1.0.0+"

    toy.run({"deals": [page(deal(2, 200))]})
    published = publish(toy.project(), clock=toy.clock).path

    assert storage(published) == OLDEST_READER
    with duckdb.connect(str(published), read_only=True) as connection:
        assert connection.execute("SELECT deal_id FROM core.deals ORDER BY 1").fetchall() == [("1",), ("2",)]
