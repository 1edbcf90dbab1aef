"""A batch: pages of one stream in columns, waiting to be landed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from base.columns import Growing, size_of
from connectors.stream import Page, Position, Reject, payload_hash


@dataclass
class Batch:
    """Pages of one stream waiting for one commit."""

    ids: Growing[str] = field(default_factory=Growing)
    payloads: Growing[bytes] = field(default_factory=Growing)
    versions: Growing[int] = field(default_factory=Growing)
    cursors: Growing[int] = field(default_factory=Growing)
    origins: Growing[str | None] = field(default_factory=Growing)
    hashes: Growing[bytes] = field(default_factory=Growing)
    rows: Growing[Any] = field(default_factory=Growing)  # Page.rows
    deleted: list[str] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    # Where reading may resume, and how many records must be stored for it.
    rests: list[tuple[int, Position]] = field(default_factory=list)
    size: int = 0  # bytes of payload

    @property
    def position(self) -> Position | None:
        return self.rests[-1][1] if self.rests else None

    def add(self, page: Page) -> None:
        self.ids += page.ids
        self.payloads += page.payloads
        self.versions += page.versions
        self.cursors += page.cursors
        self.origins += page.origins or [None] * len(page.ids)
        self.hashes += map(payload_hash, page.payloads) if page.hashes is None else page.hashes
        self.rows += [None] * len(page.ids) if page.rows is None else page.rows
        self.deleted += page.deleted
        self.rejects += page.rejects
        if page.position is not None:
            self.rests.append((len(self.ids), page.position))
        self.size += size_of(page.payloads)

    def split(self, count: int) -> tuple[Batch, Batch]:
        """The first `count` records and the others. Rejects go first, tombstones last, behind what they may end."""
        first = Batch(
            **{name: column[:count] for name, column in self._columns.items()},
            rejects=self.rejects,
            rests=[rest for rest in self.rests if rest[0] <= count and not self.deleted],
        )
        others = Batch(
            **{name: column[count:] for name, column in self._columns.items()},
            deleted=self.deleted,
            rests=[(max(held - count, 0), position) for held, position in self.rests[len(first.rests) :]],
        )
        others.size = size_of(others.payloads)
        first.size = self.size - others.size
        return first, others

    def as_table(self, fetched_at: int) -> pa.Table:
        """The batch as Arrow columns; the same payload twice in a row is one record."""
        versions = self.versions.arrow(pa.int64())
        is_dated = pc.not_equal(versions, 0)
        table = pa.table(
            {
                "record_id": self.ids.arrow(pa.string()),
                "version": pc.if_else(is_dated, versions, fetched_at),
                "is_dated": is_dated,
                "cursor": self.cursors.arrow(pa.int64()),
                "origin": self.origins.arrow(pa.string()),
                "payload_hash": self.hashes.arrow(pa.binary()),
                "payload": _as_texts(self.payloads),
            }
        )
        if pc.count_distinct(table["record_id"]).as_py() != len(table):
            table = table.take(pa.array(_without_repeats(self.ids, self.hashes), pa.int64()))
        # From 1; what is left out as known leaves a gap in `seq`, which only orders.
        return table.append_column("place", pa.array(range(1, len(table) + 1), pa.int64()))

    @property
    def _columns(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if isinstance(value, Growing)}

    @property
    def is_empty(self) -> bool:
        return not (self.ids or self.deleted or self.rejects or self.position is not None)


def _as_texts(payloads: Growing[bytes]) -> pa.ChunkedArray:
    """By way of binary: checking UTF-8 of all at once takes half the time. What is known as text is not checked."""
    return payloads.arrow(pa.string(), through=pa.binary())


def _without_repeats(ids: Iterable[str], hashes: Iterable[bytes]) -> list[int]:
    last: dict[str, bytes] = {}
    kept = []
    for place, (record_id, digest) in enumerate(zip(ids, hashes, strict=True)):
        if last.get(record_id) != digest:
            kept.append(place)
        last[record_id] = digest
    return kept
