"""Opens offices and closes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from amocrm_office import Office, office_for

from demo.amocrm import AmocrmWorld


@pytest.fixture
def open_office(tmp_path: Path) -> Iterator[Callable[..., Office]]:
    """`open_office(world, quirks=…, faults=…, token=…)`; every client is closed at the end."""
    opened: list[Office] = []

    def open_(world: AmocrmWorld, **options: Any) -> Office:
        office = office_for(world, tmp_path, **options)
        opened.append(office)
        return office

    yield open_
    for office in opened:
        office.client.close()
