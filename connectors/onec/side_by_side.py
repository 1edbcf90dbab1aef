"""A large statement read by several processes: each harvests pieces of it, and they are judged in the file's order.

A piece begins and ends between documents. What a helper can't read without knowing what was before (anything but
whole documents) is read here, in its turn and by the same code: so the outcome doesn't depend on who read what.
"""

from __future__ import annotations

import codecs
import io
import pickle
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager
from functools import partial
from typing import BinaryIO, NamedTuple, Protocol

from base.helpers import Crew, HelperError, Helpers, serve
from connectors.onec.harvest import STRETCH_DOCUMENTS, Harvest, Harvester
from connectors.onec.movements import OwnAccounts
from connectors.onec.shapes import Scroll, Shapes
from connectors.onec.statement import Block, Entry, Parser, StatementError, skip_to_signature
from connectors.onec.statement_text import CHUNK_BYTES, TextReader
from connectors.stream import MapContext

MODULE = "connectors.onec.side_by_side"
# Encodings in which a piece can be cut off behind a line and read alone.
ENCODINGS = frozenset({"cp1251", "cp866", "utf-8", "utf-8-sig"})
# Pieces handed out before the oldest of them is judged: no helper waits for its next one.
AHEAD = 4
# Without the end of a document in so many bytes a file is read on by one process.
LONGEST_PIECE = 8 * CHUNK_BYTES
_END = "\nКонецДокумента"


# Starts helpers, which end with the context.
StartCrew = Callable[[], AbstractContextManager[Crew]]


class Judge(Protocol):
    """Who takes what is read (survey.py)."""

    @property
    def mapping(self) -> MapContext | None:
        """With it helpers map the payments on the way."""

    @property
    def settled_accounts(self) -> OwnAccounts | None:
        """Own accounts by which the last statement's documents are judged; None until the first of them is."""

    def read(self, entries: Iterator[Entry]) -> None:
        """Sections and documents, read here."""

    def take_harvest(self, harvest: Harvest, first_line: int) -> None:
        """Documents of the last statement, read by a helper."""


def can_be_cut(encoding: str) -> bool:
    return codecs.lookup(encoding).name in ENCODINGS


def start_crew(count: int) -> StartCrew:
    return partial(Helpers, MODULE, count)


def read_side_by_side(
    stream: BinaryIO, encoding: str, judge: Judge, crew: Crew, *, piece_bytes: int = CHUNK_BYTES
) -> None:
    """Read a file to its end.

    Raises:
        StatementError: see `statement.read_entries`.
        OSError: the file can't be read.
    """
    _Reading(encoding, judge, crew).read(stream, _Pieces(stream, encoding, piece_bytes))


class _Waiting(NamedTuple):
    """A piece in the file's order; without an answer it is to be read here."""

    piece: bytes
    own: OwnAccounts | None = None
    answer: Future[bytes] | None = None


class _Reading:
    def __init__(self, encoding: str, judge: Judge, crew: Crew) -> None:
        self._encoding = encoding
        self._mapping = judge.mapping.for_helpers() if judge.mapping is not None else None
        self._judge = judge
        self._crew = crew
        # Where the pieces judged so far ended: between documents, or inside of something.
        self._parser = Parser()
        self._shapes = Shapes()
        self._line = 1
        self._waiting: deque[_Waiting] = deque()

    def read(self, stream: BinaryIO, pieces: _Pieces) -> None:
        for piece in pieces:
            self._waiting.append(self._hand_out(piece))
            # Whether the next piece can be handed out is known once a piece read here has been read.
            while self._waiting and (len(self._waiting) > AHEAD or self._waiting[0].answer is None):
                self._take_oldest()
        while self._waiting:
            self._take_oldest()
        self._read_here(stream, pieces.rest, is_last=True)

    def _hand_out(self, piece: bytes) -> _Waiting:
        own = self._judge.settled_accounts
        if own is None or not self._parser.is_between:
            return _Waiting(piece)
        asked = pickle.dumps((piece, self._encoding_of_piece, own, self._mapping), pickle.HIGHEST_PROTOCOL)
        return _Waiting(piece, own, self._crew.submit(asked))

    def _take_oldest(self) -> None:
        piece, own, answer = self._waiting.popleft()
        found: tuple[list[Harvest], int] | None = None
        # A piece before it may have ended otherwise than it seemed when this one was handed out.
        if answer is not None and self._parser.is_between and own == self._judge.settled_accounts:
            try:
                found = pickle.loads(answer.result())
            except HelperError:
                found = None
        if found is None:
            self._read_here(io.BytesIO(), piece)
            return
        for harvest in found[0]:
            self._judge.take_harvest(harvest, self._line)
        self._line += found[1]

    def _read_here(self, stream: BinaryIO, held: bytes, *, is_last: bool = False) -> None:
        """Read what is held, and the stream from where it stands."""
        scroll = Scroll(TextReader(stream, self._encoding_of_piece, held=held).read, line=self._line)
        if self._parser.header is None:
            skip_to_signature(scroll, self._parser)
        self._judge.read(self._parser.entries(scroll, self._shapes, is_last=is_last))
        self._line = scroll.line - 1  # the end was taken for a line, too

    @property
    def _encoding_of_piece(self) -> str:
        """A byte order mark stands at the beginning of the file only."""
        is_first = self._parser.header is None
        return "utf-8" if not is_first and codecs.lookup(self._encoding).name == "utf-8-sig" else self._encoding


class _Pieces:
    """The file cut behind documents, about `size` bytes each; `rest` is what was read behind the last cut."""

    def __init__(self, stream: BinaryIO, encoding: str, size: int) -> None:
        self.rest = b""
        self._stream = stream
        self._size = size
        end = _END.encode("utf-8" if codecs.lookup(encoding).name == "utf-8-sig" else encoding)
        self._ends = (end + b"\r\n", end + b"\n")

    def __iter__(self) -> Iterator[bytes]:
        self._stream.seek(0)
        held = b""
        while len(held) < LONGEST_PIECE and (read := self._stream.read(self._size)):
            held += read
            cut = max(place + len(end) if (place := held.rfind(end)) >= 0 else 0 for end in self._ends)
            if cut:
                yield held[:cut]
                held = held[cut:]
        self.rest = held


# ── in a helper ─────────────────────────────────────────────────────────────────────────────────────────────────


class Answers:
    """What a helper does with pieces; orders of keys that it has met it knows."""

    def __init__(self) -> None:
        self._shapes = Shapes()
        self._keys: dict[str, str] = {}

    def __call__(self, asked: bytes) -> bytes:
        return pickle.dumps(self._harvest(*pickle.loads(asked)), pickle.HIGHEST_PROTOCOL)

    def _harvest(
        self, piece: bytes, encoding: str, own: OwnAccounts, mapping: MapContext | None
    ) -> tuple[list[Harvest], int] | None:
        """The harvests and the number of lines; None if there is anything else than whole documents."""
        header = Block("header", 0, 0)
        parser = Parser(header, self._keys)
        scroll = Scroll(TextReader(io.BytesIO(), encoding, held=piece).read, line=0)
        harvester, harvests = Harvester(own, mapping), []
        try:
            for entry in parser.entries(scroll, self._shapes, is_last=False):
                if isinstance(entry, Block) and entry.kind != "document":
                    return None
                harvester.take(entry, entry.line)
                if harvester.documents == STRETCH_DOCUMENTS:
                    harvests.append(harvester.take_in())
        except StatementError:
            return None
        if harvester.documents:
            harvests.append(harvester.take_in())
        is_plain = parser.is_between and not header.is_last and not header.strays
        return (harvests, scroll.line - 1) if is_plain else None


if __name__ == "__main__":
    serve(Answers())
