from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import settings

from tests.toy import Toy
from warehouse.migrate import ensure_schema

# The long look of the fuzzing tests, by hand: tests/security/fuzz.py.
settings.register_profile("long", deadline=None)
# No test is timed: on a busy machine the first example, which loads a library, would fail.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def empty_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both files as a first command makes them; copied, for making them takes half a second."""
    folder = tmp_path_factory.mktemp("template")
    toy = Toy(folder)
    project = toy.project()
    project.warehouse_path.parent.mkdir()
    ensure_schema(project.warehouse_path, "warehouse", toy.clock)
    ensure_schema(project.raw_path, "raw", toy.clock)
    return project.warehouse_path.parent


@pytest.fixture
def toy(tmp_path: Path, empty_files: Path) -> Toy:
    """A project with one source that yields what the test tells it to."""
    shutil.copytree(empty_files, tmp_path / "var")
    return Toy(tmp_path)
