"""Reading lists that change while they are read, without skipping or repeating a record.

Pages of amoCRM are offsets into a live table: a record edited meanwhile leaves its place, the rest moves up, and the
first record of the next page is never seen. So a list is read from page 1 always, by the time of change
(`ChangedReader`); where the account ignores the filter or the order, whole and more than once, until a pass brings
nothing new. Pages end where `_links.next` ends, never at a short page: the server may clamp `limit` silently.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from base.errors import ProtocolError, ServerFaultError
from base.text import say
from base.times import to_unix
from connectors.amocrm.answers import Answer, Row, TimeField, as_page
from connectors.amocrm.client import AmocrmClient
from connectors.amocrm.refusals import MissingError, TooHeavyError, UnpaidError
from connectors.stream import Page, Position, Request

logger = logging.getLogger("voronka.amocrm")

# Lists lag behind writes: each run begins this much before what the last one has surely read.
OVERLAP_SECONDS = 600
# Page sizes after each 504. Each divides the one before it, so a page number can be carried over.
SMALLER_LIMIT = {250: 125, 125: 25, 25: 5, 100: 50, 50: 25}
# An import's second may be edited while it is read: give up only on a list that never comes to rest.
MOST_PASSES = 20
QUIET_PASSES = 3

Pairs = list[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Listing:
    """A list endpoint as data."""

    path: str
    key: str  # where the records sit in `_embedded`
    limit: int = 250  # the vendor's maximum: above it the answer is 50 rows, without an error
    params: tuple[tuple[str, str], ...] = ()
    time_field: TimeField = "updated_at"
    # Put before each record's id where the core's key says the kind, so that tombstones find their rows.
    prefix: str = ""


class ListReader:
    """Asks pages of one listing, with the page size the server bears."""

    def __init__(self, client: AmocrmClient, listing: Listing) -> None:
        self.client = client
        self.listing = listing
        self.limit = listing.limit

    def first_page(self, params: Pairs) -> Answer:
        """Page 1, with a smaller limit after each 504."""
        while True:
            try:
                return self._ask(1, params)
            except TooHeavyError as error:
                self._shrink(error)

    def all_pages(self, params: Pairs) -> Iterator[Answer]:
        """Pages 1…n until the server announces no next one. Offsets: see the module's warning."""
        page = 1
        while True:
            try:
                answer = self._ask(page, params)
            except TooHeavyError as error:
                before = self.limit
                self._shrink(error)
                page = (page - 1) * (before // self.limit) + 1
                continue
            yield answer
            if not answer.has_next:
                return
            page += 1

    def _ask(self, page: int, params: Pairs) -> Answer:
        listing = self.listing
        asked = [*listing.params, ("page", str(page)), ("limit", str(self.limit)), *params]
        answer = self.client.page(listing.path, listing.key, asked, time_field=listing.time_field)
        if listing.prefix:
            answer = replace(answer, rows=[row._replace(id=listing.prefix + row.id) for row in answer.rows])
        if answer.limit is not None and 0 < answer.limit < self.limit and page == 1:
            self._log("limit_clamped", asked=self.limit, given=answer.limit)
            self.limit = answer.limit
        return answer

    def _shrink(self, error: TooHeavyError) -> None:
        smaller = SMALLER_LIMIT.get(self.limit)
        if smaller is None:
            raise ServerFaultError(error.what, error.remedy)
        self._log("limit_lowered", was=self.limit, now=smaller)
        self.limit = smaller

    def _log(self, event: str, **values: int) -> None:
        told = " ".join(f"{name}={value}" for name, value in values.items())
        logger.warning("source=%s path=%s event=%s %s", self.client.source, self.listing.path, event, told)


class ChangedReader:
    """What changed in a listing since a position: keyset by `updated_at`, inclusive.

    Positions are `{"updated_at": second}`: everything before that second is read. A finished run rests an overlap
    before its own start.
    """

    def __init__(self, client: AmocrmClient, listing: Listing, request: Request) -> None:
        self._reader = ListReader(client, listing)
        self._label = f"source={client.source} path={listing.path}"
        self._is_window = request.window
        self._rest = to_unix(request.end) - OVERLAP_SECONDS
        # Without a bound above unless one is asked for: a record edited during a full reading must still be met.
        self._upper = to_unix(request.end) if request.window else None
        self._lower = self._cursor = lower_bound(request, "updated_at")
        # Records already given that the next page, which begins with the same second, repeats.
        self._given: set[str] = set()
        # Bounds are not documented to be inclusive: 1 once this account has shown that they are not.
        self._slack = 0
        # A full reading beside a stored position must not lose it when it is interrupted.
        self._rests_between_pages = not request.window and (not request.full or request.position is None)

    def begin_at(self, second: int, given: set[str]) -> None:
        """Go on from a second before which everything is read; `given` are records of it that are read too."""
        self._cursor = second
        self._given = given

    def only_page(self, answer: Answer) -> Page:
        """A first page with nothing after it."""
        return self._page(answer, self._final_position())

    def pages(self) -> Iterator[Page]:
        while True:
            answer = self._next_page()
            verdict = self._judge(answer)
            if verdict == "filter_ignored":
                yield from self._whole_list(is_filtered=False)
                return
            if verdict == "unordered":
                yield from self._whole_list(is_filtered=True)
                return
            if not answer.has_next:
                yield self._page(answer, self._final_position())
                return
            last = answer.rows[-1].time
            if last > self._cursor:
                # One second less: should the bound be exclusive, a resumed run still meets the rest of this second.
                yield self._page(answer, self._position(last - 1) if self._rests_between_pages else None)
                self._given = {row.id for row in answer.rows if row.time == last}
                self._cursor = last
            else:
                yield from self._one_second(self._cursor)
                self._cursor += 1
                self._given = set()

    def _next_page(self) -> Answer:
        answer = self._reader.first_page([*self._between(self._cursor, self._upper), ("order[updated_at]", "asc")])
        if self._given and not self._slack and not any(row.id in self._given for row in answer.rows):
            # Not one of the last second's records came again: all edited just now, or the bound is exclusive.
            self._slack = 1
            answer = self._reader.first_page([*self._between(self._cursor, self._upper), ("order[updated_at]", "asc")])
        return answer

    def _judge(self, answer: Answer) -> Literal["good", "filter_ignored", "unordered"]:
        """Filters can be ignored silently: one record outside the bounds proves it (amoCRM, 2021 to 2026)."""
        times = [row.time for row in answer.rows]
        if any(not self._is_between(time, self._cursor, self._upper) for time in times):
            logger.warning("%s event=filter_ignored reading=whole_list", self._label)
            return "filter_ignored"
        if answer.has_next and (not times or any(a > b for a, b in pairwise(times))):
            logger.warning("%s event=order_ignored reading=by_id", self._label)
            return "unordered"
        return "good"

    def _one_second(self, second: int) -> Iterator[Page]:
        """A second with more records than a page holds (imports): by id, until two passes give the same ids."""
        params = [*self._between(second, second), ("order[id]", "asc")]
        seen: set[str] = set(self._given)
        before: set[str] | None = None
        quiet = 0
        for _ in range(MOST_PASSES):
            ids: set[str] = set()
            known = len(seen)
            for answer in self._pass(params, ids):
                rows = [row for row in answer.rows if row.time == second and row.id not in seen]
                seen.update(row.id for row in rows)
                if rows or answer.rejects:
                    yield as_page(rows, answer.rejects, timed=True, position=None)
            quiet = quiet + 1 if len(seen) == known else 0
            if ids == before or quiet == QUIET_PASSES:
                return
            before = ids
        raise _restless(self._label)

    def _whole_list(self, *, is_filtered: bool) -> Iterator[Page]:
        """Every page by id, the bounds checked here; passes go on until one meets nothing its forerunner skipped."""
        lower, upper = self._cursor, self._upper
        params = [*(self._between(lower, upper) if is_filtered else []), ("order[id]", "asc")]
        seen: dict[str, int] = {}
        began = 0
        for _ in range(MOST_PASSES):
            # What changed after the last pass began proves nothing about that pass.
            before, began = began, to_unix(self._reader.client.now())
            page_count, skipped = 0, 0
            for answer in self._pass(params, set()):
                page_count += 1
                rows = [
                    row
                    for row in answer.rows
                    if row.time >= lower and (upper is None or row.time <= upper) and seen.get(row.id, -1) < row.time
                ]
                skipped += sum(row.id not in seen and row.time < before for row in rows)
                seen.update((row.id, row.time) for row in rows)
                if rows or answer.rejects:
                    yield as_page(rows, answer.rejects, timed=True, position=None)
            if page_count == 1 or (before and not skipped):
                yield as_page([], [], timed=True, position=self._final_position())
                return
        raise _restless(self._label)

    def _pass(self, params: Pairs, ids: set[str]) -> Iterator[Answer]:
        """One walk over all pages; `ids` gathers what it met."""
        for answer in self._reader.all_pages(params):
            known = len(ids)
            ids.update(row.id for row in answer.rows)
            if answer.has_next and answer.rows and len(ids) == known:
                raise ProtocolError(
                    say(
                        "{label}: сервер снова и снова отдаёт одну и ту же страницу.",
                        "{label}: the server gives the same page again and again.",
                        label=self._label,
                    )
                )
            yield answer

    def _page(self, answer: Answer, position: Position | None) -> Page:
        rows = [
            row
            for row in answer.rows
            if row.time > self._cursor or (row.time == self._cursor and row.id not in self._given)
        ]
        return as_page(rows, answer.rejects, timed=True, position=position)

    def _between(self, lower: int, upper: int | None) -> Pairs:
        bounds = [("filter[updated_at][from]", str(lower - self._slack))]
        return bounds if upper is None else [*bounds, ("filter[updated_at][to]", str(upper + self._slack))]

    def _is_between(self, time: int, lower: int, upper: int | None) -> bool:
        return time >= lower - self._slack and (upper is None or time <= upper + self._slack)

    def _position(self, second: int) -> Position | None:
        return None if self._is_window else {"updated_at": max(min(second, self._rest), self._lower)}

    def _final_position(self) -> Position | None:
        return self._position(self._rest)


def fetch_changed(client: AmocrmClient, listing: Listing, request: Request) -> Iterator[Page]:
    """What changed since the position (or in the window, or everything for a full reading)."""
    yield from ChangedReader(client, listing, request).pages()


def fetch_dictionary(client: AmocrmClient, listing: Listing) -> Iterator[Page]:
    """A small list read whole; its records have no version."""
    for answer in ListReader(client, listing).all_pages([]):
        yield as_page(answer.rows, answer.rejects, timed=False, position=None)


def fetch_optional(client: AmocrmClient, listing: Listing) -> Iterator[Page]:
    """A dictionary of a feature the account may lack: without it nothing is read, and the log says so.

    What was read while the account had the feature stays: it is out of sight, not deleted.
    """
    try:
        yield from fetch_dictionary(client, listing)
    except MissingError:
        logger.warning("source=%s path=%s event=feature_missing", client.source, listing.path)
        yield unseen_page()
    except UnpaidError:
        # An unpaid account reads nothing at all; one that answers has a plan without this feature.
        client.record("/account")
        logger.warning("source=%s path=%s event=feature_not_in_plan", client.source, listing.path)
        yield unseen_page()


def unseen_page() -> Page:
    """Nothing, and no proof that anything is gone."""
    return Page(ids=[], payloads=[], versions=[], cursors=[], is_partial_view=True)


def fetch_trash(client: AmocrmClient, listing: Listing) -> Iterator[Page]:
    """Ids in the account's trash. The records there are stubs with everything null: only a tombstone comes of them."""
    params = [("with", "only_deleted"), ("order[id]", "asc")]
    plain = Listing(path=listing.path, key=listing.key, limit=listing.limit, time_field="")
    for answer in ListReader(client, plain).all_pages(params):
        deleted = [row.id for row in answer.rows if row.is_deleted]
        if deleted:
            yield Page(ids=[], payloads=[], versions=[], cursors=[], deleted=deleted)
        if len(deleted) < len(answer.rows):
            # The server did not understand `only_deleted` and lists live records.
            logger.info("source=%s path=%s event=no_trash_list", client.source, listing.path)
            return


def lower_bound(request: Request, name: str) -> int:
    """The Unix second a run begins with: the position, or the start for a first load, a window, a full reading."""
    if request.position is not None and not (request.full or request.window):
        return int(request.position[name])
    return to_unix(request.start) if request.start is not None else 0


def _restless(label: str) -> ServerFaultError:
    return ServerFaultError(
        say(
            "{label}: список меняется быстрее, чем читается.",
            "{label}: the list changes faster than it can be read.",
            label=label,
        ),
        say("Повторите в спокойное время; загруженное сохранено.", "Repeat at a quiet time; what was loaded is kept."),
    )


def unseen(rows: list[Row], seen: set[str]) -> list[Row]:
    """Rows whose ids were not met yet; they are now."""
    fresh = [row for row in rows if row.id not in seen]
    seen.update(row.id for row in fresh)
    return fresh
