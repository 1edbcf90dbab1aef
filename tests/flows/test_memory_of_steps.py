"""The memory that steps give the engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from base.memory import whole_memory
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


@pytest.mark.parametrize(("gigabytes", "last"), [(32, 16_000), (7, 3_500), (6, 3_000), (1, 3_000)])
def test_in_the_end_half_of_the_memory_is_taken(tmp_path: Path, gigabytes: int, last: int) -> None:
    """Ten million deals would never be resolved on a machine that has the memory; a small one would be given less."""
    config = tmp_path / "voronka.toml"
    config.write_text(f'[company]\ntimezone = "Europe/Moscow"\n{LAKE}', encoding="utf-8")
    files = files_to_compute(load_project(config), 1, memory=lambda: gigabytes * 10**9)
    assert steps_of(files)[-1] == last


@pytest.mark.parametrize(("container", "found"), [("1000000\n", 1_000_000), ("max\n", None), (None, None)])
def test_a_container_has_what_it_was_given(tmp_path: Path, container: str | None, found: int | None) -> None:
    """Half of the machine's memory is more than a container may have: the kernel would end the process."""
    limit = tmp_path / "memory.max"
    if container is not None:
        limit.write_text(container, encoding="ascii")
    machine = whole_memory(tmp_path / "none")
    assert machine > 10**8
    assert whole_memory(limit) == (found or machine)
