"""Statements for tests, built from the few keys a test cares about."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from connectors.onec.movements import Movement, read_movement
from connectors.onec.statement import Block
from connectors.onec.survey import Survey, survey

FILES = Path(__file__).parent / "files"
OWN = "40702810600000000101"
SECOND = "40702810900000000102"
CUSTOMER = "40702810400000000201"
TRANSIT = "30233810700000000001"

EXAMPLE = (FILES / "example_cp1251.txt").read_bytes()


def document(
    number: str = "1",
    day: str = "02.02.2026",
    amount: str = "1000.00",
    *,
    payer: str = CUSTOMER,
    payee: str = OWN,
    title: str = "Платежное поручение",
    credited: str | None = None,
    debited: str | None = None,
    **more: str,
) -> list[str]:
    """A document's lines; without dates given, the own side's one is `day`."""
    if credited is None and debited is None:
        credited, debited = (day, "") if payee in (OWN, SECOND) else ("", day)
    keys = {
        "Номер": number,
        "Дата": day,
        "Сумма": amount,
        "ПлательщикСчет": payer,
        "ДатаСписано": debited or "",
        "ПолучательСчет": payee,
        "ДатаПоступило": credited or "",
        **more,
    }
    return [f"СекцияДокумент={title}", *(f"{key}={value}" for key, value in keys.items()), "КонецДокумента"]


def section(
    first: str,
    last: str,
    *,
    opening: str = "0",
    came: str = "0",
    left: str = "0",
    closing: str = "0",
    account: str = OWN,
) -> list[str]:
    return [
        "СекцияРасчСчет",
        f"ДатаНачала={first}",
        f"ДатаКонца={last}",
        f"РасчСчет={account}",
        f"НачальныйОстаток={opening}",
        f"ВсегоПоступило={came}",
        f"ВсегоСписано={left}",
        f"КонечныйОстаток={closing}",
        "КонецРасчСчет",
    ]


def statement(
    *blocks: Sequence[str],
    first: str = "01.02.2026",
    last: str = "05.02.2026",
    made: str = "06.02.2026",
    accounts: Iterable[str] = (OWN,),
    end: str = "КонецФайла",
    header: Sequence[str] = (),
) -> str:
    lines = [
        "1CClientBankExchange",
        "ВерсияФормата=1.03",
        "Кодировка=Windows",
        *header,
        *([f"ДатаСоздания={made}", "ВремяСоздания=09:00:00"] if made else []),
        f"ДатаНачала={first}",
        f"ДатаКонца={last}",
        *(f"РасчСчет={account}" for account in accounts),
        *(line for block in blocks for line in block),
    ]
    return "\r\n".join([*lines, end] if end else lines) + "\r\n"


def read(data: bytes | str, configured: Iterable[str] = ()) -> tuple[Survey, list[tuple[str, bytes, Movement]]]:
    """The judged file and its records: id, payload, and the movement that the payload tells of."""
    stream = io.BytesIO(data.encode("cp1251") if isinstance(data, str) else data)
    found = survey(stream, configured=configured)
    return found, [(record.record_id, record.payload, told(record.payload)) for record in found.records()]


def told(payload: bytes) -> Movement:
    """The movement a payload tells of."""
    record = msgspec.json.decode(payload)
    return read_movement(
        block_of(payload).particulars(),
        record["own_account"],
        record["direction"],
        is_between_own=record["is_between_own"],
    )


def block_of(payload: bytes) -> Block:
    """The document inside a payload."""
    values = msgspec.json.decode(payload)["document"]
    return Block("document", 0, 0, values.pop("СекцияДокумент"), values)


def facts(data: bytes | str, configured: Iterable[str] = ()) -> list[tuple[str, str, str]]:
    """`(own account's tail, direction, amount)` of every movement."""
    _, records = read(data, configured)
    return [(movement.own_account[-3:], movement.direction, str(movement.amount)) for _, _, movement in records]
