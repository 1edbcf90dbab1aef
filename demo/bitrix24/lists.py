"""List methods the way the portal answers them: what it drops in silence, what it refuses, what it casts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Literal

from demo.bitrix24.php import to_int
from demo.bitrix24.world import Bitrix24World, Record, Table

PAGE = 50
MULTIFIELDS = frozenset({"PHONE", "EMAIL", "WEB", "IM", "LINK"})
_KEY = re.compile(r"(?P<sign>>=|<=|!=|!|>|<|=|@|%)?(?P<name>\w+)")


class RefusedError(Exception):
    """The method answers an error."""

    def __init__(self, code: str, description: str, status: int = 400) -> None:
        super().__init__(code)
        self.code = code
        self.description = description
        self.status = status


@dataclass(frozen=True, kw_only=True)
class ListMethod:
    """`style`: classic lists drop what they don't know and cast; item lists refuse; `sorted` ones take words."""

    table: str
    style: Literal["classic", "item", "sorted", "whole"] = "classic"
    rows_key: str = ""
    scope: tuple[str, ...] = ("crm",)
    # Whose records they are by `entityTypeId`, where the method asks for it; others are no kind of this portal.
    tables: Mapping[int, str] | None = None
    # Fields that come only when they are named.
    on_demand: frozenset[str] = frozenset()
    # Fields the records have but this method does not give.
    hidden: frozenset[str] = frozenset()
    times: frozenset[str] = frozenset({"DATE_MODIFY", "DATE_CREATE"})


METHODS: dict[str, ListMethod] = {
    "crm.deal.list": ListMethod(table="deals", hidden=frozenset({"CONTACT_IDS"})),
    "crm.contact.list": ListMethod(table="contacts", on_demand=MULTIFIELDS),
    "crm.company.list": ListMethod(table="companies", on_demand=MULTIFIELDS),
    "crm.lead.list": ListMethod(table="leads", on_demand=MULTIFIELDS),
    "crm.quote.list": ListMethod(table="quotes"),
    "crm.activity.list": ListMethod(
        table="activities",
        on_demand=frozenset({"COMMUNICATIONS", "FILES"}),
        times=frozenset({"CREATED", "LAST_UPDATED", "START_TIME"}),
    ),
    "crm.stagehistory.list": ListMethod(
        table="stage_history",
        tables={1: "lead_history", 2: "stage_history", 31: "invoice_history"},
        style="item",
        rows_key="items",
        times=frozenset({"CREATED_TIME"}),
    ),
    "crm.item.list": ListMethod(
        table="deals",
        tables={2: "deals", 31: "invoices"},
        style="item",
        rows_key="items",
        times=frozenset({"updatedTime", "createdTime"}),
    ),
    "crm.type.list": ListMethod(table="types", style="item", rows_key="types"),
    "sale.payment.list": ListMethod(
        table="payments",
        style="item",
        rows_key="payments",
        scope=("sale",),
        times=frozenset({"dateBill", "datePaid"}),
    ),
    "crm.orderentity.list": ListMethod(table="order_links", style="item", rows_key="orderEntity"),
    "crm.status.list": ListMethod(table="statuses", style="whole"),
    "crm.category.list": ListMethod(table="categories", style="whole", rows_key="categories"),
    "voximplant.statistic.get": ListMethod(
        table="calls", style="sorted", scope=("telephony",), times=frozenset({"CALL_START_DATE"})
    ),
    "user.get": ListMethod(table="users", style="sorted", scope=("user", "user_basic")),
    "department.get": ListMethod(table="departments", style="sorted", scope=("department",)),
}


@dataclass
class Listed:
    """A page; `total` is None with `start=-1`."""

    rows: list[Record]
    rows_key: str
    total: int | None = None
    next: int | None = None

    def result(self) -> Any:
        return {self.rows_key: self.rows} if self.rows_key else self.rows


def answer_list(world: Bitrix24World, method: ListMethod, params: Mapping[str, Any]) -> Listed:
    """One page of a list method. Raises RefusedError."""
    words = {name.lower(): value for name, value in params.items()}
    found = _choose(world, method, words)
    if method.style == "whole":
        rows = list(found)
        return Listed(rows, method.rows_key, len(rows))
    start = to_int(words.get("start", 0))
    if start == -1:
        return Listed(_dress(list(islice(found, PAGE)), method, words), method.rows_key)
    first = start // PAGE * PAGE
    every = found if isinstance(found, Sequence) else list(found)
    rows = list(every[first : first + PAGE])
    following = first + PAGE if len(every) > first + PAGE else None
    return Listed(_dress(rows, method, words), method.rows_key, len(every), following)


def _choose(world: Bitrix24World, method: ListMethod, words: Mapping[str, Any]) -> Iterable[Record]:
    table = _table(world, method, words)
    descending = _is_descending(method, words)
    if descending is None:
        # The order was not understood: rows come in no order.
        return iter(sorted(table, key=lambda record: hash(str(record.get("ID"))) % 997))
    stated = words.get("filter")
    conditions = stated if isinstance(stated, dict) else {}
    low, high = -1, None
    checks: list[tuple[str, str, Any]] = []
    for key, value in conditions.items():
        match = _KEY.fullmatch(key)
        name = match["name"] if match else ""
        sign = (match["sign"] if match else "") or "="
        if not _is_known(method, name):
            if method.style == "item":
                raise RefusedError("INVALID_ARG_VALUE", f"Invalid filter: field '{name}' is not allowed in filter")
            continue
        if name in ("ID", "id") and sign in (">", "<="):
            if method.style == "item" and isinstance(value, list | dict):
                raise RefusedError("INVALID_ARG_VALUE", f"Invalid value {{Array}} to match with parameter {{{key}}}")
            low, high = (to_int(value), high) if sign == ">" else (low, to_int(value))
        else:
            checks.append((sign, name, value))
    chosen: Iterable[Record] = table.between(low, high, descending=descending)
    if method.tables and table is world.tables["deals"]:
        chosen = map(as_item, chosen)
    for check in checks:
        chosen = _filtered(world, chosen, method, *check)
    return chosen


def _table(world: Bitrix24World, method: ListMethod, words: Mapping[str, Any]) -> Table:
    if method.tables is None:
        return world.tables[method.table]
    if "entitytypeid" not in words:
        raise RefusedError("100", "Could not find value for parameter {entityTypeId}")
    entity_type = to_int(words["entitytypeid"])
    name = method.tables.get(entity_type, f"history_{entity_type}")
    if name not in world.tables:
        raise RefusedError("NOT_FOUND", "Smart process not found")
    return world.tables[name]


def as_item(deal: Record) -> Record:
    """A deal as the universal method gives it: numbers for ids, and all of its contacts."""
    contact_id = to_int(deal.get("CONTACT_ID") or 0)
    return {
        "id": int(deal["ID"]),
        "title": deal.get("TITLE"),
        "stageId": deal.get("STAGE_ID"),
        "contactId": contact_id or None,
        "contactIds": deal.get("CONTACT_IDS") or ([contact_id] if contact_id else []),
        "createdTime": deal.get("DATE_CREATE"),
        "updatedTime": deal.get("DATE_MODIFY"),
    }


KNOWN_NAMES = frozenset({"ID", "id", "OWNER_ID", "ACTIVE", "ASSIGNED_BY_ID", "orderId", "ownerTypeId"})


def _is_known(method: ListMethod, name: str) -> bool:
    return name in KNOWN_NAMES or name in method.times


def _is_descending(method: ListMethod, words: Mapping[str, Any]) -> bool | None:
    """None: what was sent as an order means nothing to this method."""
    order = words.get("order")
    if method.style == "sorted":
        if "sort" not in words or isinstance(order, dict | list):
            return None if isinstance(order, dict | list) else False
        return str(order).upper() == "DESC"
    if not isinstance(order, dict):
        return False
    return str(next(iter(order.values()), "ASC")).upper() == "DESC"


def _filtered(
    world: Bitrix24World, records: Iterable[Record], method: ListMethod, sign: str, name: str, value: Any
) -> Iterable[Record]:
    if name not in method.times:
        wanted = set(map(str, value)) if isinstance(value, list) else {str(value)}
        return (record for record in records if str(record.get(name)) in wanted)
    try:
        bound = datetime.fromisoformat(str(value))
    except ValueError:
        # A date that can't be read becomes `false`: the filter is not there.
        return records
    if bound.tzinfo is None:
        bound = bound.replace(tzinfo=world.zone)
    elif world.finds_naive_times_only and method.style == "item":
        return ()
    return (record for record in records if _holds(record.get(name), sign, bound))


def _holds(stated: Any, sign: str, bound: datetime) -> bool:
    if not stated:
        return False
    moment = datetime.fromisoformat(stated)
    return {
        ">=": moment >= bound,
        "<=": moment <= bound,
        ">": moment > bound,
        "<": moment < bound,
        "=": moment == bound,
    }.get(sign, True)


def _dress(rows: list[Record], method: ListMethod, words: Mapping[str, Any]) -> list[Record]:
    """The fields asked for. Unknown names are ignored; a field on demand is absent where a row has none."""
    select = words.get("select")
    if not isinstance(select, list) or not select:
        unnamed = method.on_demand | method.hidden
        return [{name: value for name, value in row.items() if name not in unnamed} for row in rows]
    named = set(select)
    return [
        {
            name: value
            for name, value in row.items()
            if (name in named and name not in method.hidden)
            or ("UF_*" in named and name.startswith("UF_"))
            or ("*" in named and not name.startswith("UF_") and name not in method.on_demand | method.hidden)
        }
        for row in rows
    ]
