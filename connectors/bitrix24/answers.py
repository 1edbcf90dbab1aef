"""Answers decoded once: the envelope in full, of each record only its id and time. Records stay the vendor's bytes.

PHP writes an empty object as `[]`; every object here may be a list. A row list comes bare or under one key, by the
method's own table, never guessed by shape.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

import msgspec

from base.errors import ProtocolError
from base.text import say
from base.times import to_micros
from connectors.bitrix24.values import Scalar, as_int, as_micros
from connectors.decode import as_bad_record, decode_record
from connectors.stream import BadRecord, Reject

PAGE = 50
NULL = msgspec.Raw(b"null")


class Timing(msgspec.Struct):
    """`time` of an answer. `operating` is already the sum of the method's ten minutes; boxes leave it out."""

    date_start: str | None = None
    duration: float | None = None
    operating: float | None = None
    operating_reset_at: int | float | str | None = None

    @property
    def started_at(self) -> datetime | None:
        """The server's clock when it began, with its own offset."""
        try:
            moment = datetime.fromisoformat(self.date_start or "")
        except ValueError:
            return None
        return moment if moment.tzinfo is not None else None

    @property
    def resets_at(self) -> float | None:
        """Unix seconds at which the operating budget is released, None where it is not told."""
        stated = self.operating_reset_at
        if isinstance(stated, str):
            micros = as_micros(stated, "$.time.operating_reset_at")
            return None if micros is None else micros / 1e6
        return float(stated) if stated else None


class Failure(msgspec.Struct):
    """An error of a request or a command: its code may be empty, a number or a sentence."""

    error: Scalar = None
    error_description: Scalar = None

    @property
    def code(self) -> str:
        return "" if self.error is None else str(self.error)

    @property
    def detail(self) -> str:
        return "" if self.error_description is None else str(self.error_description)


class Envelope(msgspec.Struct):
    result: msgspec.Raw = NULL
    next: Scalar = None
    total: Scalar = None
    time: Timing | list[Any] | None = None
    error: Scalar | msgspec.UnsetType = msgspec.UNSET
    error_description: Scalar = None

    @property
    def timing(self) -> Timing:
        return self.time if isinstance(self.time, Timing) else Timing()

    @property
    def failure(self) -> Failure | None:
        """An error in the body, which may come with status 200."""
        return None if self.error is msgspec.UNSET else Failure(self.error, self.error_description)


class _Batch(msgspec.Struct):
    result: dict[str, msgspec.Raw] | list[msgspec.Raw] | None = None
    result_error: dict[str, Failure] | list[Failure] | None = None
    result_next: dict[str, Scalar] | list[Scalar] | None = None
    result_time: dict[str, Timing] | list[Any] | None = None


@dataclass(frozen=True, kw_only=True)
class BatchAnswer:
    """Results and errors by command. A command in neither was not carried out."""

    results: dict[str, msgspec.Raw]
    failures: dict[str, Failure]
    # Errors that lost their keys: PHP turns a map with numbers for keys into a list.
    loose_failures: list[Failure]
    next_starts: dict[str, int]
    timings: dict[str, Timing]
    timing: Timing


@dataclass(frozen=True, slots=True)
class Row:
    """A record of a page. `time` is microseconds, 0 where the listing states none."""

    id: int
    time: int
    payload: bytes


@dataclass
class RowPage:
    """A page as it came; `count` includes rows that could not be read: only 50 of them mean that more may follow."""

    rows: list[Row] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    count: int = 0
    # Ids known to be there whose records could not be read.
    skipped: list[int] = field(default_factory=list)


_ENVELOPE = msgspec.json.Decoder(Envelope)
_BATCH = msgspec.json.Decoder(_Batch)
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


@contextmanager
def documented(source: str, method: str) -> Iterator[None]:
    """Turns a result unlike the documentation into a ProtocolError that names the method, never the result."""
    try:
        yield
    except msgspec.DecodeError as error:
        raise ProtocolError(
            say(
                "{source}: ответ {method} не такой, как в документации: {detail}",
                "{source}: the answer of {method} is not as documented: {detail}",
                source=source,
                method=method,
                detail=str(error),
            ),
            say("Сообщите разработчикам voronka.", "Tell voronka's developers."),
        ) from None


def read_envelope(body: bytes) -> Envelope:
    """Raises msgspec.DecodeError for anything but an answer's envelope."""
    return _ENVELOPE.decode(body)


def read_batch(envelope: Envelope) -> BatchAnswer:
    """Raises msgspec.DecodeError when the parts are not as documented."""
    parts = _BATCH.decode(envelope.result)
    errors = parts.result_error
    nexts = parts.result_next if isinstance(parts.result_next, dict) else {}
    return BatchAnswer(
        results=parts.result if isinstance(parts.result, dict) else {},
        failures=errors if isinstance(errors, dict) else {},
        loose_failures=errors if isinstance(errors, list) else [],
        next_starts={key: start for key, value in nexts.items() if (start := as_int(value)) is not None},
        timings=parts.result_time if isinstance(parts.result_time, dict) else {},
        timing=envelope.timing,
    )


def read_raws(result: msgspec.Raw, key: str) -> list[msgspec.Raw]:
    """The records of a list answer: `result` itself, or its member `key`. `[]` is an empty object too."""
    if bytes(result)[:1] != b"{":
        return _LIST.decode(result)
    return _LIST.decode(_OBJECT.decode(result).get(key, msgspec.Raw(b"[]")))


def read_rows(result: msgspec.Raw, key: str, id_field: str, time_field: str) -> RowPage:
    """The records of a page; those without a readable id become rejects."""
    raws = read_raws(result, key)
    page = RowPage(count=len(raws))
    decoder = _head_decoder(id_field, time_field)
    for raw in raws:
        payload = bytes(raw)
        try:
            head = decode_record(decoder, payload)
            number = as_int(head.id)
            if number is None:
                raise BadRecord("no_id", say("нет id", "no id"), path=f"$.{id_field}")
            time = as_micros(head.time, f"$.{time_field}") if time_field else 0
        except msgspec.ValidationError as error:
            page.rejects.append(_reject(as_bad_record(error), payload))
        except BadRecord as verdict:
            page.rejects.append(_reject(verdict, payload))
        else:
            page.rows.append(Row(number, time or 0, payload))
    return page


def server_micros(timing: Timing) -> int | None:
    return None if timing.started_at is None else to_micros(timing.started_at)


def _reject(reason: BadRecord, payload: bytes) -> Reject:
    return Reject(
        record_id="",
        code=reason.code,
        message=reason.message,
        path=reason.path,
        expected=reason.expected,
        got=reason.got,
        payload=payload,
    )


@cache
def _head_decoder(id_field: str, time_field: str) -> msgspec.json.Decoder[Any]:
    fields = [("id", Scalar, None), ("time", Scalar, None)]
    head = msgspec.defstruct("Head", fields, rename={"id": id_field, "time": time_field or "no time is read"})
    return msgspec.json.Decoder(head)
