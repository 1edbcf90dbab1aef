"""The reference fixture's nights on both engines."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from base.clock import FakeClock
from flows.steps.nightly import nightly
from tests.e2e.company import confirm_inputs, served
from tests.e2e.reference import NEXT_MORNING, reference_story
from tests.e2e.state import read_state
from tests.engine import make_lake


@pytest.mark.e2e
def test_a_lake_ends_with_the_same_rows_as_files(tmp_path: Path) -> None:
    """A statement that means something else to DuckLake: a MERGE that matches twice, an order that a file happened to
    keep, a rounding; words that it does not keep. Compared is what analysts get, of all of core, calc and facts."""
    story, clock = reference_story(), FakeClock(NEXT_MORNING)
    confirm_inputs(story, tmp_path)
    with served(story, tmp_path, clock) as files:
        lake = replace(
            files,
            lake=make_lake(tmp_path),
            warehouse_path=tmp_path / "var" / "lake",
            raw_path=tmp_path / "var" / "lake",
            publish_path=tmp_path / "lake.duckdb",
            state_dir=tmp_path / "var" / "lake-state",
        )
        assert nightly(files, clock=clock).is_ok
        assert nightly(lake, clock=clock).is_ok
    expected, found = read_state(files.publish_path), read_state(lake.publish_path)
    assert {name for name in expected if expected[name] != found[name]} == set()
    assert sum(expected["facts.kpi"].values()) > 100
    assert words_of(lake.publish_path) == words_of(files.publish_path)


def words_of(path: Path) -> list[tuple[Any, ...]]:
    """What a published file says of its relations, views and columns."""
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(
            "SELECT schema_name, table_name, column_name, comment FROM duckdb_columns() WHERE NOT internal"
            " UNION ALL SELECT schema_name, table_name, '', comment FROM duckdb_tables() WHERE NOT internal"
            " UNION ALL SELECT schema_name, view_name, '', comment FROM duckdb_views() WHERE NOT internal ORDER BY ALL"
        ).fetchall()
