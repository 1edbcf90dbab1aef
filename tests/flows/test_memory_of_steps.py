"""The memory that steps give the engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.steps.sources import files_to_compute, files_to_load
from voronka.config import load_project
from warehouse.database import Files

LAKE = '[warehouse]\npath = "ducklake:postgres:dbname=sales"\ndata_path = "lake"\n'


def steps_of(files: Files) -> list[int]:
    """The limits one after the other, in megabytes."""
    units = {"MB": 1, "GB": 1000}
    return [int(limit[:-2]) * units[limit[-2:]] for limit in (files.memory_limit, *files.more_memory)]


@pytest.mark.parametrize("warehouse", ["", LAKE], ids=["files", "lake"])
@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_what_is_done_again_for_want_of_memory_gets_more_of_it(tmp_path: Path, warehouse: str, jobs: int) -> None:
    """A limit raised to less would end every step that was only a little short of memory."""
    config = tmp_path / "voronka.toml"
    config.write_text(f'[company]\ntimezone = "Europe/Moscow"\n{warehouse}', encoding="utf-8")
    project = load_project(config)
    for files in (files_to_load(project), files_to_compute(project, jobs)):
        steps = steps_of(files)
        assert len(steps) > 1
        assert steps == sorted(set(steps))
    # Each of several periods at once has what one alone would have.
    assert steps_of(files_to_compute(project, jobs))[0] == jobs * steps_of(files_to_compute(project, 1))[0]
