"""A portal and an account full of deals, and what happens to them while they are read. The same for the same seed."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from benchmarks.leads import ACCOUNT_ID, FIRST_USER, GOODS, PIPELINE, STAGES, USER_COUNT, lead_records
from demo.amocrm import AmocrmWorld
from demo.bitrix24 import Bitrix24World
from demo.bitrix24.world import Record

ZONE = ZoneInfo("Europe/Moscow")
BEGAN = datetime(2024, 1, 9, 9, 0, tzinfo=UTC)
# Ids a portal skips: deals merged, deleted for good, made by others.
GAP = 3


def portal_with(deals: int) -> Bitrix24World:
    """Deals of a Bitrix24 portal, all other lists short or empty."""
    world = Bitrix24World(ZONE)
    world.add("users", {"ID": "1", "ACTIVE": True, "NAME": "Анна", "LAST_NAME": "Петрова", "EMAIL": "a@example.com"})
    world.add("categories", {"id": 0, "name": "Продажи", "sort": 300, "entityTypeId": 2, "isDefault": "Y"})
    for place, stage in enumerate(("NEW", "PREPARATION", "WON", "LOSE"), start=1):
        world.add(
            "statuses",
            {"ID": str(place), "ENTITY_ID": "DEAL_STAGE", "STATUS_ID": stage, "NAME": stage, "SORT": str(place * 10)},
        )
    dice = random.Random(20_251)
    for number in range(deals):
        world.add("deals", bitrix24_deal(world, number * GAP + 1, BEGAN + timedelta(minutes=number), dice))
    return world


def bitrix24_deal(world: Bitrix24World, deal_id: int, created: datetime, dice: random.Random) -> Record:
    """About 900 bytes of JSON, as a narrow select of a live portal gives."""
    stamp = world.stamp(created)
    stage = dice.choice(("NEW", "PREPARATION", "WON", "LOSE"))
    semantics = {"WON": "S", "LOSE": "F"}.get(stage, "P")
    return {
        "ID": str(deal_id),
        "TITLE": f"{dice.choice(GOODS)}: заявка № {deal_id}",
        "TYPE_ID": "SALE",
        "CATEGORY_ID": "0",
        "STAGE_ID": stage,
        "STAGE_SEMANTIC_ID": semantics,
        "OPPORTUNITY": f"{dice.randrange(1_000, 900_000)}.00",
        "CURRENCY_ID": "RUB",
        "IS_MANUAL_OPPORTUNITY": "Y",
        "TAX_VALUE": "0.00",
        "LEAD_ID": None,
        "COMPANY_ID": str(51_000 + deal_id // 2),
        "CONTACT_ID": str(41_000 + deal_id),
        "QUOTE_ID": None,
        "BEGINDATE": stamp,
        "CLOSEDATE": stamp,
        "ASSIGNED_BY_ID": "1",
        "CREATED_BY_ID": "1",
        "MODIFY_BY_ID": "1",
        "MOVED_BY_ID": "1",
        "DATE_CREATE": stamp,
        "DATE_MODIFY": stamp,
        "MOVED_TIME": stamp,
        "CLOSED": "N" if semantics == "P" else "Y",
        "IS_RECURRING": "N",
        "IS_RETURN_CUSTOMER": "N",
        "SOURCE_ID": "WEB",
        "ORIGINATOR_ID": None,
        "ORIGIN_ID": None,
        "UTM_SOURCE": "yandex",
        "UTM_MEDIUM": "cpc",
        "UTM_CAMPAIGN": None,
        "UTM_CONTENT": None,
        "UTM_TERM": None,
    }


def account_with(leads: int) -> AmocrmWorld:
    """Leads of an amoCRM account, all other lists short or empty."""
    rights = {"is_admin": True, "is_active": True}
    users = [
        {"id": FIRST_USER + n, "name": f"Менеджер {n}", "email": f"m{n}@example.com", "rights": rights}
        for n in range(USER_COUNT)
    ]
    statuses = [{"id": stage, "name": f"Этап {n}", "sort": n, "type": 0} for n, stage in enumerate(STAGES)]
    account = {
        "id": ACCOUNT_ID,
        "name": "Benchmark",
        "current_user_id": FIRST_USER,
        "country": "RU",
        "currency": "RUB",
        "is_api_filter_enabled": True,
        "_embedded": {"datetime_settings": {"timezone": "Europe/Moscow"}},
    }
    pipelines: list[Record] = [{"id": PIPELINE, "name": "Продажи", "sort": 1, "_embedded": {"statuses": statuses}}]
    world = AmocrmWorld(account=account, users=users, pipelines=pipelines)
    for lead in lead_records(leads):
        world.add("leads", lead)
    return world


class Changes:
    """People at work: so many deals a second edited, created and deleted, evenly over all ids, until stopped.

    `stayed` are the deals that were there all the time: whoever read the list must have each of them once.
    """

    def __init__(self, world: Bitrix24World | AmocrmWorld, *, per_second: int, seed: int) -> None:
        self._world = world
        self._per_second = per_second
        self._dice = random.Random(seed)
        self._ids = self._all_ids()
        self.stayed = set(self._ids)
        self._next_id = max(self._ids) + 1
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def start(self) -> None:
        if self._per_second:
            self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _work(self) -> None:
        turn = (self._edit, self._delete, self._edit, self._create)
        while not self._stop.wait(1.0 / self._per_second):
            self._dice.choice(turn)(datetime.now(UTC))

    def _all_ids(self) -> list[int]:
        if isinstance(self._world, AmocrmWorld):
            return [int(record["id"]) for record in self._world.tables["leads"]]
        return [int(record["ID"]) for record in self._world.tables["deals"]]

    def _edit(self, now: datetime) -> None:
        chosen = self._dice.choice(self._ids)
        if isinstance(self._world, AmocrmWorld):
            self._world.edit("leads", chosen, now, price=self._dice.randrange(1_000_000))
        else:
            self._world.edit("deals", chosen, now, OPPORTUNITY=f"{self._dice.randrange(1_000_000)}.00")

    def _delete(self, now: datetime) -> None:
        place = self._dice.randrange(len(self._ids))
        chosen = self._ids[place]
        self._ids[place] = self._ids[-1]
        self._ids.pop()
        self.stayed.discard(chosen)
        if isinstance(self._world, AmocrmWorld):
            self._world.delete("leads", chosen, now)
        else:
            self._world.delete("deals", chosen)

    def _create(self, now: datetime) -> None:
        if isinstance(self._world, AmocrmWorld):
            template = self._world.get("leads", self._ids[0])
            stamps = {"id": self._next_id, "created_at": int(now.timestamp()), "updated_at": int(now.timestamp())}
            self._world.add("leads", {**template, **stamps})
        else:
            self._world.add("deals", bitrix24_deal(self._world, self._next_id, now, self._dice))
        self._ids.append(self._next_id)
        self._next_id += 1


Builder = Callable[[int], Bitrix24World | AmocrmWorld]
BUILDERS: dict[str, Builder] = {"bitrix24": portal_with, "amocrm": account_with}
