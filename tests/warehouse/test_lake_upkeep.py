"""A lake's files in order: what is rewritten, merged and let go; what is kept for those who read; kills in between."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from base.clock import FakeClock
from base.errors import WarehouseError
from tests import postgres
from tests.engine import make_lake, opened_lake
from warehouse.address import Lake
from warehouse.engine import ask_postgres, transaction
from warehouse.lake_search import forget_extremes, lake_holds
from warehouse.lake_upkeep import GRACE, SMALL_FILES, Size, Upkeep, keep_up, purge, remove_files, size_of

CLOCK = FakeClock(datetime(2026, 11, 22, tzinfo=UTC))
PEOPLE = "warehouse.main.people"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Ten small batches of people; of the last one more than a fifth is gone again."""
    made = make_lake(tmp_path)
    with opened_lake(made) as connection:
        connection.execute(f"CREATE TABLE {PEOPLE} (id BIGINT, phone VARCHAR, names VARCHAR[])")
        for first in range(0, 100, 10):
            with transaction(connection):
                connection.execute(
                    f"INSERT INTO {PEOPLE} SELECT i, '+7916000' || lpad(i::VARCHAR, 4, '0'), ['Anna ' || i, 'nobody']"
                    f" FROM range({first}, {first + 10}) AS r(i)"
                )
        with transaction(connection):
            connection.execute(f"DELETE FROM {PEOPLE} WHERE id >= 96")
    return made


def files_of(lake: Lake) -> set[Path]:
    return set(Path(lake.data_path).rglob("*.parquet"))


def people(connection: duckdb.DuckDBPyConnection) -> list[tuple[object, ...]]:
    return connection.execute(f"FROM {PEOPLE} ORDER BY id").fetchall()


def maintained(connection: duckdb.DuckDBPyConnection, lake: Lake) -> Upkeep:
    (upkeep,) = (one for one in keep_up(connection, CLOCK, lake) if one.lake == "warehouse")
    return upkeep


def age(connection: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    """Ten days go by, for the catalog."""
    for table, column in (("snapshot", "snapshot_time"), ("files_scheduled_for_deletion", "schedule_start")):
        name = f"voronka_warehouse.ducklake_{table}"
        connection.execute(
            "CALL system.main.postgres_execute('lake_lock',"
            f" 'UPDATE {name} SET {column} = {column} - interval ''10 days''')"
        )


def test_small_files_become_one_and_the_rows_stay(lake: Lake) -> None:
    """Every load adds files: a year of them would make each query open thousands."""
    with opened_lake(lake) as connection:
        before = people(connection)
        upkeep = maintained(connection, lake)
        assert (upkeep.rewritten, upkeep.merged) == (1, 1)
        assert (upkeep.before.files, upkeep.after.files) == (SMALL_FILES + 3, 1)
        assert people(connection) == before
        again = maintained(connection, lake)
        assert (again.rewritten, again.merged, again.before) == (0, 0, again.after)


def test_pictures_younger_than_the_setting_can_be_read_and_their_files_stay(lake: Lake) -> None:
    """A reader, or a backup under way, that loses its files to the night's upkeep."""
    with opened_lake(lake) as connection:
        files = files_of(lake)
        upkeep = maintained(connection, lake)
        assert (upkeep.snapshots, upkeep.removed) == (0, 0)
        assert files < files_of(lake)
        assert connection.execute(f"SELECT count(*) FROM {PEOPLE} AT (VERSION => 3)").fetchone() == (20,)


def test_what_is_old_is_let_go_and_its_files_a_day_later(lake: Lake) -> None:
    with opened_lake(lake) as connection:
        before = people(connection)
        maintained(connection, lake)
        age(connection, lake)
        upkeep = maintained(connection, lake)
        # Merged files were in no picture since; those of the pictures just let go stay for whoever reads them.
        assert upkeep.snapshots > SMALL_FILES
        standing = len(files_of(lake))
        age(connection, lake)
        assert maintained(connection, lake).removed == standing - 1
        assert len(files_of(lake)) == 1
        assert people(connection) == before


def test_files_that_are_gone_already_do_not_stop_the_removal_of_others(lake: Lake) -> None:
    """Killed between the removal of files and the commit that says so: no night after would remove anything."""
    with opened_lake(lake) as connection:
        maintained(connection, lake)
        with transaction(connection):
            connection.execute("FROM ducklake_expire_snapshots('warehouse', older_than => now() + INTERVAL 1 DAY)")
        scheduled = connection.execute(
            "FROM ducklake_cleanup_old_files('warehouse', cleanup_all => true, dry_run => true)"
        ).fetchall()
        for (path,) in scheduled[::2]:
            Path(path).unlink()
        assert remove_files(connection, CLOCK, "warehouse", "cleanup_all => true") == len(scheduled)
        assert len(files_of(lake)) == 1


def test_a_file_that_a_killed_writer_left_goes_and_one_being_written_stays(lake: Lake) -> None:
    with opened_lake(lake) as connection:
        fresh = files_of(lake).pop().with_name("ducklake-being-written.parquet")
        fresh.write_bytes(b"PAR1")
        assert remove_files(connection, CLOCK, "warehouse", f"older_than => now() - {GRACE}") == 0
        assert fresh.exists()
        assert remove_files(connection, CLOCK, "warehouse", "cleanup_all => true") == 1
        assert not fresh.exists()


def test_a_purge_leaves_a_deleted_row_nowhere(lake: Lake) -> None:
    """A data file, an earlier picture, or the catalog's least and greatest values keep whoever was forgotten."""
    gone, kept = "9160000099", "9160000095"
    with opened_lake(lake) as connection:
        before = people(connection)
        held = lake_holds(connection, lake, [gone])
        assert "voronka_warehouse.ducklake_table_column_stats" in held
        assert any(place.endswith(".parquet") for place in held)
        purge(connection, CLOCK, lake)
    with opened_lake(lake) as connection:
        forget_extremes(connection)
        assert lake_holds(connection, lake, [gone]) == []
        assert lake_holds(connection, lake, [kept]) != []
        assert people(connection) == before
        assert connection.execute(f"SELECT count(*) FROM {PEOPLE} WHERE phone >= '+79160000095'").fetchone() == (1,)


def test_extremes_narrowed_by_a_purge_widen_again_with_new_rows(lake: Lake) -> None:
    """Extremes taken out wrongly would hide rows from every query that compares."""
    with opened_lake(lake) as connection:
        purge(connection, CLOCK, lake)
    with opened_lake(lake) as connection:
        forget_extremes(connection)
    with opened_lake(lake) as connection:
        with transaction(connection):
            connection.execute(f"INSERT INTO {PEOPLE} VALUES (100, '+89', ['Ян']), (101, NULL, NULL), (102, '+1', [])")
        found = connection.execute(f"SELECT id FROM {PEOPLE} WHERE phone > '+7916001' OR phone < '+7' ORDER BY id")
        assert found.fetchall() == [(100,), (102,)]
        ((least, greatest),) = ask_postgres(
            connection,
            "SELECT min_value, max_value FROM voronka_warehouse.ducklake_table_column_stats WHERE column_id = 2",
        )
        assert (least, greatest) == ("+1", "+89")


def test_rows_written_beside_the_upkeep_are_neither_lost_nor_doubled(lake: Lake) -> None:
    """Files rewritten from a picture of before the lock would bring deleted rows back, or drop new ones."""

    def write() -> None:
        with opened_lake(lake) as connection:
            for number in range(100, 120):
                with transaction(connection):
                    connection.execute(f"INSERT INTO {PEOPLE} VALUES ({number}, 'new', NULL)")
                    connection.execute(f"DELETE FROM {PEOPLE} WHERE id IN ({number - 100}, {number - 50})")

    def tidy() -> int:
        with opened_lake(lake) as connection:
            return sum(one.rewritten + one.merged for _ in range(6) for one in keep_up(connection, CLOCK, lake))

    with ThreadPoolExecutor(2) as pool:
        writing, tidying = pool.submit(write), pool.submit(tidy)
        writing.result()
        assert tidying.result() > 1
    with opened_lake(lake) as connection:
        left = [*range(20, 50), *range(70, 96), *range(100, 120)]
        assert [row[0] for row in people(connection)] == left


def test_a_place_shared_with_another_lake_is_left_alone(lake: Lake, tmp_path: Path) -> None:
    """A copy of the database, for trying things out, that removes the files of the one in use: it doesn't know them."""
    server = postgres.server()
    database = lake.address.split()[0].removeprefix("dbname=")
    copy = replace(lake, address=server.address(server.create_database(database)))
    with opened_lake(lake) as connection:
        maintained(connection, lake)
    files = files_of(lake)
    with opened_lake(copy) as connection, pytest.raises(WarehouseError, match="shared by two lakes"):
        maintained(connection, copy)
    with opened_lake(lake) as connection, pytest.raises(WarehouseError, match="shared by two lakes"):
        purge(connection, CLOCK, lake)
    assert files_of(lake) == files


def test_an_empty_lake_needs_nothing(tmp_path: Path) -> None:
    lake = make_lake(tmp_path)
    with opened_lake(lake) as connection:
        upkeep = maintained(connection, lake)
        nothing = Size(0, 0)
        assert upkeep == replace(upkeep, before=nothing, after=nothing, rewritten=0, merged=0, snapshots=0, removed=0)
        assert size_of(connection, "landing") == nothing
