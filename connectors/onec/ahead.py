"""Payments of a large statement mapped by helper processes while it lands: a stretch's `rows`.

Nothing but time depends on it: what can't be mapped here, or was a helper's that died, is mapped from the log, and if
need be rejected there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from concurrent.futures import Future
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from typing import NamedTuple

import pyarrow as pa

from base.columns import Column, array_on
from base.helpers import Crew, HelperError
from base.wire import Sent
from connectors.onec import payments
from connectors.onec.side_by_side import StartCrew
from connectors.onec.spool import Stretch
from connectors.stream import MapContext

# Handed out before the oldest of them is taken back: a megabyte each, and no helper waits for its next one.
AHEAD = 4
# A payment in a page's `rows`; amounts are texts until they are given the core's types.
PAYMENT = pa.struct([(name, pa.date32() if name.endswith("_on") else pa.string()) for name in payments.NAMES])


def with_payments(
    stretches: Generator[Stretch, None, None], start: StartCrew, mapping: MapContext
) -> Generator[Stretch, None, None]:
    """The same stretches in their order, with their payments where they could be mapped."""
    with closing(stretches), ExitStack() as helpers:
        crew: Crew | None = None
        # Without room for processes it takes longer, that is all.
        with suppress(HelperError):
            crew = helpers.enter_context(start())
        if crew is None:
            yield from stretches
            return
        sendable, waiting = mapping.for_helpers(), deque[_Waiting]()
        for stretch in stretches:
            if len(stretch.ids):
                _, ends, data = stretch.payloads.array.buffers()
                asked = payments.ask(sendable, ends.to_pybytes(), data.to_pybytes())
                waiting.append(_Waiting(stretch, crew.submit(asked)))
            if len(waiting) > AHEAD:
                yield _taken(*waiting.popleft())
        while waiting:
            yield _taken(*waiting.popleft())


class _Waiting(NamedTuple):
    stretch: Stretch
    answer: Future[bytes]


def _taken(stretch: Stretch, answer: Future[bytes]) -> Stretch:
    try:
        sent = payments.read(answer.result())
    except HelperError:
        return stretch
    return stretch if sent is None else replace(stretch, rows=_rows(sent))


def _rows(sent: list[Sent]) -> Column[object] | None:
    texts = [column._replace(kind="text") if column.kind == "decimal" else column for column in sent]
    arrays = [array_on(column, field.type) for column, field in zip(texts, PAYMENT, strict=True)]
    if any(array is None for array in arrays):
        return None
    return Column(pa.StructArray.from_arrays(arrays, fields=[*PAYMENT]))
