"""List methods the way the portal answers them: what it drops in silence, what it refuses, what it casts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Literal

from demo.bitrix24.php import to_int
from demo.bitrix24.world import Bitrix24World, Record

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
    # Fields that come only when they are named.
    on_demand: frozenset[str] = frozenset()
    times: frozenset[str] = frozenset({"DATE_MODIFY", "DATE_CREATE"})


METHODS: dict[str, ListMethod] = {
    "crm.deal.list": ListMethod(table="deals"),
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
        table="stage_history", style="item", rows_key="items", times=frozenset({"CREATED_TIME"})
    ),
    "crm.item.list": ListMethod(
        table="invoices", style="item", rows_key="items", times=frozenset({"updatedTime", "createdTime"})
    ),
    "sale.payment.list": ListMethod(table="payments", style="item", rows_key="payments", scope=("sale",)),
    "crm.orderentity.list": ListMethod(table="order_links", style="whole", rows_key="orderEntity"),
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
    every = list(found)
    rows = every[first : first + PAGE]
    following = first + PAGE if len(every) > first + PAGE else None
    return Listed(_dress(rows, method, words), method.rows_key, len(every), following)


def _choose(world: Bitrix24World, method: ListMethod, words: Mapping[str, Any]) -> Iterator[Record]:
    table = world.tables[method.table]
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
    chosen = table.between(low, high, descending=descending)
    for check in checks:
        chosen = _filtered(chosen, method, *check)
    return chosen


def _is_known(method: ListMethod, name: str) -> bool:
    return name in ("ID", "id", "OWNER_ID", "ACTIVE", "ASSIGNED_BY_ID", "ownerTypeId") or name in method.times


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


def _filtered(records: Iterator[Record], method: ListMethod, sign: str, name: str, value: Any) -> Iterator[Record]:
    if name not in method.times:
        return (record for record in records if str(record.get(name)) == str(value))
    try:
        bound = datetime.fromisoformat(str(value))
    except ValueError:
        # A date that can't be read becomes `false`: the filter is not there.
        return records
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
        return [{name: value for name, value in row.items() if name not in method.on_demand} for row in rows]
    named = set(select)
    return [
        {
            name: value
            for name, value in row.items()
            if name in named
            or ("UF_*" in named and name.startswith("UF_"))
            or ("*" in named and not name.startswith("UF_") and name not in method.on_demand)
        }
        for row in rows
    ]
