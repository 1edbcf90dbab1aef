"""amoCRM-like leads, rendered once: about 1.1 KB of JSON each, in the order of their `updated_at`.

Shaped after recorded answers: custom fields with Russian names, a tag, one or two contacts, a company, and the
record's own link with the list's query in it. Deterministic: the same count gives the same bytes.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

ACCOUNT_ID = 30111222
HOST = "https://example.amocrm.ru"
FIRST_SECOND = 1_600_000_000  # 2020-09-13
DAY = 86_400
FIRST_USER = 8_800_101
USER_COUNT = 20
PIPELINE = 4_001
WON, LOST = 142, 143
STAGES = (61_001, 61_002, 61_003, 61_004, WON, LOST)
# One to three records share a second, as where robots edit; 200,000 of them take five years, and so do more.
STEPS = (0, 900, 1_500)
FIVE_YEARS = 200_000
GOODS = ("Насос ЦНС-60", "Фильтр тонкой очистки", "Котёл отопительный", "Монтаж под ключ", "Сервисный договор")
CITIES = ("Казань", "Екатеринбург", "Новосибирск", "Нижний Новгород", "Краснодар")
SITES = ("yandex", "google", "vk", "direct", "telegram")


@dataclass(frozen=True)
class Leads:
    """Rendered leads: `bodies[i]` changed at Unix second `seconds[i]`; the seconds never fall."""

    bodies: list[bytes]
    seconds: list[int]


def render_leads(count: int) -> Leads:
    encode = msgspec.json.Encoder().encode
    leads = Leads([], [])
    for lead in lead_records(count):
        leads.bodies.append(encode(lead))
        leads.seconds.append(lead["updated_at"])
    return leads


def lead_records(count: int) -> Iterator[dict[str, Any]]:
    """Leads in the order of their `updated_at`."""
    chance = random.Random(20_251)
    numbers = list(range(count))
    # Ids don't follow the time of change: old deals are edited too.
    chance.shuffle(numbers)
    second = FIRST_SECOND
    steps = [step * FIVE_YEARS // max(count, FIVE_YEARS) for step in STEPS]
    for number in numbers:
        draw = _dice(number)
        second += draw(steps)
        yield _lead(number, second, draw)


def _dice(number: int) -> Callable[[Sequence[T]], T]:
    """Draws that depend on the number alone; `random.choice` took longer than everything else here."""
    state = number + 1

    def draw(choices: Sequence[T]) -> T:
        nonlocal state
        state = (state * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407) & 0xFFFF_FFFF_FFFF_FFFF
        return choices[(state >> 33) % len(choices)]

    return draw


def _lead(number: int, updated_at: int, draw: Callable[[Sequence[T]], T]) -> dict[str, Any]:
    lead_id = 31_000_000 + number
    stage = draw(STAGES)
    owner = draw(range(FIRST_USER, FIRST_USER + USER_COUNT))
    contacts = [{"id": 41_000_000 + number, "is_main": True}]
    if number % 3 == 0:
        contacts.append({"id": 42_000_000 + number, "is_main": False})
    return {
        "id": lead_id,
        "name": f"{draw(GOODS)}: заявка № {number}",
        "price": draw(range(1_000, 900_000)),
        "responsible_user_id": owner,
        "group_id": 0,
        "status_id": stage,
        "pipeline_id": PIPELINE,
        "loss_reason_id": None,
        "source_id": None,
        "created_by": 0,
        "updated_by": owner,
        "created_at": updated_at - draw(range(DAY, 40 * DAY)),
        "updated_at": updated_at,
        "closed_at": updated_at if stage in (WON, LOST) else None,
        "closest_task_at": None,
        "is_deleted": False,
        "score": None,
        "account_id": ACCOUNT_ID,
        "labor_cost": None,
        "is_price_computed": False,
        "custom_fields_values": [
            _field(501, "utm_source", "UTM_SOURCE", "tracking_data", {"value": draw(SITES)}),
            _field(601, "Номер счёта", None, "text", {"value": f"С-{number:06d}"}),
            _field(604, "Город", None, "select", {"value": draw(CITIES), "enum_id": 7_001, "enum_code": None}),
        ],
        "_links": {"self": {"href": f"{HOST}/api/v4/leads/{lead_id}?limit=250&page=1"}},
        "_embedded": {
            "tags": [{"id": 9, "name": "VIP", "color": None}],
            "companies": [{"id": 51_000_000 + number // 2}],
            "contacts": contacts,
        },
    }


def _field(field_id: int, name: str, code: str | None, kind: str, value: dict[str, object]) -> dict[str, object]:
    return {"field_id": field_id, "field_name": name, "field_code": code, "field_type": kind, "values": [value]}
