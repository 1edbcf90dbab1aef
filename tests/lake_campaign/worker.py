"""`python -m tests.lake_campaign.worker ARGUMENTS…`: the voronka command, by the campaign's clock."""

from __future__ import annotations

import time
from pathlib import Path

from connectors.states import FileState
from connectors.zadarma import client
from tests.lake_campaign.story_clock import clock_of
from voronka.app import App
from voronka.cli import DEFAULT_CONFIG, root

if __name__ == "__main__":
    # Three statistics a minute are the vendor's; two months here take minutes.
    client.REQUESTS_PER_MINUTE = client.STATISTICS_PER_MINUTE = 60_000.0
    # Budgets go by a clock that goes on when the story is over; those of a lake go by PostgreSQL's.
    FileState.now = lambda self: time.time()  # type: ignore[method-assign]
    root.main(obj=App(Path(DEFAULT_CONFIG), given_clock=clock_of()))
