"""A page of an amoCRM list decoded once: the envelope in full, of each record only what paging needs.

The records stay the vendor's own bytes, but for one thing: inside a list a record's own link repeats the list's
query (`…/leads/7?limit=250&page=1`), so the same record would look new in every reading. That query is taken off.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec

from base.text import say
from base.times import MICROS, from_unix
from connectors.decode import as_bad_record
from connectors.stream import BadRecord, Page, Position, Reject

# The field by which a list is read; "" where its records have no such time.
TimeField = Literal["updated_at", "created_at", ""]


class _Link(msgspec.Struct):
    href: str = ""


class _Links(msgspec.Struct):
    self_: _Link | None = msgspec.field(default=None, name="self")
    next: _Link | None = None


class _Head(msgspec.Struct):
    """What paging must know of a record. Events carry text ids, everything else integers."""

    id: int | str
    updated_at: int | None = None
    created_at: int | None = None
    is_deleted: bool | None = None


_HEAD = msgspec.json.Decoder(_Head)
_HREF = b'"href":'
# The year 10000, in Unix seconds.
END_OF_TIME = 253_402_300_800
# Old accounts send numbers as text here and there.
_LOOSE_HEAD = msgspec.json.Decoder(_Head, strict=False)


class Row(NamedTuple):
    """A record of a page. `time` is the Unix second by which its stream is read, 0 where it states none."""

    id: str
    time: int
    payload: bytes
    is_deleted: bool


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One page as it came. `limit` is the one the server says it used, None where it does not say."""

    rows: list[Row] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    has_next: bool = False
    limit: int | None = None

    @property
    def is_empty(self) -> bool:
        return not self.rows and not self.rejects


EMPTY = Answer()


def read_answer(response: httpx.Response, key: str, time_field: TimeField) -> Answer:
    """Decode a list answer. 204, or an empty body, is an empty page.

    Raises:
        msgspec.DecodeError: no JSON, or not a list envelope.
    """
    if response.status_code == 204 or not response.content:
        return EMPTY
    envelope = _envelope_decoder(key).decode(response.content)
    links = envelope.links if isinstance(envelope.links, _Links) else _Links()
    embedded = envelope.embedded
    raws: list[msgspec.Raw] = [] if embedded is None or isinstance(embedded, list) else embedded.records or []
    rows, rejects = _read_rows(raws, time_field)
    return Answer(
        rows=rows,
        rejects=rejects,
        has_next=links.next is not None and bool(links.next.href),
        limit=_limit_in_force(links.self_),
    )


def strip_link_queries(payload: bytes) -> bytes:
    """A record without the list's query in its own links (`"href"` values end before their `?`).

    Searched by hand: a regular expression took as long as everything else done to a record here. Inside a text
    value the quotes around `"href"` would be escaped, so none can be mistaken for a link.
    """
    query = payload.find(b"?")
    if query < 0:
        return payload
    # Nearly always one link has all the question marks there are.
    opening = payload.rfind(b'"', 0, query)
    if payload.endswith(_HREF, 0, max(opening, 0)):
        closing = payload.find(b'"', query)
        if closing > 0 and payload.find(b"?", closing) < 0:
            return payload[:query] + payload[closing:]
    return _strip_each(payload)


def _strip_each(payload: bytes) -> bytes:
    """The same for any number of links, and question marks elsewhere."""
    parts = payload.split(b'"href"')
    is_changed = False
    for place in range(1, len(parts)):
        part = parts[place]
        opening = part.find(b'"')
        closing = part.find(b'"', opening + 1)
        query = part.find(b"?", opening, closing)
        if 0 <= opening < query < closing and part[:opening].strip() == b":":
            parts[place] = part[:query] + part[closing:]
            is_changed = True
    return b'"href"'.join(parts) if is_changed else payload


def as_page(rows: list[Row], rejects: list[Reject], *, timed: bool, position: Position | None) -> Page:
    """Rows in columns. `timed`: their time is their version and cursor; else both are unknown."""
    times = [row.time * MICROS for row in rows] if timed else [0] * len(rows)
    return Page(
        ids=[row.id for row in rows],
        payloads=[row.payload for row in rows],
        versions=times,
        cursors=list(times),
        rejects=rejects,
        position=position,
        # Positions of amoCRM's lists hold one second, before which everything is read.
        reached_at=from_unix(next(iter(position.values()))) if position else None,
    )


def _read_rows(raws: list[msgspec.Raw], time_field: TimeField) -> tuple[list[Row], list[Reject]]:
    rows: list[Row] = []
    rejects: list[Reject] = []
    is_by_update = time_field == "updated_at"
    for raw in raws:
        payload = strip_link_queries(bytes(raw))
        try:
            head = _HEAD.decode(raw)
        except msgspec.ValidationError:
            try:
                head = _LOOSE_HEAD.decode(raw)
            except msgspec.ValidationError as error:
                rejects.append(_reject(as_bad_record(error), payload))
                continue
        time = head.updated_at if is_by_update else head.created_at
        if time is None and time_field:
            path = f"$.{time_field}"
            message = say("нет поля {path}", "no field {path}", path=path)
            rejects.append(_reject(BadRecord("missing_field", message, path=path), payload))
            continue
        if abs(time or 0) >= END_OF_TIME:
            path = f"$.{time_field}"
            message = say("{path}: не время", "{path}: no time", path=path)
            verdict = BadRecord("bad_time", message, path=path, expected="Unix seconds", got=str(time)[:40])
            rejects.append(_reject(verdict, payload))
            continue
        rows.append(Row(str(head.id), time or 0, payload, head.is_deleted is True))
    return rows, rejects


def _reject(reason: BadRecord, payload: bytes) -> Reject:
    try:
        stated = msgspec.json.decode(payload)
    except msgspec.DecodeError:
        stated = None
    record_id = stated.get("id") if isinstance(stated, dict) else None
    return Reject(
        record_id=str(record_id) if record_id is not None else "",
        code=reason.code,
        message=reason.message,
        path=reason.path,
        expected=reason.expected,
        got=reason.got,
        payload=payload,
    )


def _limit_in_force(link: _Link | None) -> int | None:
    if link is None:
        return None
    stated = parse_qs(urlsplit(link.href).query).get("limit", [""])[0]
    return int(stated) if stated.isdecimal() and len(stated) < 10 else None


@cache
def _envelope_decoder(key: str) -> msgspec.json.Decoder[Any]:
    """A decoder of `{"_links": …, "_embedded": {key: [records as raw bytes]}}`."""
    embedded = msgspec.defstruct("Embedded", [("records", list[msgspec.Raw] | None, None)], rename={"records": key})
    # PHP writes an empty object as [].
    kinds = [
        ("links", _Links | list[Any] | None, None),
        ("embedded", embedded | list[Any] | None, None),
    ]
    envelope = msgspec.defstruct("Envelope", kinds, rename={"links": "_links", "embedded": "_embedded"})
    return msgspec.json.Decoder(envelope)
