"""Opens offices and closes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bitrix24_office import Office, office_for

from demo.bitrix24 import Bitrix24World


@pytest.fixture
def open_portal(tmp_path: Path) -> Iterator[Callable[..., Office]]:
    """`open_portal(world, quirks=…, faults=…, limits=…)`; every client is closed at the end."""
    opened: list[Office] = []

    def open_(world: Bitrix24World, **options: Any) -> Office:
        office = office_for(world, tmp_path, **options)
        opened.append(office)
        return office

    yield open_
    for office in opened:
        office.client.close()
