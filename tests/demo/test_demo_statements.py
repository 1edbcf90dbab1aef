"""The written statements say what the story says, through the real reader."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from base.clock import FakeClock
from connectors.onec.mapping import PAYMENTS
from connectors.onec.settings import OnecSettings
from connectors.onec.streams import CONNECTOR
from connectors.stream import MapContext, Page, RawRecord, Request, Rows, Runtime
from demo.company import build_company
from demo.statements import write_statements
from demo.story import Payment, Story

MOSCOW = ZoneInfo("Europe/Moscow")
OWN, SECOND = "40702810600000000101", "40702810900000000102"


def paid(number: str, day: int, amount: str, purpose: str = "Оплата по счету № 1", **keys: Any) -> Payment:
    keys = {"payer": "ООО «А»", "payer_tax_id": "7700000001", "payer_account": "40702810400000000201", **keys}
    return Payment(number=number, paid_on=date(2026, 11, day), amount=Decimal(amount), purpose=purpose, **keys)


def fixture() -> Story:
    """P1 to P7 of the reference fixture, and what makes statements hard."""
    return Story(
        name="ООО «Пример»",
        timezone="Europe/Moscow",
        tax_id="7701234567",
        own_account=OWN,
        second_account=SECOND,
        pipeline_id=1,
        pipeline_name="Продажи",
        stages=[],
        managers=[],
        deals=[],
        calls=[],
        notes=[],
        tasks=[],
        payments=[
            paid("1", 12, "100000"),
            paid("2", 11, "60000"),
            paid("3", 20, "40000"),
            paid("4", 24, "150000"),
            paid("5", 9, "90000"),
            paid("6", 25, "-30000", "Возврат по п/п 5 от 09.11.2026"),
            paid("7", 26, "20000", "Оплата"),
            paid("8", 17, "15000.55", "Операции с картами", payer_account="30233810700000000001"),
            paid("9", 16, "-290", "Комиссия", payer_account="70601810000000000001"),
            paid("9", 16, "-290", "Комиссия", payer_account="70601810000000000001"),
            paid("10", 16, "-5000", "Перевод", payer_account=SECOND, is_own_transfer=True, payer_tax_id="7701234567"),
            paid("11", 30, "7000", "В день рассказа"),
        ],
        opened_at=datetime(2026, 9, 1, tzinfo=UTC),
        told_at=datetime(2026, 11, 30, 12, 0, tzinfo=MOSCOW),
    )


def load(story: Story, folder: Path) -> list[Page]:
    runtime = Runtime(source="acc", clock=FakeClock(story.told_at), zone=MOSCOW, state_dir=folder)
    with CONNECTOR.open(OnecSettings(type="onec", path=str(folder)), runtime) as client:
        request = Request(position=None, start=None, end=client.now())
        return list(CONNECTOR.stream("statements").fetch(client, request))


def rows_of(pages: list[Page]) -> list[dict[str, Any]]:
    settings = OnecSettings(type="onec", path="x")
    context = MapContext(source="acc", settings=settings, zone=MOSCOW, country="RU", currency="RUB")
    stored = {record_id: data for page in pages for record_id, data in zip(page.ids, page.payloads, strict=True)}
    rows = Rows()
    stream = CONNECTOR.stream("statements")
    assert stream.map is not None
    for record_id, data in stored.items():
        stream.map(RawRecord(record_id, data, 1, 1), context, rows)
    return [dict(zip(PAYMENTS.columns, row, strict=True)) for row in rows.rows[PAYMENTS]]


def test_the_reference_payments_come_back_from_overlapping_files(tmp_path: Path) -> None:
    paths = write_statements(fixture(), tmp_path)
    pages = load(fixture(), tmp_path)
    assert len(paths) == 3
    assert len(pages[-1].ids) > 13  # the overlap holds some twice
    rows = rows_of(pages)
    assert sorted((row["document_number"], row["amount"], row["kind"]) for row in rows) == sorted(
        [
            ("1", Decimal("100000.00"), "customer"),
            ("2", Decimal("60000.00"), "customer"),
            ("3", Decimal("40000.00"), "customer"),
            ("4", Decimal("150000.00"), "customer"),
            ("5", Decimal("90000.00"), "customer"),
            ("6", Decimal("-30000.00"), "refund"),
            ("7", Decimal("20000.00"), "customer"),
            ("8", Decimal("15000.55"), "customer"),
            ("9", Decimal("-290.00"), "other"),
            ("9", Decimal("-290.00"), "other"),
            ("10", Decimal("-5000.00"), "own_transfer"),
            ("10", Decimal("5000.00"), "own_transfer"),
            ("11", Decimal("7000.00"), "customer"),
        ]
    )


def test_balances_tie_and_data_is_complete_until_the_day_before(tmp_path: Path) -> None:
    write_statements(fixture(), tmp_path)
    pages = load(fixture(), tmp_path)
    assert [reject for page in pages for reject in page.rejects] == []
    assert pages[-1].complete_until == datetime(2026, 11, 30, tzinfo=MOSCOW)


def test_files_are_what_a_bank_sends_and_the_same_every_time(tmp_path: Path) -> None:
    first = [path.read_bytes() for path in write_statements(fixture(), tmp_path / "1")]
    second = [path.read_bytes() for path in write_statements(fixture(), tmp_path / "2")]
    assert first == second
    assert all(data.startswith(b"1CClientBankExchange\r\n") for data in first)
    assert all("КонецФайла\r\n".encode("cp1251") == data[-12:] for data in first)


def test_the_demo_company_loses_no_payment(tmp_path: Path) -> None:
    story = build_company(deals=60)
    write_statements(story, tmp_path)
    pages = load(story, tmp_path)
    assert [reject for page in pages for reject in page.rejects] == []
    told = story.told_at.astimezone(MOSCOW).date()
    expected = sorted((payment.paid_on, payment.amount) for payment in story.payments if payment.paid_on <= told)
    own = [row for row in rows_of(pages) if row["own_account"] == story.own_account]
    assert sorted((row["paid_on"], row["amount"]) for row in own) == expected
