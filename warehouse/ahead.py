"""Mapping ahead: helper processes map a stream's log while this one lands and merges; rows are taken in landing order.

Nothing but time depends on it: what is mapped comes from the log, a helper that died is stood in for, and what was
mapped for nothing is forgotten.
"""

from __future__ import annotations

import pickle
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from base.helpers import Crew, HelperError
from connectors.stream import MapContext, Mapper, Target
from warehouse.mapping import Columns, Mapped, answer, unpack
from warehouse.received import send_column

# Sent at a time: their payloads are in memory, and in the pipe's buffers.
PIECE_RECORDS = 640
# Under way: as much as helpers do while a batch lands or a slice is merged, and some megabytes of payloads.
PIECES_UNDER_WAY = 4
# Mapped and not taken: only rows, and of them a slice and what is begun of the next one.
PIECES_WAITING = 56


@dataclass
class _Piece:
    last: int | None  # `seq` of its chunk's last record, if the piece is the chunk's last
    head: Columns  # record ids, operations and versions
    sent: bytes | None  # None: it was answered
    found: Future[bytes]

    def is_mapped(self) -> bool:
        if not self.found.done():
            return False
        if self.sent is not None and not self.found.cancelled() and self.found.exception() is None:
            self.sent = None  # nobody has to stand in any more
        return True


class Ahead:
    """One stream's log, handed to a crew in chunks and taken back in pieces.

    `transform` is a function of a module, and the context has no dictionaries: both go to the helpers.
    """

    def __init__(self, transform: Mapper, context: MapContext, crew: Crew, start: int) -> None:
        self._transform = transform
        self._context = context.for_helpers()
        self._crew = crew
        # Rows of one relation from several helpers have one target.
        self._targets: dict[tuple[Any, ...], Target] = {}
        self._pieces: deque[_Piece] = deque()
        self.restart(start)

    def restart(self, start: int) -> None:
        """Go on behind this `seq`: what is behind another one is forgotten."""
        for piece in self._pieces:
            piece.found.cancel()
        self._pieces.clear()
        # The last `seq` handed to the crew, and the last one taken back.
        self.given = start
        self.taken: int | None = start  # None: in the midst of a chunk
        # Where the chunks to be handed out next end.
        self.ends: deque[int] = deque()

    def has_room(self) -> bool:
        """Whether the crew should have more to do."""
        under_way = sum(not piece.is_mapped() for piece in self._pieces)
        return under_way < PIECES_UNDER_WAY and len(self._pieces) < PIECES_WAITING

    def mapped_until(self) -> int:
        """The last `seq` up to which everything can be taken without waiting."""
        until = self.taken or 0
        for piece in self._pieces:
            if not piece.is_mapped():
                break
            until = piece.last or until
        return until

    def give(self, columns: Columns, last: int) -> None:
        """Hand out the records behind `given` up to `last`."""
        count = len(columns[0])
        for start in range(0, count, PIECE_RECORDS):
            piece = [column[start : start + PIECE_RECORDS] for column in columns]
            sent = pickle.dumps(
                (self._transform, self._context, [send_column(column) for column in piece]), pickle.HIGHEST_PROTOCOL
            )
            is_last = start + PIECE_RECORDS >= count
            self._pieces.append(_Piece(last if is_last else None, piece[:3], sent, self._crew.submit(sent)))
        self.given = last

    def take(self) -> tuple[Columns, Mapped]:
        """The next piece's record ids, operations and versions, and what its records gave."""
        piece = self._pieces.popleft()
        try:
            packed = piece.found.result()
        except HelperError:
            assert piece.sent is not None
            packed = answer(piece.sent)
        self.taken = piece.last
        return piece.head, unpack(packed, self._targets)
