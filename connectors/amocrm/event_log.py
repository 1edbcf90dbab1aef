"""Reading the event log: append-only, at most 100 a page, in an order nobody documents.

So it is read in closed windows of creation time: such a window no longer changes, and pages of it may come in any
order. Its end is a rest point. Windows grow over empty months and shrink where a page count would make a killed
first load repeat too much.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field

from base.times import to_unix
from connectors.amocrm.answers import Answer, Row, as_page
from connectors.amocrm.client import AmocrmClient
from connectors.amocrm.paging import OVERLAP_SECONDS, Listing, ListReader, lower_bound, unseen
from connectors.stream import Page, Position, Request

logger = logging.getLogger("voronka.amocrm")

# The newest minute is left to the next run: entries of one second do not all appear at once.
SETTLING_SECONDS = 60
DAY = 86_400
FIRST_WINDOW = 2 * DAY
SMALLEST_WINDOW = 3_600
# A window of this many pages is given up and cut to an eighth: one rest point should not cover more.
MOST_PAGES = 100
MANY_PAGES = 20
# amoCRM did not exist before: a first load without a start need not ask for the years since 1970.
OLDEST = 1_230_768_000  # 2009-01-01


@dataclass
class _Window:
    """A span of creation time, both seconds inclusive, and what its pages held."""

    lower: int
    upper: int
    page_count: int = 0
    row_count: int = 0
    last_second: set[str] = field(default_factory=set)

    def add(self, answer: Answer) -> bool:
        """Count a page in. False: an entry outside the window shows that the account ignores the filter."""
        self.page_count += 1
        self.row_count += len(answer.rows)
        self.last_second.update(row.id for row in answer.rows if row.time == self.upper)
        return all(self.lower <= row.time <= self.upper for row in answer.rows)

    def is_too_wide(self, answer: Answer) -> bool:
        return self.page_count == MOST_PAGES and answer.has_next and self.upper - self.lower > SMALLEST_WINDOW

    def next_size(self, size: int) -> int:
        if not self.row_count:
            return size * 4
        if self.page_count > 3 * MANY_PAGES:
            return max(size // 2, SMALLEST_WINDOW)
        return size * 2 if self.page_count <= MANY_PAGES else size


class EventReader:
    """Events created since a position. Positions are `{"created_at": second}`: everything before it is read."""

    def __init__(self, client: AmocrmClient, listing: Listing, request: Request) -> None:
        self._reader = ListReader(client, listing)
        self._label = f"source={client.source} path={listing.path}"
        self._is_window = request.window
        end = to_unix(request.end)
        self._rest = max(end - OVERLAP_SECONDS, 0)
        self._upper = end if request.window else end - SETTLING_SECONDS
        self._lower = max(lower_bound(request, "created_at"), OLDEST)
        # A full reading beside a stored position must not lose it when it is interrupted.
        self._rests_between_windows = not request.full or request.position is None
        self._seen: set[str] = set()

    def pages(self) -> Iterator[Page]:
        lower, size, crowded_until = self._lower, FIRST_WINDOW, 0
        while True:
            window = _Window(lower, max(min(lower + size, self._upper), lower))
            for answer in self._settled(window):
                if not window.add(answer):
                    yield from self._whole_log()
                    return
                yield from self._fresh(answer)
                if window.is_too_wide(answer):
                    break
            else:
                is_last = window.upper >= self._upper
                yield as_page([], [], timed=True, position=self._position(window.upper, is_last=is_last))
                if is_last:
                    return
                lower = window.upper
                if lower < crowded_until:
                    continue
                # Both bounds are inclusive: the next window repeats this one's last second.
                self._seen = window.last_second
                size = window.next_size(size)
                continue
            size = max((window.upper - lower) // 8, SMALLEST_WINDOW)
            # What was already read of it is not given again, and the windows don't grow before its end.
            crowded_until = max(crowded_until, window.upper)

    def _fresh(self, answer: Answer) -> Iterator[Page]:
        rows = [row for row in answer.rows if self._lower <= row.time <= self._upper]
        rows = sorted(unseen(rows, self._seen), key=_by_time)
        if rows or answer.rejects:
            yield as_page(rows, answer.rejects, timed=True, position=None)

    def _settled(self, window: _Window) -> Iterator[Answer]:
        """A window's pages. An empty one after a short one that announced more is a shift: once more from page 1."""
        params = [("filter[created_at][from]", str(window.lower)), ("filter[created_at][to]", str(window.upper))]
        for is_last_try in (False, True):
            previous: Answer | None = None
            is_shifted = False
            for answer in self._reader.all_pages(params):
                is_shifted = answer.is_empty and previous is not None and len(previous.rows) < self._reader.limit
                previous = answer
                yield answer
            if not is_shifted or is_last_try:
                return
            logger.warning("%s event=window_shifted reading=again", self._label)

    def _whole_log(self) -> Iterator[Page]:
        """The account ignores the filter: every page of the log, twice, the bounds checked here."""
        logger.warning("%s event=filter_ignored reading=whole_list", self._label)
        for _ in range(2):
            for answer in self._reader.all_pages([]):
                yield from self._fresh(answer)
        yield as_page([], [], timed=True, position=self._position(self._upper, is_last=True))

    def _position(self, second: int, *, is_last: bool) -> Position | None:
        if not (is_last or self._rests_between_windows) or self._is_window:
            return None
        return {"created_at": max(min(second, self._rest), self._lower)}


def fetch_events(client: AmocrmClient, listing: Listing, request: Request) -> Iterator[Page]:
    """Entries of the log since the position (or in the window, or since the start for a full reading)."""
    yield from EventReader(client, listing, request).pages()


def _by_time(row: Row) -> tuple[int, str]:
    return row.time, row.id
