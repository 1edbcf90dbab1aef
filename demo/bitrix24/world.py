"""A portal's records in the vendor's shapes, and what may happen to them while the server runs."""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time
from typing import Any, overload
from zoneinfo import ZoneInfo

Record = dict[str, Any]
TABLES = (
    *("users", "departments", "statuses", "categories", "deals", "stage_history", "contacts", "companies", "leads"),
    *("activities", "calls", "quotes", "invoices", "payments", "order_links", "types"),
    *("lead_history", "invoice_history"),
)
# Records with stages besides deals: the table of their stage history, and how it names a stage.
HISTORIES = {"leads": ("lead_history", "STATUS"), "invoices": ("invoice_history", "STAGE")}
CHANGED = {"activities": "LAST_UPDATED", "invoices": "updatedTime"}
FINAL = {"S": 3, "F": 3}
CREATED, MOVED, TO_PIPELINE = 1, 2, 5


class Table:
    """Records by id, in order of ids. Not locked: the world's lock guards it."""

    def __init__(self) -> None:
        self._records: dict[int, Record] = {}
        self._ids: list[int] = []
        self._is_sorted = True

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records.values())

    def __getitem__(self, record_id: int) -> Record:
        return self._records[record_id]

    def __contains__(self, record_id: int) -> bool:
        return record_id in self._records

    def put(self, record_id: int, record: Record) -> None:
        if record_id not in self._records:
            self._is_sorted = self._is_sorted and (not self._ids or record_id > self._ids[-1])
            self._ids.append(record_id)
        self._records[record_id] = record

    def pop(self, record_id: int) -> Record:
        self._sort()
        del self._ids[bisect_left(self._ids, record_id)]
        return self._records.pop(record_id)

    def between(self, low: int, high: int | None, *, descending: bool) -> Sequence[Record]:
        """Records with low < id <= high, lazily: a page far down costs no more than the first."""
        self._sort()
        first = bisect_right(self._ids, low)
        last = len(self._ids) if high is None else bisect_right(self._ids, high)
        places = range(last - 1, first - 1, -1) if descending else range(first, last)
        return _Span(self._records, self._ids, places)

    def _sort(self) -> None:
        if not self._is_sorted:
            self._ids.sort()
            self._is_sorted = True


class _Span(Sequence[Record]):
    def __init__(self, records: dict[int, Record], ids: list[int], places: range) -> None:
        self._records = records
        self._ids = ids
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, place: int) -> Record: ...
    @overload
    def __getitem__(self, place: slice) -> list[Record]: ...
    def __getitem__(self, place: int | slice) -> Record | list[Record]:
        if isinstance(place, slice):
            return [self._records[self._ids[at]] for at in self._places[place]]
        return self._records[self._ids[self._places[place]]]


class Bitrix24World:
    """Tables of one portal. `lock` is held while an answer is made and while anything changes."""

    def __init__(self, zone: ZoneInfo) -> None:
        self.lock = threading.RLock()
        self.zone = zone
        self.tables = {name: Table() for name in TABLES}
        self.deal_fields: dict[str, Record] = {}
        # The same of other kinds: contact, company, lead, quote.
        self.other_fields: dict[str, dict[str, Record]] = {}
        # Some portals are said to find nothing in item lists by a time with an offset.
        self.finds_naive_times_only = False
        self._last_entry = 90_000

    def stamp(self, moment: datetime) -> str:
        """A datetime with the server's offset."""
        return moment.astimezone(self.zone).isoformat(timespec="seconds")

    def stamp_day(self, day: date) -> str:
        """A date: UTC's midnight as the server's clock shows it, so on the day before west of Greenwich."""
        return self.stamp(datetime.combine(day, time(0), UTC))

    def add(self, table: str, record: Record) -> None:
        with self.lock:
            if table == "order_links":
                # They have no id: an order may hang on a deal and on an invoice.
                self.tables[table].put(int(record["orderId"]) * 100 + int(record["ownerTypeId"]), record)
                return
            key = next(name for name in ("ID", "id") if name in record)
            self.tables[table].put(int(record[key]), record)

    def edit(self, table: str, record_id: int, at: datetime | None, **changes: Any) -> None:
        """Change fields. `at` becomes the time of change; None leaves it."""
        with self.lock:
            field = CHANGED.get(table, "DATE_MODIFY")
            stamped = {} if at is None else {field: self.stamp(at)}
            self.tables[table].put(record_id, {**self.tables[table][record_id], **changes, **stamped})

    def delete(self, table: str, record_id: int) -> None:
        """Nothing tells it; a record's history goes with it."""
        with self.lock:
            self.tables[table].pop(record_id)
            history = "stage_history" if table == "deals" else HISTORIES.get(table, ("", ""))[0]
            if history:
                own = [int(e["ID"]) for e in self.tables[history] if int(e["OWNER_ID"]) == record_id]
                for entry_id in own:
                    self.tables[history].pop(entry_id)

    def enter(self, deal_id: int, stage_id: str, semantics: str, at: datetime, *, is_new: bool = False) -> None:
        """An entry of the stage history."""
        with self.lock:
            history = self.tables["stage_history"]
            self._last_entry += 1
            entry_id = self._last_entry
            deal = self.tables["deals"][deal_id]
            history.put(
                entry_id,
                {
                    "ID": entry_id,
                    "TYPE_ID": CREATED if is_new else FINAL.get(semantics, MOVED),
                    "OWNER_ID": deal_id,
                    "CREATED_TIME": self.stamp(at),
                    "CATEGORY_ID": int(deal["CATEGORY_ID"]),
                    "STAGE_SEMANTIC_ID": semantics,
                    "STAGE_ID": stage_id,
                },
            )

    def enter_record(
        self, table: str, record_id: int, stage_id: str, semantics: str, at: datetime, *, is_new: bool = False
    ) -> None:
        """An entry of the history of a lead or invoice; each history counts its entries by itself."""
        with self.lock:
            name, word = HISTORIES[table]
            history = self.tables[name]
            entry: Record = {
                "ID": len(history) + 1,
                "TYPE_ID": CREATED if is_new else FINAL.get(semantics, MOVED),
                "OWNER_ID": record_id,
                "CREATED_TIME": self.stamp(at),
                f"{word}_SEMANTIC_ID": semantics,
                f"{word}_ID": stage_id,
            }
            category = self.tables[table][record_id].get("categoryId")
            while entry["ID"] in history:
                entry["ID"] += 1
            history.put(entry["ID"], entry if category is None else {**entry, "CATEGORY_ID": category})

    def move(self, deal_id: int, stage_id: str, semantics: str, at: datetime) -> None:
        """A deal enters a stage of its pipeline."""
        with self.lock:
            self.edit(
                "deals",
                deal_id,
                at,
                STAGE_ID=stage_id,
                STAGE_SEMANTIC_ID=semantics,
                MOVED_TIME=self.stamp(at),
                CLOSED="N" if semantics == "P" else "Y",
            )
            self.enter(deal_id, stage_id, semantics, at)
