"""Payments mapped by helper processes, out of the payloads that helpers sent.

Light, as kept.py is. Who hands the payloads out and takes the payments back is ahead.py.
"""

from __future__ import annotations

import pickle
from array import array
from itertools import pairwise
from typing import Any

import msgspec

from base.errors import DEFECTS
from base.helpers import serve
from base.wire import Sent, send
from connectors.onec.mapping import BROUGHT, map_movement
from connectors.stream import BadRecord, MapContext, RawRecord, Rows

MODULE = "connectors.onec.payments"
# Columns of a payment that stand in a page's `rows`.
PLACES = [n for n, name in enumerate(BROUGHT.into.columns) if name not in (BROUGHT.record_id, BROUGHT.origin)]
NAMES = [BROUGHT.into.columns[place] for place in PLACES]


def ask(mapping: MapContext, payload_ends: bytes, payloads: bytes) -> bytes:
    """A piece for `answer`: payloads one behind the other, and where each begins and the last one ends."""
    return pickle.dumps((mapping, payload_ends, payloads), pickle.HIGHEST_PROTOCOL)


def answer(asked: bytes) -> bytes:
    """What a helper makes of a piece (`read`)."""
    mapping, ends, payloads = pickle.loads(asked)
    sent = _map([payloads[start:end] for start, end in pairwise(array("i", ends))], mapping)
    return pickle.dumps(sent, pickle.HIGHEST_PROTOCOL)


def read(answered: bytes) -> list[Sent] | None:
    """The payments in columns, those of `NAMES`, one of each payload; None if one of them gave no payment."""
    found: list[Sent] | None = pickle.loads(answered)
    return found


def _map(payloads: list[bytes], mapping: MapContext) -> list[Sent] | None:
    rows = Rows()
    try:
        for payload in payloads:
            map_movement(RawRecord("", payload, 0, 0), mapping, rows)
    except (BadRecord, msgspec.DecodeError, RecursionError, *DEFECTS):
        return None
    made: list[tuple[Any, ...]] = rows.rows.get(BROUGHT.into, [])
    if not made or len(made) != len(payloads):
        return None
    columns = [*zip(*made, strict=True)]
    sent = [send(columns[place]) for place in PLACES]
    return None if any(column.kind == "plain" for column in sent) else sent


if __name__ == "__main__":
    serve(answer)
