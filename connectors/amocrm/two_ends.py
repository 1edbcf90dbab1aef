"""A first load of a long list by two requests at once: one reads from its oldest change on, one from its newest back.

Only where the user chose a budget that one request at a time can't use. The two ranges are disjoint but for the page
on which they meet. A record edited meanwhile leaves both for the newest end, so what changed since the reading began
is read once more, upwards. Whatever is unusual (a second with more records than a page holds, an ignored filter or
order, exclusive bounds) is left to `ChangedReader`, which goes on from where everything below is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import pairwise

from base.times import to_unix
from connectors.amocrm.answers import Answer, Row, as_page
from connectors.amocrm.client import DEFAULT_RATE, HIGHEST_RATE, AmocrmClient
from connectors.amocrm.paging import ChangedReader, Listing, ListReader, lower_bound
from connectors.stream import Page, Position, Request


@dataclass
class _End:
    """How far one end has read: `second`, and the records of that second already given."""

    second: int
    is_ascending: bool
    given: set[str] = field(default_factory=set)

    def take(self, answer: Answer, lower: int, upper: int) -> list[Row] | None:
        """The page's new rows, and on to its last second; None: something is unusual."""
        times = [row.time for row in answer.rows]
        ordered = times if self.is_ascending else times[::-1]
        if any(a > b for a, b in pairwise(ordered)) or any(not lower <= time <= upper for time in times):
            return None
        if self.given and self.given.isdisjoint(row.id for row in answer.rows):
            return None
        if answer.has_next and (not times or times[-1] == self.second):
            return None
        rows = [row for row in answer.rows if row.time != self.second or row.id not in self.given]
        if times:
            self.second = times[-1]
            self.given = {row.id for row in answer.rows if row.time == self.second}
        return rows


class TwoEnds:
    """Positions are `{"updated_at": a, "above": b, "began": c}`: read are all before a and those from b to c. Who
    knows only `updated_at` goes on from there and reads the upper part again."""

    def __init__(self, client: AmocrmClient, listing: Listing, request: Request) -> None:
        self._client = client
        self._listing = listing
        self._request = request
        self._reader = ListReader(client, listing)
        held = request.position if request.position is not None and "above" in request.position else None
        # A second back: what is written within the present one may not all be there yet.
        self._began = int(held["began"]) if held else to_unix(request.end) - 1
        self._lower = lower_bound(request, "updated_at")
        self._low = _End(self._lower, is_ascending=True)
        self._high = _End(int(held["above"]) if held else self._began, is_ascending=False)
        self._have_met = False
        self._rests_between_pages = not request.full or request.position is None

    def pages(self) -> Iterator[Page]:
        # As `ChangedReader` asks: a list of one page costs one request.
        since = ("filter[updated_at][from]", str(self._low.second))
        first = self._reader.first_page([since, ("order[updated_at]", "asc")])
        if not first.has_next:
            yield ChangedReader(self._client, self._listing, self._request).only_page(first)
            return
        page = self._judge(self._low, first)
        if page is not None:
            yield page
            yield from self._until_they_meet()
        yield from self._rest()

    def _until_they_meet(self) -> Iterator[Page]:
        with ThreadPoolExecutor(2, "amocrm-end") as pool:
            under_way = {pool.submit(self._ask, end): end for end in (self._low, self._high)}
            while True:
                done, _ = wait(under_way, return_when=FIRST_COMPLETED)
                for future in done:
                    end = under_way.pop(future)
                    # Requests are counted by the thread that reads the stream.
                    self._client.api.runtime.on_request(1)
                    page = self._judge(end, future.result())
                    if page is None or self._have_met:
                        for other in under_way:
                            other.cancel()
                        if page is not None:
                            yield page
                        return
                    under_way[pool.submit(self._ask, end)] = end
                    yield page

    def _rest(self) -> Iterator[Page]:
        """What changed since the reading began; when something was unusual, everything not read from below."""
        reader = ChangedReader(self._client, self._listing, self._request)
        if self._have_met:
            reader.begin_at(self._began, set())
        else:
            reader.begin_at(self._low.second, self._low.given)
        yield from reader.pages()

    def _ask(self, end: _End) -> Answer:
        bounds = [
            ("filter[updated_at][from]", str(self._low.second)),
            ("filter[updated_at][to]", str(self._high.second)),
            ("order[updated_at]", "asc" if end.is_ascending else "desc"),
        ]
        return self._reader.first_page(bounds)

    def _judge(self, end: _End, answer: Answer) -> Page | None:
        """The page's new rows; None when something is unusual."""
        lower, upper = (end.second, self._began) if end.is_ascending else (self._lower, end.second)
        rows = end.take(answer, lower, upper)
        if rows is None:
            return None
        # One end's page may have reached beyond what the other's, asked at the same time, came to.
        self._have_met = not answer.has_next or self._low.second > self._high.second
        return as_page(rows, answer.rejects, timed=True, position=self._position())

    def _position(self) -> Position | None:
        if not self._rests_between_pages:
            return None
        # A second less and more: should bounds be exclusive, a resumed run still meets the rest of these seconds.
        low = max(self._low.second - 1, self._lower)
        return {"updated_at": low, "above": min(self._high.second + 1, self._began), "began": self._began}


def fetch_from_both_ends(client: AmocrmClient, listing: Listing, request: Request) -> Iterator[Page] | None:
    """The pages of a first load within a budget that two requests at once are needed for; None where it is none."""
    is_first = request.full or request.position is None or "above" in request.position
    if request.window or not is_first or not DEFAULT_RATE < client.rate <= HIGHEST_RATE:
        return None
    return TwoEnds(client, listing, request).pages()
