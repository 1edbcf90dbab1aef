"""What a list request asks for: page, limit, order, filters, `with`, read the way amoCRM reads them (PHP style)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from demo.amocrm.tables import Record
from demo.http import HttpRequest

_FILTER = re.compile(r"filter\[(?P<name>\w+)\](?:\[(?P<part>\w*)\])?")
_ORDER = re.compile(r"order\[(?P<name>\w+)\]")
TIME_FIELDS = ("updated_at", "created_at", "closed_at", "complete_till")
LARGEST_LIMIT = {"events": 100}
CLAMPED_LIMIT = 50


class BadQueryError(Exception):
    """The server answers 400."""


@dataclass
class Query:
    page: int = 1
    limit: int = 50
    order: tuple[str, bool] | None = None  # field, is descending
    with_: frozenset[str] = frozenset()
    bounds: dict[str, tuple[int | None, int | None]] = field(default_factory=dict)
    values: dict[str, set[str]] = field(default_factory=dict)

    def predicate(self) -> Callable[[Record], bool] | None:
        """What the value filters leave; None when there are none."""
        if not self.values:
            return None
        checks: list[tuple[str, set[str]]] = [(_FIELDS.get(name, name), wanted) for name, wanted in self.values.items()]
        return lambda record: all(_as_text(record.get(name)) in wanted for name, wanted in checks)


# Filters whose name is not the record's.
_FIELDS = {"entity": "entity_type", "task_type": "task_type_id"}


def read_query(request: HttpRequest, path: str) -> Query:
    """The query of a list. A `limit` above the maximum gives 50 rows, as the real server was seen to do."""
    query = Query()
    for name, value in request.query:
        if name == "page":
            query.page = max(1, int(value))
        elif name == "limit":
            query.limit = int(value)
        elif name == "with":
            query.with_ = frozenset(value.split(","))
        elif match := _ORDER.fullmatch(name):
            query.order = (match["name"], value == "desc")
        elif match := _FILTER.fullmatch(name):
            _add_filter(query, match["name"], match["part"], value)
    if query.limit > LARGEST_LIMIT.get(path, 250):
        query.limit = CLAMPED_LIMIT
    if "entity_id" in query.values and len(query.values["entity_id"]) > 10 and path == "events":
        raise BadQueryError("filter.entity_id")
    return query


def _add_filter(query: Query, name: str, part: str | None, value: str) -> None:
    if name in TIME_FIELDS:
        low, high = query.bounds.get(name, (None, None))
        # A bare value means "from".
        query.bounds[name] = (low, int(value)) if part == "to" else (int(value), high)
        return
    query.values.setdefault(name, set()).update(value.split(","))


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value))
    return str(value)
