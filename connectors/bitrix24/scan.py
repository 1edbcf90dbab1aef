"""Reading a list by id: chains of up to 50 pages a request, over several id lanes at once.

Every command of a chain begins after the last id of the one before it, within one request. After the first short
page the rest of a chain is garbage: the server puts something else into the reference, so classic lists start from
the beginning again. Ids never shift, so records deleted meanwhile just disappear and none is met twice.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import pairwise

import msgspec

from base.errors import ProtocolError, ServerFaultError, SourceError, UnreachableError
from base.text import say
from connectors.bitrix24.answers import PAGE, BatchAnswer, Row, RowPage, Timing, documented, read_rows, server_micros
from connectors.bitrix24.asking import PAUSE_SECONDS, ask_each
from connectors.bitrix24.client import LANES, MOST_COMMANDS, Bitrix24Client, Command
from connectors.bitrix24.isolate import read_one_by_one
from connectors.bitrix24.listing import Listing
from connectors.bitrix24.php import Param
from connectors.bitrix24.refusals import OperatingLimitError, UnreadableError
from connectors.stream import Reject

logger = logging.getLogger("voronka.bitrix24")

FIRST_COMMANDS = 20
LEAST_COMMANDS = 5
# A request should last about this long; the cloud kills one after 60 seconds.
SHORT_SECONDS, LONG_SECONDS = 5.0, 20.0
# A lane of fewer rows than a full batch brings is not worth requests of its own.
LEAST_LANE = MOST_COMMANDS * PAGE
EARLY_ATTEMPTS = 3
MOST_IDLE = 5


@dataclass(eq=False)
class Lane:
    """Ids in (low, high] still to be read. `idle` counts requests that brought it nowhere."""

    low: int
    high: int
    per_id: float = 1.0  # rows for each id, as met so far
    idle: int = 0
    # Up to here the request under way probably reads.
    reach: int = 0

    @property
    def is_done(self) -> bool:
        return self.low >= self.high

    @property
    def untouched(self) -> int:
        """Ids that no request under way is expected to bring."""
        return self.high - max(self.low, self.reach)

    def reach_of(self, count: int) -> int:
        """The id so many pages probably end with."""
        expected = (self.high - self.low) * self.per_id
        return self.high if expected <= count * PAGE else self.low + int(count * PAGE / self.per_id)

    def commands(self, most: int) -> int:
        """How many pages it probably still has, one more to be sure, at most `most`."""
        expected = (self.high - self.low) * self.per_id * 1.1
        return max(1, min(most, int(expected) // PAGE + 1))


@dataclass
class Chain:
    """What a chain brought: rows in order, and whether the list ended within it."""

    rows: list[Row] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    ended: bool = False
    seconds: float = 0.0
    failure: SourceError | None = None
    # The last id met; beyond `rows` where a record of it could not be read.
    last: int = 0


class Scan:
    """All records of a listing within filters, in batches of rows; `left` says what is still to be read."""

    def __init__(
        self,
        client: Bitrix24Client,
        listing: Listing,
        bounds: Mapping[str, Param],
        *,
        after: int = 0,
        left: list[list[int]] | None = None,
        lanes: int = LANES,
    ) -> None:
        self._client = client
        self._listing = listing
        self._bounds = bounds
        self._after = after
        self._lane_count = lanes
        self._lanes = None if left is None else [Lane(low, high) for low, high in left]
        self._commands = FIRST_COMMANDS
        # How densely ids are used, as met so far.
        self._rows_met = self._ids_passed = 1
        self.highest = after
        # The server's clock at the first answer, microseconds; None until it or where the server does not tell.
        self.began: int | None = None

    @property
    def left(self) -> list[list[int]]:
        return [[lane.low, lane.high] for lane in self._lanes or []]

    def pages(self) -> Iterator[RowPage]:
        if self._lanes is None:
            yield self._first()
        with ThreadPoolExecutor(self._lane_count, "bitrix24-lane", initializer=self._client.in_lane) as pool:
            running: dict[Future[Chain], Lane] = {}
            try:
                while self._lanes:
                    self._start(pool, running)
                    done, _ = wait(running, return_when=FIRST_COMPLETED)
                    self._client.count_lanes()
                    for future in done:
                        lane = running.pop(future)
                        yield self._take(lane, future.result())
            finally:
                for future in running:
                    future.cancel()
        self._client.count_lanes()

    def _first(self) -> RowPage:
        """The first page, and in the same request the highest id: a list of one page costs one request."""
        listing = self._listing
        head = listing.page(self._bounds, after=self._after, descending=True, select=(listing.id_field,))
        commands = [
            Command(key="p0", method=listing.method, params=listing.page(self._bounds, after=self._after)),
            Command(key="head", method=listing.method, params=head),
        ]
        try:
            results = ask_each(self._client, commands, heard=self._note_began)
        except (ServerFaultError, UnreadableError) as error:
            # A record of the first page may be at fault: the lanes will find it.
            logger.warning("source=%s method=%s event=first_page_failed", self._client.source, listing.method)
            results = ask_each(self._client, commands[1:], heard=self._note_began)
            self._lanes = split_evenly(self._after, self._highest(results, error), self._lane_count)
            return RowPage()
        page = self._read(results["p0"])
        _assert_growing(self._client.source, listing, self._after, page.rows)
        if page.rows:
            self.highest = page.rows[-1].id
        if page.count < PAGE:
            self._lanes = []
            return page
        low = page.rows[-1].id if page.rows else self._after
        # Changed records lie far apart: by its ids alone such a list would be cut into lanes of a few rows each.
        if page.rows:
            self._rows_met, self._ids_passed = len(page.rows), low - page.rows[0].id + 1
        per_id = self._rows_met / self._ids_passed
        self._lanes = split_evenly(low, self._highest(results), self._lane_count, per_id)
        return page

    def _highest(self, results: Mapping[str, msgspec.Raw], error: SourceError | None = None) -> int:
        """The list's last id; `error` is raised when there is none to look for it in."""
        listing = self._listing
        with documented(self._client.source, listing.method):
            rows = read_rows(results["head"], listing.rows_key, listing.id_field, "").rows
        if not rows and error is not None:
            raise error
        return max((row.id for row in rows), default=0)

    def _note_began(self, timing: Timing) -> None:
        if self.began is None:
            self.began = server_micros(timing)

    def _start(self, pool: ThreadPoolExecutor, running: dict[Future[Chain], Lane]) -> None:
        """Every lane has a request under way; while there are too few lanes the longest one is cut in two."""
        assert self._lanes is not None
        while len(self._lanes) < self._lane_count:
            longest = max(self._lanes, key=lambda lane: lane.untouched)
            half = longest.untouched // 2
            # By all that was read: a list that begins densely may have nothing for a million ids after.
            if half * self._rows_met < LEAST_LANE * self._ids_passed:
                break
            # Should its request under way bring more than expected, that is dropped: the new lane reads it.
            self._lanes.append(Lane(longest.high - half, longest.high, longest.per_id))
            longest.high -= half
        busy = set(running.values())
        for lane in self._lanes:
            if lane not in busy and len(running) < self._lane_count:
                count = lane.commands(self._commands)
                lane.reach = lane.reach_of(count)
                running[pool.submit(self._chain, lane.low, lane.high, count)] = lane

    def _take(self, lane: Lane, chain: Chain) -> RowPage:
        assert self._lanes is not None
        if self._is_unreadable(lane, chain):
            chain = self._read_singly(lane, chain)
        rows = [row for row in chain.rows if row.id <= lane.high]
        before = lane.low
        lane.reach = 0
        if chain.last > before:
            lane.low = min(chain.last, lane.high)
            lane.per_id = len(chain.rows) / max(chain.last - before, 1)
        if chain.ended:
            lane.low = lane.high
        lane.idle = 0 if lane.low > before else lane.idle + 1
        self._adapt(chain)
        if chain.failure is not None and (lane.idle >= MOST_IDLE or not _is_passing(chain.failure)):
            raise chain.failure
        if lane.idle >= MOST_IDLE:
            raise _stuck(self._client.source, self._listing)
        self._rows_met += len(rows)
        self._ids_passed += lane.low - before
        if lane.is_done:
            self._lanes.remove(lane)
        if rows:
            self.highest = max(self.highest, rows[-1].id)
        return RowPage(rows=rows, rejects=chain.rejects, count=len(rows) + len(chain.rejects))

    def _is_unreadable(self, lane: Lane, chain: Chain) -> bool:
        """The page after `lane.low` fails for good, though the portal is well."""
        if chain.rows or chain.failure is None:
            return False
        is_last_try = lane.idle + 1 >= MOST_IDLE and isinstance(chain.failure, ServerFaultError)
        return is_last_try or isinstance(chain.failure, UnreadableError)

    def _read_singly(self, lane: Lane, chain: Chain) -> Chain:
        assert chain.failure is not None
        page = read_one_by_one(self._client, self._listing, self._bounds, lane.low, lane.high, chain.failure)
        last = max([lane.low, *(row.id for row in page.rows), *page.skipped])
        return Chain(rows=page.rows, rejects=page.rejects, ended=page.count < PAGE, last=last)

    def _adapt(self, chain: Chain) -> None:
        if chain.seconds > LONG_SECONDS:
            self._commands = max(LEAST_COMMANDS, self._commands // 2)
        elif chain.seconds < SHORT_SECONDS and chain.failure is None:
            self._commands = min(MOST_COMMANDS, self._commands * 2)

    # ── one request, in a lane's thread ─────────────────────────────────────────────────────────────────────────

    def _chain(self, low: int, high: int, count: int) -> Chain:
        """Pages after `low`; fewer of them in a request when the server can't bear it."""
        while True:
            commands = [self._command(place, low, high) for place in range(count)]
            try:
                answer = self._batch(commands, attempts=EARLY_ATTEMPTS if count > LEAST_COMMANDS else None)
            except (ServerFaultError, UnreachableError):
                if count <= LEAST_COMMANDS:
                    raise
                count = max(LEAST_COMMANDS, count // 2)
                logger.warning(
                    "source=%s method=%s event=batch_halved commands=%d",
                    self._client.source,
                    self._listing.method,
                    count,
                )
                continue
            return self._read_chain(answer, commands, low)

    def _command(self, place: int, low: int, high: int) -> Command:
        listing = self._listing
        after: int | str = low if place == 0 else listing.last_id_of(f"p{place - 1}")
        return Command(
            key=f"p{place}", method=listing.method, params=listing.page(self._bounds, after=after, upto=high)
        )

    def _read_chain(self, answer: BatchAnswer, commands: list[Command], low: int) -> Chain:
        chain = Chain(seconds=answer.timing.duration or 0.0)
        last = low
        for command in commands:
            if command.key not in answer.results:
                chain.failure = self._failure(answer, command)
                return chain
            page = self._read(answer.results[command.key])
            _assert_growing(self._client.source, self._listing, last, page.rows)
            chain.rows += page.rows
            chain.rejects += page.rejects
            if page.count < PAGE:
                chain.ended = True
                return chain
            last = page.rows[-1].id if page.rows else last
            chain.last = last
        return chain

    def _failure(self, answer: BatchAnswer, command: Command) -> SourceError | None:
        """Why a command has no result; None: it was not carried out, and is simply asked again."""
        failure = answer.failures.get(command.key) or next(iter(answer.loose_failures), None)
        if failure is None:
            return None
        error = self._client.refusals.of(failure, command.method)
        if isinstance(error, OperatingLimitError):
            self._client.park(command.method, error)
        elif error.retryable:
            self._client.clock.sleep(PAUSE_SECONDS)
        return error

    def _batch(self, commands: list[Command], *, attempts: int | None) -> BatchAnswer:
        halt = self._listing.stops_at_garbage
        asked = {} if attempts is None else {"attempts": attempts}
        answer = self._client.batch(commands, halt=halt, **asked)
        self._note_began(answer.timing)
        return answer

    def _read(self, result: msgspec.Raw) -> RowPage:
        listing = self._listing
        with documented(self._client.source, listing.method):
            return read_rows(result, listing.rows_key, listing.id_field, listing.time_field)


def split_evenly(low: int, high: int, count: int, per_id: float = 1.0) -> list[Lane]:
    """Lanes of about equal length over (low, high]; fewer where they would hold few rows."""
    count = max(1, min(count, int((high - low) * per_id) // LEAST_LANE))
    edges = [low + (high - low) * place // count for place in range(count + 1)]
    return [Lane(a, b, per_id) for a, b in pairwise(edges) if b > a]


def _assert_growing(source: str, listing: Listing, low: int, rows: list[Row]) -> None:
    last = low
    for row in rows:
        if row.id <= last:
            raise ProtocolError(
                say(
                    "{source}: {method} отдаёт записи не по порядку id ({id} после {last}).",
                    "{source}: {method} gives records out of the order of ids ({id} after {last}).",
                    source=source,
                    method=listing.method,
                    id=row.id,
                    last=last,
                )
            )
        last = row.id


def _is_passing(error: SourceError) -> bool:
    """Asking again, or for less at once, may heal it."""
    return error.retryable or isinstance(error, OperatingLimitError | UnreadableError)


def _stuck(source: str, listing: Listing) -> ProtocolError:
    return ProtocolError(
        say(
            "{source}: портал не выполняет команды {method} и не говорит почему.",
            "{source}: the portal does not carry out {method} and does not say why.",
            source=source,
            method=listing.method,
        )
    )
