"""An amoCRM account's records in the vendor's shapes, and what may happen to them while the server runs.

Stored records carry everything any `with` may ask for; the server takes off what was not asked. Every change goes
through a method here, under the world's lock, so an answer never shows half of one.
"""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Any

from base.times import to_unix
from demo.amocrm.tables import Record, Table

CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
# The lists of records an account has, by their address below /api/v4/.
LISTS = (
    "leads",
    "contacts",
    "companies",
    "tasks",
    "events",
    "leads/notes",
    "contacts/notes",
    "companies/notes",
)
SINGULAR = {"leads": "lead", "contacts": "contact", "companies": "company", "tasks": "task"}
# All that a record in the trash still shows.
STUB_FIELDS = ("id", "updated_at", "updated_by", "is_deleted", "account_id")


class AmocrmWorld:
    """Tables of one account. `lock` is held while an answer is made and while anything changes."""

    def __init__(self, *, account: Record, users: list[Record], pipelines: list[Record]) -> None:
        self.lock = threading.RLock()
        self.account = account
        # Lists without a history, by address: the key in `_embedded` and the records.
        self.dictionaries: dict[str, tuple[str, list[Record]]] = {
            "users": ("users", users),
            "leads/pipelines": ("pipelines", pipelines),
            "leads/loss_reasons": ("loss_reasons", []),
            "leads/custom_fields": ("custom_fields", []),
            "contacts/custom_fields": ("custom_fields", []),
            "companies/custom_fields": ("custom_fields", []),
            "sources": ("sources", []),
            "leads/tags": ("tags", []),
            "catalogs": ("catalogs", []),
        }
        self.tables = {path: Table(path) for path in LISTS}
        self.trash: dict[str, Table] = {path: Table(path) for path in ("leads", "contacts", "companies")}
        self._kept: dict[tuple[str, Any], Record] = {}
        self._event_count = 0

    @property
    def users(self) -> list[Record]:
        return self.dictionaries["users"][1]

    @property
    def account_id(self) -> int:
        return int(self.account["id"])

    def open_catalog(self, catalog_id: int, kind: str, fields: list[Record] | None = None) -> str:
        """A list of the account (`invoices`, `products`, …); gives the address of its elements."""
        with self.lock:
            catalog = {"id": catalog_id, "name": f"Список {catalog_id}", "type": kind, "account_id": self.account_id}
            self.dictionaries["catalogs"][1].append(catalog)
            self.dictionaries[f"catalogs/{catalog_id}/custom_fields"] = ("custom_fields", fields or [])
            path = f"catalogs/{catalog_id}/elements"
            self.tables[path] = Table(path)
            return path

    def get(self, path: str, record_id: int) -> Record:
        record = self.tables[path].get(record_id)
        if record is None:
            raise KeyError(f"{path}/{record_id}")
        return record

    def add(self, path: str, record: Record) -> None:
        with self.lock:
            self.tables[path].put({"account_id": self.account_id, **record})

    def edit(self, path: str, record_id: int, at: datetime | None, **changes: Any) -> None:
        """Change fields. `at` becomes `updated_at`; it may lie in the past, as the API allows; None leaves it."""
        with self.lock:
            stamp = {} if at is None else {"updated_at": to_unix(at)}
            self.tables[path].put({**self.get(path, record_id), **changes, **stamp})

    def log(
        self,
        event_type: str,
        entity: str,
        entity_id: int,
        at: datetime,
        *,
        by: int = 0,
        before: Record | None = None,
        after: Record | None = None,
    ) -> str:
        """Write an entry of the event log; gives its id. `entity` is singular: lead, contact, company, task."""
        with self.lock:
            event_id = self._event_id(at)
            self.add(
                "events",
                {
                    "id": event_id,
                    "type": event_type,
                    "entity_id": entity_id,
                    "entity_type": entity,
                    "created_by": by,
                    "created_at": to_unix(at),
                    "value_after": [after] if after else [],
                    "value_before": [before] if before else [],
                    "_embedded": {"entity": {"id": entity_id}},
                },
            )
            return event_id

    def move(self, lead_id: int, status_id: int, at: datetime, *, by: int = 0) -> None:
        """A deal enters a stage of its pipeline; 142 and 143 close it."""
        with self.lock:
            lead = self.get("leads", lead_id)
            pipeline_id = lead["pipeline_id"]
            before = {"lead_status": {"id": lead["status_id"], "pipeline_id": pipeline_id}}
            after = {"lead_status": {"id": status_id, "pipeline_id": pipeline_id}}
            closed_at = to_unix(at) if status_id in (142, 143) else None
            self.edit("leads", lead_id, at, status_id=status_id, closed_at=closed_at, updated_by=by)
            self.log("lead_status_changed", "lead", lead_id, at, by=by, before=before, after=after)

    def delete(self, path: str, record_id: int, at: datetime, *, by: int = 0, is_logged: bool = True) -> None:
        """Put a record into the trash. `is_logged` False: the log misses it, only a full reading can tell."""
        with self.lock:
            record = self.tables[path].pop(record_id)
            if path in self.trash:
                stub = dict.fromkeys(record, None)
                kept = {name: record.get(name) for name in STUB_FIELDS}
                stamps = {"updated_at": to_unix(at), "updated_by": by, "is_deleted": True}
                self.trash[path].put({**stub, **kept, **stamps, "_embedded": {}})
                self._kept[path, record_id] = record
            if is_logged and path in SINGULAR:
                self.log(f"{SINGULAR[path]}_deleted", SINGULAR[path], record_id, at, by=by)

    def restore(self, path: str, record_id: int, at: datetime, *, by: int = 0) -> None:
        with self.lock:
            self.trash[path].pop(record_id)
            self.add(path, {**self._kept.pop((path, record_id)), "updated_at": to_unix(at), "updated_by": by})
            self.log(f"{SINGULAR[path]}_restored", SINGULAR[path], record_id, at, by=by)

    def purge(self, path: str, record_id: int) -> None:
        """Empty the trash of a record: nothing reports it."""
        with self.lock:
            self.trash[path].pop(record_id)
            del self._kept[path, record_id]

    def _event_id(self, at: datetime) -> str:
        """26 characters of text, the first ten from the time, as the vendor's look; the same in every run."""
        self._event_count += 1
        return _base32(to_unix(at) * 1000, 10) + _base32(self._event_count * 2_654_435_761_000_003, 16)


def _base32(value: int, length: int) -> str:
    letters = ""
    for _ in range(length):
        value, digit = divmod(value, 32)
        letters = CROCKFORD[digit] + letters
    return letters
