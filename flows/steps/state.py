"""Where a stream stands between its first page and its report."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from base.errors import VoronkaError
from base.text import Text
from connectors.stream import Stream
from flows.steps.progress import Pace
from warehouse.batch import Batch
from warehouse.conform import ConformReport
from warehouse.land import StreamRun


@dataclass
class StreamState:
    """A stream of a sync that is under way."""

    stream: Stream[Any]
    run: StreamRun
    started: float
    batch: Batch = field(default_factory=Batch)
    batch_started: float = 0.0
    read: int = 0
    written: int = 0
    rejected: int = 0
    end: datetime | None = None
    began_at: datetime | None = None
    has_ended: bool = False
    complete_until: datetime | None = None
    is_idle: bool = False
    seen: set[str] | None = None
    # Ids told to exist, once they are all there (`Page.living`).
    living: set[str] = field(default_factory=set)
    knows_all_living: bool = False
    total: int | None = None
    # Absence proves nothing (`Page.is_partial_view`).
    is_partial_view: bool = False
    pace: Pace = field(default_factory=Pace)
    examples: list[Text] = field(default_factory=list)
    error: VoronkaError | None = None
    # What was conformed so far, and how many records of this run landed since.
    conformed: ConformReport = field(default_factory=ConformReport)
    waiting: int = 0
