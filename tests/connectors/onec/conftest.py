"""Opens 1C databases and closes their clients."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from odata_office import Books, Office, books_for, office_for

from demo.onec import OnecWorld


@pytest.fixture
def open_office(tmp_path: Path) -> Iterator[Callable[..., Office]]:
    """`open_office(world, page_rows=…, settings=…, quirks=…, faults=…)`; clients are closed at the end."""
    opened: list[Office] = []

    def open_(world: OnecWorld, **options: Any) -> Office:
        office = office_for(world, tmp_path, **options)
        opened.append(office)
        return office

    yield open_
    for office in opened:
        office.client.close()


@pytest.fixture
def open_books(tmp_path: Path, empty_files: Path) -> Callable[..., Books]:
    """`open_books(world, quirks=…, faults=…)`: a database and an empty warehouse beside it."""

    def open_(world: OnecWorld, **options: Any) -> Books:
        shutil.copytree(empty_files, tmp_path / "var", dirs_exist_ok=True)
        return books_for(world, tmp_path, **options)

    return open_
