"""`maintain` and `forget` killed on a lake, at the points they name: the same command once more does the rest."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from base.points import KILL_AT
from flows.project import Project
from flows.steps.forget import forget
from flows.steps.maintain import maintain
from flows.steps.sync import sync
from tests import postgres
from tests.engine import database_of, make_lake, opened_lake
from tests.toy import Toy, deal, page
from warehouse.address import Lake
from warehouse.engine import transaction
from warehouse.lake_upkeep import SMALL_FILES

ROOT = Path(__file__).parents[2]
PHONE, OTHER = "+79160000001", "+79160000002"
ROWS = {
    "landing": "SELECT COLUMNS(c -> c NOT IN ('run_id')) FROM landing.raw.records ORDER BY seq",
    "deals": "SELECT deal_id, title, amount FROM warehouse.core.deals ORDER BY deal_id",
    "phones": "SELECT contact_id, phone FROM warehouse.core.contact_phones ORDER BY ALL",
}
# The project of the killed process: folder, address, data, what to do and for whom.
COMMAND = """
import sys
from dataclasses import replace
from pathlib import Path
from flows.steps.forget import forget
from flows.steps.maintain import maintain
from tests.toy import Toy
from warehouse.address import Lake
folder, address, data, command = sys.argv[1:5]
toy = Toy(Path(folder))
project = replace(toy.project(), lake=Lake(address=address, data_path=Path(data)))
connector = toy.connector()
if command == "maintain":
    maintain(project, clock=toy.clock)
else:
    forget(project, command, clock=toy.clock, find_connector=lambda name: connector)
"""


def on_lake(toy: Toy, lake: Lake) -> Project:
    return replace(toy.project(), lake=lake)


@pytest.fixture
def lake(toy: Toy) -> Lake:
    """Two people, one of them in a deal's title too; then many small writes, and rows of them deleted."""
    made = make_lake(toy.folder)
    people = [{"id": i, "updated": 100, "created": 40, "phones": [phone]} for i, phone in ((1, PHONE), (2, OTHER))]
    toy.script = {
        "contacts": [page(*people)],
        "deals": [page(deal(1, 100, title=f"Звонила {PHONE}"), deal(2, 200))],
    }
    connector = toy.connector()
    assert sync(on_lake(toy, made), clock=toy.clock, find_connector=lambda name: connector).is_ok
    with opened_lake(made) as connection:
        for number in range(10, 10 + SMALL_FILES):
            for relation, column in (("landing.raw.records", "seq"), ("warehouse.core.deals", "deal_id")):
                with transaction(connection):
                    connection.execute(
                        f"INSERT INTO {relation} SELECT * REPLACE ({number} AS {column}) FROM {relation}"
                        f" WHERE {column}::BIGINT = 2"
                    )
        for relation, column in (("landing.raw.records", "seq"), ("warehouse.core.deals", "deal_id")):
            with transaction(connection):
                connection.execute(f"DELETE FROM {relation} WHERE {column}::BIGINT = 10")
    return made


def rows(lake: Lake) -> dict[str, list[tuple[object, ...]]]:
    with opened_lake(lake) as connection:
        return {name: connection.execute(query).fetchall() for name, query in ROWS.items()}


def kill(toy: Toy, lake: Lake, command: str, point: str) -> None:
    arguments = [str(toy.folder), lake.address, str(lake.data_path), command]
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *arguments],
        cwd=ROOT,
        env={**os.environ, "VORONKA_ENGINE": "file", KILL_AT: point},
        capture_output=True,
        timeout=300,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


def test_maintain_killed_at_one_point_after_another_loses_nothing_and_ends(toy: Toy, lake: Lake) -> None:
    """Rows of a file that was rewritten and not yet forgotten, twice in the picture; or a lake that no later upkeep
    can tidy."""
    before = rows(lake)
    # The first time it is the log's turn, the second time the warehouse's.
    for point in ("rewritten:1", "merged:1", "rewritten:2", "merged:2", "expired:2", "cleaned:2"):
        kill(toy, lake, "maintain", f"maintain.{point}")
        assert rows(lake) == before
    for one in maintain(on_lake(toy, lake), clock=toy.clock).lakes:
        assert (one.rewritten, one.merged, one.before) == (0, 0, one.after)
    assert rows(lake) == before


def test_forget_killed_at_one_point_after_another_is_ended_by_the_same_command(toy: Toy, lake: Lake) -> None:
    """Files with the person's number that the catalog has let go of already: nothing would look for them again."""
    before = rows(lake)
    for point in (
        "forget.raw_erased:1",
        "forget.rewritten:1",
        "forget.rewritten:2",
        "maintain.cleaned:2",
        "publish.before_replace:1",
    ):
        kill(toy, lake, "toy:1", point)
    connector = toy.connector()
    report = forget(on_lake(toy, lake), "toy:1", clock=toy.clock, find_connector=lambda name: connector)
    assert report.is_ok
    assert PHONE[2:] not in held(lake)
    after = rows(lake)
    assert [row for row in after["phones"] if row[0] == "2"] == [row for row in before["phones"] if row[0] == "2"]
    assert len(after["deals"]) == len(before["deals"])


def held(lake: Lake) -> str:
    """All of the catalog as PostgreSQL dumps it, and all rows of all data files that are there."""
    text = postgres.server().dump(database_of(lake))
    with duckdb.connect() as connection:
        for path in Path(lake.data_path).rglob("*.parquet"):
            text += str(connection.execute(f"FROM read_parquet('{path}')").fetchall())
            text += str(connection.execute(f"SELECT * FROM parquet_metadata('{path}')").fetchall())
    return text
