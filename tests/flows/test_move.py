"""Everything a company has moved from files into a lake, and back: whole, compared, or recognisably not done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from base.errors import UsageError, WarehouseError
from base.points import KILL_AT
from flows.project import Project
from flows.steps.move import move
from flows.steps.recompute import recompute
from flows.steps.sync import sync
from metrics.periods import parse_period
from models import RAW, WAREHOUSE
from tests.engine import files_only, make_lake
from tests.toy import Toy, deal, page
from warehouse.address import Lake
from warehouse.database import Files, open_warehouse
from warehouse.ddl import create_all
from warehouse.move import Digest, copy_everything, digest

pytestmark = files_only
ROOT = Path(__file__).parents[2]
DEALS = [deal(number, 100 + number, contacts=["1", "2"]) for number in range(1, 8)]

POSITION = "('toy', 'one', '{}', TIMESTAMPTZ '2026-11-01 00:00:00+00')"
POSITIONS = RAW.tables["raw.positions"]
Everything = dict[str, Counter[Any]]


@pytest.fixture
def filled(toy: Toy) -> Toy:
    """Records, an unreadable one, a position, computed facts, and a relation of somebody else's."""
    toy.run({"deals": [page(*DEALS, deal(9, 120, title="bad"), position={"at": 120})]})
    recompute(toy.project(), parse_period("2026-11"), clock=toy.clock)
    with duckdb.connect(str(toy.project().warehouse_path)) as connection:
        connection.execute("CREATE TABLE main.notes AS SELECT 'mine' AS text")
    return toy


def lake_files(toy: Toy, name: str = "moved") -> Files:
    place = toy.folder / "var" / "lake"
    return Files(warehouse=place, raw=place, lake=make_lake(toy.folder / name))


def on_lake(project: Project, target: Files) -> Project:
    return replace(project, lake=target.lake, warehouse_path=target.warehouse, raw_path=target.raw)


def everything(project: Project, toy: Toy) -> Everything:
    """All rows of both databases, and the views."""
    files = Files(warehouse=project.warehouse_path, raw=project.raw_path, lake=project.lake)
    with open_warehouse(files, command="status", clock=toy.clock) as warehouse:
        found: Everything = {}
        for catalog, metadata in (("landing", RAW), ("warehouse", WAREHOUSE)):
            for table in metadata.sorted_tables:
                columns = ", ".join(f'"{column.name}"' for column in table.columns)
                rows = warehouse.connection.execute(f"SELECT {columns} FROM {catalog}.{table.fullname}").fetchall()
                found[f"{catalog}.{table.fullname}"] = Counter(map(repr, rows))
        views = "SELECT schema_name, view_name, comment FROM duckdb_views() WHERE database_name = 'warehouse'"
        views += " AND NOT internal"
        found["views"] = Counter(map(repr, warehouse.connection.execute(views).fetchall()))
        assert warehouse.connection.execute("SELECT count(*) FROM facts.kpi_evidence").fetchone() is not None
    return found


def test_everything_goes_into_a_lake_which_then_goes_on_and_comes_back(filled: Toy) -> None:
    """A relation, a position or a watermark left behind: the next night would read everything again, or nothing."""
    project = filled.project()
    before, bytes_before = everything(project, filled), project.raw_path.read_bytes()
    target = lake_files(filled)
    report = move(project, target, clock=filled.clock)

    assert {one.relation: one.digest.rows for one in report.moved if one.place == "landing"}["raw.records"] == 8
    assert len(report.moved) == len(RAW.tables) + len(WAREHOUSE.tables) - 2
    assert report.left == ["main.notes"]
    lake = on_lake(project, target)
    assert everything(lake, filled) == before
    assert project.raw_path.read_bytes() == bytes_before

    filled.script = {"deals": [page(*DEALS, deal(8, 130), position={"at": 130})]}
    connector = filled.connector()
    loaded = sync(lake, clock=filled.clock, find_connector=lambda name: connector)
    assert {stream.stream: stream.rows for stream in loaded.streams}["deals"] == 1
    assert filled.client is not None
    assert dict(filled.client.requests)["deals"].position == {"at": 120}

    back = Files(warehouse=filled.folder / "back" / "core.duckdb", raw=filled.folder / "back" / "log.duckdb")
    move(lake, back, clock=filled.clock)
    files = replace(project, warehouse_path=back.warehouse, raw_path=back.raw)
    assert everything(files, filled) == everything(lake, filled)
    assert not list(back.raw.parent.glob("*.moving*"))


def test_a_place_with_data_in_it_is_refused_and_not_touched(filled: Toy) -> None:
    """Two companies' records under the same numbers."""
    project, target = filled.project(), lake_files(filled)
    move(project, target, clock=filled.clock)
    before = everything(on_lake(project, target), filled)
    with pytest.raises(UsageError, match="already"):
        move(project, target, clock=filled.clock)
    assert everything(on_lake(project, target), filled) == before

    here = Files(warehouse=project.warehouse_path, raw=filled.folder / "other.duckdb")
    with pytest.raises(UsageError, match="already"):
        move(on_lake(project, target), here, clock=filled.clock)
    with pytest.raises(UsageError, match="or a lake into files"):
        move(project, replace(here, warehouse=filled.folder / "x.duckdb"), clock=filled.clock)


def test_a_lake_that_was_only_opened_is_empty_enough(filled: Toy) -> None:
    """Somebody changes the configuration first, asks for the status, changes it back, and moves."""
    project, target = filled.project(), lake_files(filled)
    with open_warehouse(target, command="status", clock=filled.clock):
        pass
    move(project, target, clock=filled.clock)
    assert everything(on_lake(project, target), filled) == everything(project, filled)


def test_there_is_nothing_to_move_before_a_first_load(tmp_path: Path) -> None:
    toy = Toy(tmp_path)
    with pytest.raises(WarehouseError, match="nothing to move"):
        move(toy.project(), replace(lake_files(toy), lake=Lake(address="dbname=nowhere", data_path=tmp_path)))


@pytest.fixture
def two() -> Iterator[duckdb.DuckDBPyConnection]:
    """Two empty logs in memory."""
    with duckdb.connect() as connection:
        for catalog in ("landing", "to_landing"):
            connection.execute(f"ATTACH ':memory:' AS {catalog}")
            create_all(connection, RAW, catalog, comments=False)
        yield connection


def test_what_arrives_other_than_it_was_sent_is_no_success(two: duckdb.DuckDBPyConnection) -> None:
    """A comparison that compares nothing."""
    two.execute(f"INSERT INTO to_landing.{POSITIONS.fullname} VALUES {POSITION}")
    with pytest.raises(WarehouseError, match="1 rows for 0"):
        copy_everything(two, {"landing": "to_landing"}, lambda moved: None)


def test_a_digest_sees_a_changed_value_a_doubled_row_and_no_order(two: duckdb.DuckDBPyConnection) -> None:
    """Equal rows cancel out where hashes are only mixed; a sum alone misses little, but two sums miss less."""
    rows = [POSITION, POSITION.replace("one", "two")]

    def digest_of(*values: str) -> Digest:
        two.execute(f"DELETE FROM landing.{POSITIONS.fullname}")
        two.execute(f"INSERT INTO landing.{POSITIONS.fullname} VALUES {', '.join(values)}")
        return digest(two, "landing", POSITIONS)

    assert digest_of(*rows) == digest_of(*reversed(rows))
    others = {digest_of(*rows), digest_of(rows[0]), digest_of(rows[0], rows[0]), digest_of(*rows, *rows)}
    assert len(others) == 4


KILLED = """
import sys
from pathlib import Path
from dataclasses import replace
from flows.steps.move import move
from tests.toy import Toy
from warehouse.address import Lake
from warehouse.database import Files
toy = Toy(Path(sys.argv[1]))
place = toy.folder / "var" / "lake"
lake = Lake(address=sys.argv[2], data_path=Path(sys.argv[3])) if sys.argv[2] else None
project = toy.project()
if len(sys.argv) > 4:
    source = Lake(address=sys.argv[4], data_path=Path(sys.argv[5]))
    project = replace(project, lake=source, warehouse_path=place, raw_path=place)
    target = Files(warehouse=toy.folder / "back" / "core.duckdb", raw=toy.folder / "back" / "log.duckdb")
else:
    target = Files(warehouse=place, raw=place, lake=lake)
move(project, target, clock=toy.clock)
"""


def killed(point: str, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, *arguments], cwd=ROOT, env={**os.environ, KILL_AT: point}, capture_output=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


@pytest.mark.parametrize("point", ["move.marked", "move.copied:40", "move.before_commit"])
def test_killed_on_the_way_into_a_lake_nothing_opens_it_and_a_second_move_is_whole(filled: Toy, point: str) -> None:
    """A half-filled lake that the next night takes for the whole: it would recompute every fact without the rest."""
    project, target = filled.project(), lake_files(filled)
    before = everything(project, filled)
    assert target.lake is not None
    killed(point, str(filled.folder), target.lake.address, str(target.lake.data_path))

    with (
        pytest.raises(WarehouseError, match="Not everything has been moved"),
        open_warehouse(target, command="status", clock=filled.clock),
    ):
        pass
    assert everything(project, filled) == before
    move(project, target, clock=filled.clock)
    assert everything(on_lake(project, target), filled) == before


def test_killed_on_the_way_into_files_the_lake_is_whole_and_the_files_are_no_warehouse(filled: Toy) -> None:
    project, target = filled.project(), lake_files(filled)
    move(project, target, clock=filled.clock)
    lake = on_lake(project, target)
    before = everything(lake, filled)
    assert target.lake is not None
    back = filled.folder / "back"
    killed("move.before_replace:1", str(filled.folder), "", "", target.lake.address, str(target.lake.data_path))

    assert {path.name for path in back.iterdir()} & {"core.duckdb", "log.duckdb"} == set()
    assert everything(lake, filled) == before
    move(lake, Files(warehouse=back / "core.duckdb", raw=back / "log.duckdb"), clock=filled.clock)
    files = replace(project, warehouse_path=back / "core.duckdb", raw_path=back / "log.duckdb")
    assert everything(files, filled) == before
