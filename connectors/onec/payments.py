"""Payments mapped as the documents of a large statement are read, so that their payloads need not be decoded again.

Nothing but time depends on it: a stretch that holds what can't be mapped is mapped from the log, and rejected there.
Light, as kept.py is.
"""

from __future__ import annotations

import pickle
from typing import Any

from base.errors import DEFECTS
from base.wire import Sent, send
from connectors.onec.mapping import BROUGHT, CHANNEL, payment_of
from connectors.onec.movements import Movement
from connectors.onec.particulars import Particulars
from connectors.stream import BadRecord, MapContext

# Columns of a payment that stand in a page's `rows`: those of `payment_of`, and the channel.
NAMES = [name for name in BROUGHT.into.columns if name not in (BROUGHT.record_id, BROUGHT.origin)]


class Payments:
    """Of consecutive movements, in their order; `take_in` ends it."""

    def __init__(self, mapping: MapContext) -> None:
        self._mapping = mapping
        self._made: list[tuple[Any, ...]] = []
        self._is_whole = True

    def add(self, document: Particulars, movement: Movement) -> None:
        if self._is_whole:
            try:
                self._made.append(payment_of(document, movement, self._mapping))
            except (BadRecord, *DEFECTS):
                self._is_whole = False

    def take_in(self) -> bytes:
        """All of them for `read`, empty if one is missing; the next one begins anew."""
        made, is_whole = self._made, self._is_whole
        self._made, self._is_whole = [], True
        if not made or not is_whole:
            return b""
        sent = [send(column) for column in (*zip(*made, strict=True), [CHANNEL] * len(made))]
        return b"" if any(column.kind == "plain" for column in sent) else pickle.dumps(sent, pickle.HIGHEST_PROTOCOL)


def read(packed: bytes) -> list[Sent] | None:
    """The payments in columns, those of `NAMES`, one of each movement; None: they are to be mapped from the log."""
    found: list[Sent] | None = pickle.loads(packed) if packed else None
    return found
