"""Which engine the tests run on: files, or with VORONKA_ENGINE=lake a lake with a PostgreSQL of the tests' own."""

from __future__ import annotations

import os
import shutil
from functools import cache
from pathlib import Path

import duckdb
import pytest

from tests import postgres
from warehouse.address import Lake
from warehouse.lake import attach_lake
from warehouse.lake_schema import ensure_lake

IS_LAKE = os.environ.get("VORONKA_ENGINE", "file") == "lake"


def only_files(why: str) -> pytest.MarkDecorator:
    """Marks what has no meaning on a lake, by its nature: `why` says what."""
    return pytest.mark.skipif(IS_LAKE, reason=f"files only: {why}")


files_only = only_files("it looks at a file, or at what a file costs")
# A test's process has its PostgreSQL for itself: another process would find another lake.
one_process = only_files("its processes share a folder, and would not share a lake")


def make_lake(folder: Path) -> Lake:
    """A lake without a table, with its data in `folder`."""
    server = postgres.server()
    return Lake(address=server.address(server.create_database()), data_path=folder / "lake")


def opened_lake(lake: Lake) -> duckdb.DuckDBPyConnection:
    """A connection as commands have it, whatever there is in the lake."""
    connection = duckdb.connect(config={"threads": 1, "autoinstall_known_extensions": False})
    connection.execute("SET TimeZone = 'UTC'")
    attach_lake(connection, lake)
    return connection


@cache
def lake_at(folder: Path) -> Lake | None:
    """The lake of a test's folder, with its tables; None when tests run on files. Its data lies with the server's: what
    tests find in their folders is what a command left there."""
    return copy_lake(_template()) if IS_LAKE else None


def copy_lake(lake: Lake) -> Lake:
    """Another lake with the same rows, of one that nobody has open; its data lies with the server's."""
    server = postgres.server()
    database = server.create_database(database_of(lake))
    copy = Lake(address=server.address(database), data_path=server.folder / database)
    # Without the mark that says whose the data is.
    shutil.copytree(lake.data_path, copy.data_path, ignore=shutil.ignore_patterns("*.voronka-lake"))
    for name in ("raw", "warehouse"):
        place = copy.place(name)
        server.query(f"UPDATE voronka_{name}.ducklake_metadata SET value = '{place}' WHERE key = 'data_path'", database)
    return copy


def database_of(lake: Lake) -> str:
    return lake.address.split()[0].removeprefix("dbname=")


def lake_table(folder: Path) -> str:
    """What a configuration in the folder says of its lake; nothing when tests run on files."""
    lake = lake_at(folder)
    return f'\n[warehouse]\npath = "{lake.shown}"\ndata_path = "{lake.data_path}"\n' if lake else ""


def look(path: Path, *, writes: bool = False) -> duckdb.DuckDBPyConnection:
    """A database to look into, by the path of its file. On a lake a company's working databases are named by where
    they would lie: FOLDER/var/warehouse.duckdb, FOLDER/var/raw.duckdb."""
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("SET TimeZone = 'UTC'")
    lake = lake_at(path.parent.parent) if path.parent.name == "var" else None
    if lake is None:
        connection.execute(f"ATTACH '{path}' AS looked_at {'' if writes else '(READ_ONLY)'}; USE looked_at")
    else:
        attach_lake(connection, lake)
        connection.execute("USE landing" if path.stem == "raw" else "USE warehouse")
    return connection


@cache
def _template() -> Lake:
    """A lake as a first command makes it; copied, for making one takes seconds."""
    lake = make_lake(postgres.server().folder / "template")
    with duckdb.connect(config={"threads": 1}) as connection:
        attach_lake(connection, lake)
        ensure_lake(connection)
    return lake
