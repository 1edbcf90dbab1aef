"""List methods as data, and how each one is asked for a page after an id.

`start=-1` is in every request: counting costs a large portal minutes. Classic lists drop filters they do not know
without a word, and `voximplant.statistic.get` ignores an `order` object: it has words of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from connectors.bitrix24.answers import PAGE
from connectors.bitrix24.php import Param

LAST_PLACE = PAGE - 1


@dataclass(frozen=True, kw_only=True)
class Listing:
    """`rows_key` is the member that holds the list in this method's result, "" where the result is the list."""

    method: str
    select: tuple[str, ...] = ()
    id_field: str = "ID"
    time_field: str = ""  # by which its records change; their version
    rows_key: str = ""
    words: Literal["order", "sort"] = "order"
    params: Mapping[str, Param] = field(default_factory=dict)
    # Put before ids where the core's key says the kind, so that tombstones find their rows.
    prefix: str = ""
    # Whether its records have user fields (`UF_*`), which come only when they are asked for.
    user_fields: bool = True
    # Item methods refuse a reference that leads nowhere; classic ones take it for 1 or 0 and start anew.
    stops_at_garbage: bool = False

    def page(
        self,
        bounds: Mapping[str, Param],
        *,
        after: int | str,
        upto: int | None = None,
        descending: bool = False,
        select: tuple[str, ...] | None = None,
    ) -> dict[str, Param]:
        """Parameters of the page of ids in (after, upto]."""
        name = self.id_field
        wanted: dict[str, Param] = {**bounds, f">{name}": after}
        if upto is not None:
            wanted[f"<={name}"] = upto
        direction = "DESC" if descending else "ASC"
        asked: dict[str, Param] = dict(self.params)
        if self.words == "order":
            asked |= {"order": {name: direction}, "filter": wanted}
        else:
            asked |= {"SORT": name, "ORDER": direction, "FILTER": wanted}
        chosen = self.select if select is None else select
        if chosen and self.select:
            asked["select"] = list(chosen)
        return {**asked, "start": -1}

    def counted(self) -> dict[str, Param]:
        """Parameters of a page that tells how many records there are: counting costs the portal, so ask seldom."""
        asked = self.page({}, after=0, select=(self.id_field,))
        return {**asked, "start": 0}

    def ids_alone(self) -> Listing:
        """The same list with nothing but ids: the cheapest way to learn what still exists."""
        return replace(self, select=(self.id_field,), time_field="", user_fields=False)

    def last_id_of(self, key: str) -> str:
        """A reference to the last id of a full page, made by an earlier command of the same batch."""
        place = f"[{self.rows_key}]" if self.rows_key else ""
        return f"$result[{key}]{place}[{LAST_PLACE}][{self.id_field}]"
