"""Quick servers of a large company on loopback: amoCRM with its event log, and Zadarma. Nothing is computed but pages.

`python -m benchmarks.whole_servers amocrm --deals 1000000` or `zadarma --deals N --calls M`: a process of its own each,
so that its CPU is not counted. It prints one line of JSON, its address and the truth of what it serves, and ends with
its standard input. Records are rendered before the address is told.

The company: three years, evenly. Every deal has a contact with a phone and three events of the log (made, moved to its
stage, given to its owner); calls go to and fro between the contacts and 20 extensions.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec

from benchmarks.leads import FIRST_USER, PIPELINE, STAGES, USER_COUNT, Leads, lead_records
from benchmarks.server import API, Account, Answering, Connection

FIRST = int(datetime(2023, 11, 20, tzinfo=UTC).timestamp())
UNTIL = int(datetime(2026, 11, 20, tzinfo=UTC).timestamp())
# Those who can't read a zone's rules are told its offset.
MOSCOW = timezone(timedelta(hours=3))
WALL = "%Y-%m-%d %H:%M:%S"
EVENTS_A_DEAL = 3
FIRST_EXTENSION = 100

Query = dict[str, list[str]]


def spread(number: int, count: int) -> int:
    """The Unix second of a record: evenly over the three years."""
    return FIRST + number * (UNTIL - FIRST) // count


def phone_of(contact: int) -> str:
    return f"79{contact:09}"


# ── amoCRM ──────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Listed:
    """A list by the time of its records: `bodies[i]` at Unix second `seconds[i]`."""

    key: str
    most: int
    time: str  # the field that its filter is of
    bodies: Sequence[bytes]
    seconds: Sequence[int]

    def page(self, path: str, query: Query, base: str) -> bytes | None:
        page = int(query.get("page", ["1"])[0])
        limit = min(int(query.get("limit", ["50"])[0]), self.most)
        low = bisect_left(self.seconds, int(query.get(f"filter[{self.time}][from]", ["0"])[0]))
        high = bisect_right(self.seconds, int(query.get(f"filter[{self.time}][to]", [str(UNTIL)])[0]))
        first = low + (page - 1) * limit
        rows = self.bodies[first : min(first + limit, high)]
        if not rows:
            return None
        link = f"{base}{API}{path}?limit={limit}&page="
        links = f'"self":{{"href":"{link}{page}"}}'
        if first + limit < high:
            links += f',"next":{{"href":"{link}{page + 1}"}}'
        head = f'{{"_page":{page},"_links":{{{links}}},"_embedded":{{"{self.key}":['
        return head.encode() + b",".join(rows) + b"]}}"


class Crm:
    def __init__(self, deals: int) -> None:
        self._rest = Account(Leads([], []))
        self.amount = 0
        leads, contacts, seconds = [], [], []
        events: list[tuple[int, bytes]] = []
        encode = msgspec.json.Encoder().encode
        for place, lead in enumerate(lead_records(deals)):
            second = spread(place, deals)
            _move(lead, second)
            self.amount += lead["price"]
            seconds.append(second)
            leads.append(encode(lead))
            contacts.append(encode(_contact(lead, second)))
            events += _events(lead, place)
        events.sort()
        self._lists = {
            "leads": Listed("leads", 250, "updated_at", leads, seconds),
            "contacts": Listed("contacts", 250, "updated_at", contacts, seconds),
            "events": Listed("events", 100, "created_at", [body for _, body in events], [at for at, _ in events]),
        }

    def answer(self, path: str, query: Query, base: str) -> bytes | None:
        found = self._lists.get(path)
        if found is None:
            return self._rest.answer(path, query, base)
        return None if "only_deleted" in query.get("with", []) else found.page(path, query, base)


def _move(lead: dict[str, Any], second: int) -> None:
    """Into the three years, at the distances its times have from each other."""
    lead["created_at"] = max(lead["created_at"] - lead["updated_at"] + second, FIRST)
    lead["updated_at"] = second
    if lead["closed_at"] is not None:
        lead["closed_at"] = second


def _contact(lead: dict[str, Any], second: int) -> dict[str, Any]:
    contact_id = lead["_embedded"]["contacts"][0]["id"]
    phone = {"value": f"+{phone_of(contact_id % 1_000_000_000)}", "enum_id": 1, "enum_code": "WORK"}
    field = {"field_id": 701, "field_name": "Телефон", "field_code": "PHONE", "field_type": "multitext"}
    return {
        "id": contact_id,
        "name": f"Покупатель {contact_id}",
        "responsible_user_id": lead["responsible_user_id"],
        "created_at": lead["created_at"],
        "updated_at": second,
        "is_deleted": False,
        "custom_fields_values": [{**field, "values": [phone]}],
        "_embedded": {"tags": [], "companies": []},
    }


_EVENT = (
    b'{"id":"01h%022d","type":"%s","entity_id":%d,"entity_type":"lead","created_by":%d,"created_at":%d,'
    b'"value_after":[%s],"value_before":[%s],"account_id":30111222}'
)
_STATUS = b'{"lead_status":{"id":%d,"pipeline_id":%d}}'
_USER = b'{"responsible_user":{"id":%d}}'


def _events(lead: dict[str, Any], place: int) -> Iterator[tuple[int, bytes]]:
    lead_id, owner, made, second = (lead[name] for name in ("id", "responsible_user_id", "created_at", "updated_at"))
    first = FIRST_USER + (owner + 1 - FIRST_USER) % USER_COUNT
    told = (
        (b"lead_added", made, b"", b""),
        (
            b"lead_status_changed",
            second,
            _STATUS % (lead["status_id"], PIPELINE),
            _STATUS % (STAGES[0] if lead["status_id"] != STAGES[0] else STAGES[1], PIPELINE),
        ),
        (b"entity_responsible_changed", (made + second) // 2, _USER % owner, _USER % first),
    )
    for number, (kind, at, after, before) in enumerate(told):
        event = place * EVENTS_A_DEAL + number
        yield at, _EVENT % (event, kind, lead_id, owner, at, after, before)


# ── Zadarma ─────────────────────────────────────────────────────────────────────────────────────────────────────


class Telephony:
    """A leg a call; its phone is that of a contact of about the same time."""

    def __init__(self, deals: int, calls: int) -> None:
        self._calls = calls
        self.talk_seconds = 0
        self._rows = [self._row(number, 41_000_000 + number * 7 % deals) for number in range(calls)]

    def _row(self, number: int, contact: int) -> bytes:
        at = spread(number, self._calls)
        extension, phone = FIRST_EXTENSION + number % USER_COUNT, phone_of(contact)
        is_in, seconds = number % 3 == 0, 0 if number % 4 == 0 else 5 + number * 7_919 % 600
        self.talk_seconds += seconds
        clid, destination = (phone, extension) if is_in else (f"({extension})", phone)
        return (
            f'{{"call_id":"{at}.{number}","sip":"{extension}","callstart":"{_wall(at)}","clid":"{clid}",'
            f'"destination":"{destination}","disposition":"{"answered" if seconds else "no answer"}",'
            f'"seconds":{seconds},"is_recorded":"{"true" if seconds else "false"}",'
            f'"pbx_call_id":"{"in" if is_in else "out"}_{number:040x}"}}'
        ).encode()

    def answer(self, path: str, query: Query, base: str) -> bytes | None:
        if path.endswith("/statistics/pbx/"):
            return self._page(query)
        numbers = [FIRST_EXTENSION + place for place in range(USER_COUNT)]
        info = [{"number": "74951234567", "number_name": "Линия"}]
        return json.dumps({"status": "success", "pbx_id": 1234, "numbers": numbers, "info": info}).encode()

    def _page(self, query: Query) -> bytes:
        (start,), (end,) = query["start"], query["end"]
        low = bisect_left(range(self._calls), _second(start), key=self._at)
        high = bisect_right(range(self._calls), _second(end), key=self._at)
        first = low + int(query["skip"][0])
        rows = self._rows[first : min(first + int(query["limit"][0]), high)]
        head = f'{{"status":"success","start":"{start}","end":"{end}","version":2,"stats":['
        return head.encode() + b",".join(rows) + b"]}"

    def _at(self, number: int) -> int:
        return spread(number, self._calls)


def _wall(second: int) -> str:
    return datetime.fromtimestamp(second, MOSCOW).strftime(WALL)


def _second(wall: str) -> int:
    return int(datetime.strptime(wall, WALL).replace(tzinfo=MOSCOW).timestamp())


# ── the process ─────────────────────────────────────────────────────────────────────────────────────────────────


def build(chosen: argparse.Namespace) -> tuple[Answering, dict[str, int]]:
    """Who answers, and the truth of what is served."""
    if chosen.vendor == "amocrm":
        crm = Crm(chosen.deals)
        return crm, {
            "deals": chosen.deals,
            "contacts": chosen.deals,
            "events": chosen.deals * EVENTS_A_DEAL,
            "amount": crm.amount,
        }
    telephony = Telephony(chosen.deals, chosen.calls)
    return telephony, {"calls": chosen.calls, "talk_seconds": telephony.talk_seconds}


async def serve(chosen: argparse.Namespace) -> None:
    answering, truth = build(chosen)
    counts = [0]
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(answering, counts), "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    print(json.dumps({"url": f"http://{host}:{port}", "truth": truth}), flush=True)
    async with server:
        # The parent's end of the pipe closes when it ends, however it ends.
        await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("vendor", choices=("amocrm", "zadarma"))
    parser.add_argument("--deals", type=int, required=True)
    parser.add_argument("--calls", type=int, default=0)
    asyncio.run(serve(parser.parse_args()))
