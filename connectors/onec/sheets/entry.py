"""A row of a table as it is stored, and what identifies it.

A document of accounting is known by its number and day (numbering restarts every year), so a corrected sheet changes
the row that is there and an overlapping one adds nothing. Rows without a number are known by all that they say. Equal
rows of one table are twins: the n-th gets ordinal n.
"""

from __future__ import annotations

import datetime
import re
from collections import Counter
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b

import msgspec

from connectors.onec.movements import iso_of
from connectors.onec.sheets.settings import Kind

_LEGAL_FORM = re.compile(r"\b(?:ООО|ОАО|ЗАО|ПАО|АО|ИП|ТОО|НКО|АНО|ГУП|МУП)\b|[\"«»'“”„]", re.IGNORECASE)

_UNPRINTED = re.compile(r"[^\w/-]+")


class Entry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A row understood. Money of a payment is positive, `direction` has its sign;
    of other kinds it is signed."""

    kind: Kind
    amount: Decimal
    date: datetime.date | None = None  # when money moved; the document's day; the day a debt stood
    direction: str | None = None  # in, out
    document_type: str | None = None
    number: str | None = None
    payment_order: str | None = None
    document_on: datetime.date | None = None
    counterparty: str | None = None
    tax_id: str | None = None
    account: str | None = None
    corr_account: str | None = None  # of the chart of accounts: 62.01
    own_account: str | None = None
    organisation: str | None = None
    purpose: str | None = None
    operation: str | None = None
    currency: str | None = None
    invoice: str | None = None
    contract: str | None = None
    order: str | None = None
    deal: str | None = None
    deal_source: str | None = None
    due_on: datetime.date | None = None
    is_gone: bool = False  # its file no longer states it (removed.py); of such an entry only the kind means anything


class StoredRow(Entry, kw_only=True, omit_defaults=True):
    """An entry as it is stored: with the row's cells as they stand, by caption. Mapping reads it as an `Entry`."""

    cells: dict[str, str] = {}


_ENCODER = msgspec.json.Encoder(order="deterministic")


def payload_of(entry: StoredRow) -> bytes:
    """The entry as it is kept. No file and no line, so that its copy in an overlapping table is the same payload."""
    return _ENCODER.encode(entry)


def gone_payload(kind: Kind) -> bytes:
    """What stands for a row that its file no longer states."""
    return _ENCODER.encode(Entry(kind=kind, amount=Decimal(0), is_gone=True))


@lru_cache(maxsize=8192)
def same_name(name: str | None) -> str:
    """A counterparty's name as it compares: `ООО "Ромашка"` and `РОМАШКА ООО` are one."""
    return " ".join(sorted(_LEGAL_FORM.sub(" ", (name or "").casefold().replace("ё", "е")).split()))


def natural_key(entry: Entry) -> bytes:
    """What makes rows of two tables the same record, as a digest."""
    day = entry.document_on or entry.date
    if entry.number and entry.kind != "receivables":
        # The amount stays out: correcting it must not make a second record.
        text = (
            f"{entry.kind}\x1f{'' if day is None else iso_of(day)}\x1f{entry.number.lstrip('0')}"
            f"\x1f{same_name(entry.organisation)}\x1f{entry.direction or ''}"
            f"\x1f{(entry.document_type or '').casefold()}"
        )
        return blake2b(text.encode(), digest_size=8).digest()
    parts: tuple[object, ...] = (entry.kind, day, (entry.number or "").lstrip("0"), same_name(entry.organisation))
    if entry.kind == "receivables":
        parts += (entry.date, same_name(entry.counterparty), entry.contract, entry.document_type)
    else:
        parts += (
            entry.direction, entry.amount, same_name(entry.counterparty), entry.tax_id, entry.purpose, entry.invoice,
            entry.deal, entry.own_account,
        )  # fmt: skip
    text = "\x1f".join(["" if part is None else part if isinstance(part, str) else str(part) for part in parts])
    return blake2b(text.encode(), digest_size=8).digest()


class Identities:
    """Record ids of one table's entries, in its order."""

    def __init__(self) -> None:
        self._twins: Counter[bytes] = Counter()

    def of(self, entry: Entry) -> str:
        """`2026-02-02_ТП00-000031_9f3c2a7b1d0e4c55`; the second of twins ends in `.2`."""
        key = natural_key(entry)
        number = entry.number or ""
        if number and not number.isalnum():
            number = _UNPRINTED.sub("", number)
        count = self._twins[key] = self._twins[key] + 1
        day = entry.document_on or entry.date
        return f"{iso_of(day) if day else entry.kind}_{number}_{key.hex()}{f'.{count}' if count > 1 else ''}"
