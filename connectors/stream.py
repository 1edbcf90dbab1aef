"""What a connector is made of: settings, streams, pages of raw records, and rows for the core.

The way of a record: `Stream.fetch` yields `Page`s (raw payloads in columns, never decoded twice), landing stores
them, and conforming gives each stored payload to `Stream.map`, a pure function that adds rows to `Rows` or raises
`BadRecord`. A mapping is given everything it may know in `MapContext`, so `replay` needs no network.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from base.clock import Clock
from base.secrets import without_secrets
from base.text import Text
from connectors.states import FileStates, States
from connectors.vault import Vault

Json = Any
# Where a stream stands: a small JSON object that only its own `fetch` understands.
Position = dict[str, Json]
ClientT = TypeVar("ClientT", bound="Client")


# ── settings ────────────────────────────────────────────────────────────────────────────────────────────────────


class Settings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """The keys every `[sources.NAME]` table may have; a connector's own settings add to them.

    Fields that hold credentials are of type `base.secrets.Secret`. The configuration reader converts and names
    every problem with its path; a settings class only declares names, types and defaults.
    """

    type: str
    # How far back a first load goes; a date at the company's midnight.
    start: str | None = None
    # The source's own budget, at most the vendor's limit.
    requests_per_second: float | None = None
    enabled: bool = True
    # Days after which a stream's payloads are let go; a stream not named is kept for ever, "*" is every other one.
    raw_days: dict[str, int] = {}

    def problems(self) -> Iterator[tuple[str, Text]]:
        """What is wrong between keys that are right each alone: a key, and what is wrong with it."""
        return iter(())


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """What the world gives a client: never read from the environment."""

    source: str
    clock: Clock
    zone: ZoneInfo  # the company's reporting time zone
    # Folder of this installation's state (limiter and token files), outside the databases.
    state_dir: Path
    # Where budgets are instead, when several machines share them.
    shared: States | None = None
    # How the token files there are closed.
    vault: Vault = field(default_factory=Vault)
    # An httpx transport for tests; None = the real network.
    transport: Any = None
    mapping: MapContext | None = None  # this run's, for readers that map what they have read (`Page.rows`)
    # Called with the number of requests just made.
    on_request: Callable[[int], None] = lambda count: None

    @property
    def states(self) -> States:
        """Where the budgets of accounts are."""
        return self.shared if self.shared is not None else FileStates(self.state_dir / "limits", self.clock)


# ── fetching ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, kw_only=True)
class Reject:
    """A record or file that could not be read: why, where in it, and its raw form."""

    record_id: str
    code: str  # stable, snake_case: "wrong_type", "no_id", "not_a_statement"
    message: Text
    path: str = ""  # `$.price`, or a line or cell
    expected: str = ""
    got: str = ""
    payload: bytes | None = None


# Of a payload's digest, by which it is known again.
HASH_BYTES = 16


def payload_hash(payload: bytes) -> bytes:
    return blake2b(payload, digest_size=HASH_BYTES).digest()


@dataclass(kw_only=True)
class Page:
    """One answer's records in columns. The four lists are equally long, one entry a record.

    `payloads` are the vendor's own JSON bytes where the vendor speaks JSON. `versions` and `cursors` are Unix
    microseconds: a version orders the states of one record (0 = unknown, then the fetch time decides); a cursor is
    the time by which the stream is read (0 = none) and bounds the look-up of payloads already known.
    """

    ids: Sequence[str]
    payloads: Sequence[bytes]
    versions: Sequence[int]
    cursors: Sequence[int]
    origins: Sequence[str] | None = None  # file:line, for files; not part of the payload's identity
    hashes: Sequence[bytes] | None = None  # of the payloads (`payload_hash`), where somebody has made them already
    # What `Stream.map` makes of each record, where it is mapped already (`Stream.brings`); None: it is still to be.
    rows: Sequence[Any] | None = None
    # Ids the vendor reports as deleted; they become tombstones.
    deleted: list[str] = field(default_factory=list)
    # Ids that exist, told without their records: a cheap sweep for what was deleted without a word.
    living: list[str] = field(default_factory=list)
    # True: `living` of this run's pages is every id there is; what is stored and not among them gets a tombstone.
    is_whole: bool = False
    # How many records the vendor says there are, where a full reading asked; compared with what it listed.
    total: int | None = None
    # True: who reads may not see every record, so in this run a record's absence proves no deletion.
    is_partial_view: bool = False
    rejects: list[Reject] = field(default_factory=list)
    # Where to resume once this page is stored; None = this page gives no resting point.
    position: Position | None = None
    # The stream is read in the order of time, and everything before this instant has been read: for the estimate of
    # what is left. None = the page can't tell.
    reached_at: datetime | None = None
    # Until when (UTC, exclusive) the stream's data is complete, as far as the page itself proves it (the interval of
    # a statement, a finished window); None = the run's upper bound once the stream has ended well.
    complete_until: datetime | None = None
    # True: there has never been anything that this stream reads (no file of its kind in the folder), so it holds no
    # number back. Of a `files` stream the last page decides.
    is_idle: bool = False

    def put(self, record_id: str, payload: bytes, *, version: int = 0, cursor: int = 0) -> None:
        """One record more, in a page of lists."""
        for column, value in zip(
            (self.ids, self.payloads, self.versions, self.cursors), (record_id, payload, version, cursor), strict=True
        ):
            assert isinstance(column, list)
            column.append(value)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What one run asks of a stream. Bounds are aware UTC datetimes, both inclusive."""

    # The stored position of the last run, already resting before the overlap is taken off; None = a first load.
    position: Position | None
    # First load: the configured start. `--from`/`--to` give a window and leave the position alone.
    start: datetime | None
    end: datetime  # the vendor's clock at the run's start
    # True: read everything, whatever the position says (`--full`, and streams without a watermark).
    full: bool = False
    # True: a window asked for by hand; `fetch` yields pages with `position=None`.
    window: bool = False


class Client(ABC):
    """What the engine asks of every client."""

    @abstractmethod
    def now(self) -> datetime:
        """The vendor's clock (UTC), the upper bound of a run."""


# ── mapping ─────────────────────────────────────────────────────────────────────────────────────────────────────


# Compared by identity: a mapping looks its targets up for every row.
@dataclass(frozen=True, eq=False)
class Target:
    """A core relation and the columns a mapping fills, in the order of its rows.

    `source`, `version` and `loaded_at` are added by conforming. A key must be complete. `owned_by` makes rows a
    child list: all rows of one owner (these columns) are replaced as a whole when a newer version of it comes
    (`Rows.add_children`). A relation with `is_deleted` gets tombstones from landing, never from a mapping's guess.
    """

    relation: str
    columns: tuple[str, ...]
    owned_by: tuple[str, ...] = ()


def target(relation: str, columns: str, *, owned_by: str = "") -> Target:
    """`target("core.deals", "deal_id title amount")`."""
    return Target(relation, tuple(columns.split()), tuple(owned_by.split()))


@dataclass(frozen=True)
class Brought:
    """Rows of `into` that pages bring along (`Page.rows`), at most one a record: structures of its other columns. In
    these two stand the record's id and origin, and nothing else of it but the payload decides."""

    into: Target
    record_id: str
    origin: str


class BadRecord(Exception):  # noqa: N818 - it is a verdict on a record, not a failure of the program
    """Raised by a mapping: this record can't be read; it is rejected and the rest goes on."""

    def __init__(self, code: str, message: Text, *, path: str = "$", expected: str = "", got: str = "") -> None:
        super().__init__(str(message))
        self.code = code
        self.message = message
        self.path = path
        self.expected = expected
        self.got = got


@dataclass(frozen=True, kw_only=True)
class MapContext:
    """All a mapping may know beside the payload."""

    source: str
    settings: Settings
    zone: ZoneInfo  # the company's
    country: str  # default region of phone numbers: RU, KZ, BY, UZ
    currency: str
    own_tax_ids: frozenset[str] = frozenset()
    # Latest payloads of the streams named in `Stream.needs`, by stream name and record id.
    dictionaries: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)
    # Room for what a mapping derives once from `dictionaries`; a fresh dict for every conform of a stream.
    cache: dict[str, Any] = field(default_factory=dict)

    def for_helpers(self) -> MapContext:
        return replace(self, cache={}, settings=without_secrets(self.settings))


class Rows:
    """Rows a mapping makes, by target. Times (`_at`) are Unix microseconds or None, days (`_on`, local_date)
    `datetime.date`, money `Decimal` with two places, lists of text `list[str]`."""

    __slots__ = ("_ordinal", "ordinals", "owner_ordinals", "owners", "rows")

    def __init__(self) -> None:
        self.rows: dict[Target, list[tuple[Any, ...]]] = {}
        # For each target: the place in the chunk of the record each row came from.
        self.ordinals: dict[Target, list[int]] = {}
        # Owners whose child lists were read, even if they were empty: their old rows must go.
        self.owners: dict[Target, list[tuple[Any, ...]]] = {}
        self.owner_ordinals: dict[Target, list[int]] = {}
        self._ordinal = 0

    def begin(self, ordinal: int) -> None:
        """Conforming says which record's rows come next."""
        self._ordinal = ordinal

    def retract(self) -> None:
        """Take back the rows of the present record: it is rejected, and half of it must not be loaded."""
        for rows, ordinals in ((self.rows, self.ordinals), (self.owners, self.owner_ordinals)):
            for into in list(rows):
                made = ordinals[into]
                while made and made[-1] == self._ordinal:
                    made.pop()
                    rows[into].pop()
                if not made:
                    del rows[into], ordinals[into]

    def add(self, into: Target, row: tuple[Any, ...]) -> None:
        """One row, its values in the order of `into.columns`."""
        rows = self.rows.get(into)
        if rows is None:
            rows = self.rows[into] = []
            self.ordinals[into] = []
        rows.append(row)
        self.ordinals[into].append(self._ordinal)

    def add_many(self, into: Target, places: Sequence[int], rows: Sequence[tuple[Any, ...]]) -> None:
        """Rows of several records, each with its record's place in the chunk."""
        if rows:
            self.rows.setdefault(into, []).extend(rows)
            self.ordinals.setdefault(into, []).extend(places)

    def add_lists(
        self,
        into: Target,
        places: Sequence[int],
        owners: Sequence[tuple[Any, ...]],
        lists: Sequence[Sequence[tuple[Any, ...]]],
    ) -> None:
        """The child lists of several records, one each: `add_children` for all of them."""
        if owners:
            self.owners.setdefault(into, []).extend(owners)
            self.owner_ordinals.setdefault(into, []).extend(places)
        row_places = [place for place, rows in zip(places, lists, strict=True) for _ in rows]
        self.add_many(into, row_places, [row for rows in lists for row in rows])

    @property
    def place(self) -> int:
        """The present record's place in the chunk."""
        return self._ordinal

    def add_children(self, into: Target, owner: tuple[Any, ...], rows: Sequence[tuple[Any, ...]]) -> None:
        """The whole child list of one owner (its `into.owned_by` values); it replaces an older list."""
        owners = self.owners.get(into)
        if owners is None:
            owners = self.owners[into] = []
            self.owner_ordinals[into] = []
        owners.append(owner)
        self.owner_ordinals[into].append(self._ordinal)
        if not rows:
            return
        made = self.rows.get(into)
        if made is None:
            made = self.rows[into] = []
            self.ordinals[into] = []
        made += rows
        self.ordinals[into] += [self._ordinal] * len(rows)


class RawRecord(msgspec.Struct, frozen=True):
    """A stored record as the mapping gets it."""

    record_id: str
    payload: bytes
    version: int  # Unix microseconds, never 0: the fetch time where the vendor has none
    fetched_at: int
    origin: str | None = None  # file:line, for files


Mapper = Callable[[RawRecord, MapContext, Rows], None]
# Maps records many at a time, given by their places in the chunk and their payloads: the same rows for less. It adds
# nothing if it raises, and gives the places it leaves to the `Mapper`, which does all of them then.
BulkMapper = Callable[[Sequence[int], Sequence[bytes], MapContext, Rows], Sequence[int]]


# ── declarations ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, kw_only=True)
class Stream(Generic[ClientT]):
    """One kind of records of a source, as data.

    `kind`: `entity` changes and is read by what changed since; `log` only grows; `dictionary` is small and read
    whole in every run (what is missing from it was removed); `files` is a folder.
    """

    name: str
    kind: Literal["entity", "log", "dictionary", "files"]
    fetch: Callable[[ClientT, Request], Iterator[Page]]
    map: Mapper | None = None  # None: kept raw only, e.g. what other mappings need
    map_many: BulkMapper | None = None  # of streams with very many records
    brings: Brought | None = None  # rows that its pages may have with them
    # Relations whose rows are marked deleted when a record of this stream disappears.
    tombstones: tuple[str, ...] = ()
    # Streams whose payloads, as they stand when a record is conformed, the mapping gets as `MapContext.dictionaries`.
    # What was mapped while one of them had never been read is mapped again once it has.
    needs: tuple[str, ...] = ()
    # True: `--full` compares what is stored with what was read, and what has vanished gets a tombstone.
    sweeps: bool = False
    # True: the vendor keeps no log of a deal's owner and amount; a change found between two loads becomes an event.
    compares_loads: bool = False
    # What a manager or accountant calls it.
    label: Text
    # Group for completeness dates: crm, calls, money.
    facet: Literal["crm", "calls", "money", ""] = ""
    # False: a source with these settings has no such stream (1C by OData has no files, a folder has no OData).
    serves: Callable[[Any], bool] = lambda settings: True


@dataclass(frozen=True, kw_only=True)
class CheckLine:
    """One finding of `voronka check`."""

    subject: Text
    verdict: Literal["ok", "warning", "failed"]
    detail: Text
    remedy: Text | None = None


@dataclass(frozen=True, kw_only=True)
class Connector(Generic[ClientT]):
    """A source type: its settings, its streams, and how to reach it."""

    source_type: str
    label: Text
    settings: type[Settings]
    streams: Sequence[Stream[ClientT]]
    open: Callable[[Any, Runtime], AbstractContextManager[ClientT]]
    check: Callable[[ClientT], Iterator[CheckLine]]
    # Streams of one source that may be read at the same time.
    parallel: int = 4
    # A person's link to a record in the source's own pages, or None: (settings, kind, record_id).
    record_url: Callable[[Any, str, str], str | None] = lambda settings, kind, record_id: None

    def serving(self, settings: Settings) -> Connector[ClientT]:
        """The same connector with the streams that a source with these settings has."""
        return replace(self, streams=tuple(stream for stream in self.streams if stream.serves(settings)))

    def stream(self, name: str) -> Stream[ClientT]:
        return next(stream for stream in self.streams if stream.name == name)
