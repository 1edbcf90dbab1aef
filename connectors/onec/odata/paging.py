"""Reading a set in pages that neither skip nor lose rows while documents are written.

Pages by `$skip` alone shift when a row before them goes. Comparing keys (`Ref_Key gt …`) isn't supported everywhere.
So documents are read from the last date on (`Date ge`), and `$skip` only passes the rows of that one date already
taken; a catalogue has no date and is skipped through. Either way every page begins with the last row of the page
before: if it isn't there, rows before it have gone, and the reader steps back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from connectors.onec.odata.client import OdataClient, Row

# How far to step back when the last row isn't where it was; when it isn't there either, back to the beginning.
STEP_BACK = 50


@dataclass(frozen=True)
class Place:
    """Where the next page begins: behind the row `last`, which stands `skip` rows deep among those since `at`."""

    at: str = ""  # Date as 1C writes it; "" = the beginning
    skip: int = 0
    last: str = ""

    def after(self, rows: Sequence[Row], skipped: int) -> Place:
        """The place behind a page that skipped so many rows."""
        last = rows[-1]
        if last.date == self.at:
            return Place(self.at, skipped + len(rows), last.key)
        return Place(last.date, sum(row.date == last.date for row in rows), last.key)


def read_set(
    client: OdataClient,
    entity_set: str,
    fields: Sequence[str],
    *,
    bounds: Sequence[str] = (),
    order: str,
    place: Place | None = None,
) -> Iterator[tuple[list[Row], Place]]:
    """Pages of a set with the place behind each. `bounds` are parts of a filter that hold throughout.

    A row may come twice when rows before it went; none that stays is missed.

    Raises:
        SourceError: a leaf of the tree.
    """
    place = place or Place()
    top = client.page_rows
    back = 1
    while True:
        skip = max(place.skip - back, 0) if place.last else 0
        rows = client.fetch_rows(
            entity_set, fields, top=top, skip=skip, filter_by=_filter(bounds, place.at), order=order
        )
        met = next((number for number, row in enumerate(rows) if row.key == place.last), None)
        if place.last and skip and met is None:
            further = min(STEP_BACK, top - 1)
            back = further if back < further else place.skip
            continue
        fresh = rows if met is None else rows[met + 1 :]
        if rows:
            place = place.after(rows, skip)
        yield fresh, place
        if len(rows) < top:
            return
        back = 1


def _filter(bounds: Sequence[str], at: str) -> str:
    parts = [*bounds, f"Date ge datetime'{at}'"] if at else list(bounds)
    return " and ".join(parts)
