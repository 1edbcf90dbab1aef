"""CommerceML: files that can't be trusted, documents that leave things out, and what of them is money."""

from __future__ import annotations

import io
import shutil
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from odata_office import MOSCOW, NOW, Books, map_row, rows_of

from base.clock import FakeClock
from connectors.onec.commerceml.exchange import DEEPEST, LONGEST_VALUE, Document, Exchange
from connectors.onec.commerceml.mapping import map_document
from connectors.onec.commerceml.reader import CommercemlReader, formed_micros, payload, record_id_of
from connectors.onec.folder import FoundFile
from connectors.onec.refusal import FileRefusal
from connectors.onec.settings import OnecSettings
from connectors.stream import BadRecord
from demo.company import build_company
from demo.onec.commerceml import customer, document, exchange, write_exchange
from flows.project import Source
from flows.steps.replay import replay
from flows.steps.sync import SyncReport, sync

FILES = Path(__file__).parent / "files"
EXAMPLE = (FILES / "orders_cml208_utf8.xml").read_bytes()
FORMED = datetime(2026, 11, 3, 9, 0, tzinfo=UTC)


def order(own_id: str = "1001", **values: Any) -> str:
    known = {"Номер": own_id, "Дата": "2026-11-01", "Роль": "Продавец", "Валюта": "RUB", "Сумма": "100.00"}
    return document(own_id, "Заказ товара", **{**known, **customer("ООО Ромашка", "0055667788"), **values})


def payment(own_id: str = "p1", operation: str = "Выплата безналичных денег", **values: Any) -> str:
    known = {"Номер": "31", "Дата": "2026-11-02", "Роль": "Продавец", "Валюта": "RUB", "Сумма": "100.00"}
    return document(own_id, operation, **{**known, **customer("ООО Ромашка", "0055667788"), **values})


def file_of(*documents: str, formed_at: datetime = FORMED, **options: Any) -> bytes:
    return exchange(documents, formed_at=formed_at, **options)


def read(content: bytes) -> list[Document]:
    return list(Exchange(io.BytesIO(content)).documents())


def judged(content: bytes) -> list[str]:
    """Record ids of a file the reader takes."""
    reader = CommercemlReader(OnecSettings(type="onec", path="/x"), MOSCOW)
    file = FoundFile("orders.xml", Path("orders.xml"), len(content), 0)
    return [name for records in reader.judge(file, io.BytesIO(content)).records for name in records.ids]


def mapped(content: bytes, relation: str, column: str = "amount") -> list[dict[str, Any]]:
    return [row for found in read(content) for row in rows_of(map_row(map_document, payload(found)), relation, column)]


# ── files ───────────────────────────────────────────────────────────────────────────────────────────────────────


# A file without its first line, so that a document type may stand there.
UNDECLARED = file_of(order()).partition(b"\n")[2]


def nested(depth: int) -> bytes:
    inner = "".join(f"<Уровень{n}>" for n in range(depth)) + "".join(f"</Уровень{n}>" for n in reversed(range(depth)))
    return file_of(f"<Документ>{inner}</Документ>")


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>' + UNDECLARED, "xml_doctype"),
        (b'<!DOCTYPE x SYSTEM "file:///etc/passwd">' + UNDECLARED, "xml_doctype"),
        (file_of(order()).replace(b"2026-11-01", b"&undeclared;"), "damaged_xml"),
        (nested(DEEPEST + 5), "xml_too_deep"),
        (nested(50_000), "xml_too_deep"),
        (file_of(f"<Документ Длинный='{'x' * (LONGEST_VALUE + 10)}'/>"), "xml_too_long"),
        (file_of(f"<Документ><Ид>{'x' * (LONGEST_VALUE + 10)}</Ид></Документ>"), "xml_too_long"),
        (b"<" + "а".encode() * 4 * LONGEST_VALUE, "xml_too_long"),
        (file_of(order()).replace("</Документ>".encode(), "</Заказ>".encode()), "damaged_xml"),
        (b"<Other/>", "not_commerceml"),
        (file_of("<Каталог><Ид>1</Ид></Каталог>"), "no_documents"),
        (EXAMPLE[:-30], "damaged_xml"),
    ],
    ids=[
        "billion laughs", "external entity", "unknown entity", "deep", "very deep", "huge attribute", "huge text",
        "huge name", "wrong end tag", "foreign root", "catalogue", "cut",
    ],
)  # fmt: skip
def test_a_dangerous_or_damaged_file_is_refused_whole_with_its_line(content: bytes, code: str) -> None:
    """Memory and entities are how XML attacks; what breaks off must not be loaded by half."""
    with pytest.raises(FileRefusal) as refused:
        judged(content)
    assert refused.value.code == code
    assert refused.value.path.startswith("line ")
    assert refused.value.remedy


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.77, 0.9, 0.999])
def test_a_file_cut_anywhere_gives_nothing_and_says_so(share: float) -> None:
    """Its first documents are whole: loaded, they would look like all there is."""
    cut = EXAMPLE.rstrip()[: int(len(EXAMPLE.rstrip()) * share)]
    with pytest.raises(FileRefusal) as refused:
        judged(cut)
    assert refused.value.code == "damaged_xml"
    assert f"line {len(cut.splitlines())}" == refused.value.path


def test_an_exchange_without_documents_is_a_quiet_day() -> None:
    assert judged(file_of()) == []


@pytest.mark.parametrize("encoding", ["utf-8", "windows-1251", "utf-16", "utf-8-sig"])
def test_encodings_that_are_declared(encoding: str) -> None:
    content = file_of(order(Комментарий="Ёлка")).decode().replace("utf-8", encoding.removesuffix("-sig"), 1)
    (found,) = read(content.encode(encoding))
    assert found.values["Комментарий"] == "Ёлка"


@pytest.mark.parametrize(
    ("declared", "real"), [("windows-1251", "utf-8"), ("utf-8", "windows-1251"), ("UTF-8", "cp866")]
)
def test_a_lying_declaration_is_not_believed(declared: str, real: str) -> None:
    """Sites convert files and leave the first line as it was."""
    content = file_of(order(Комментарий="Привет")).decode().replace('"utf-8"', f'"{declared}"', 1)
    (found,) = read(content.encode(real))
    assert found.values["Комментарий"] == "Привет"


def test_a_real_file_of_a_site() -> None:
    """CommerceML 2.03 in cp1251 without a namespace; sums of goods stand deeper than the order's own."""
    content = (FILES / "cml203_orders_cp1251.xml").read_bytes()
    assert judged(content) == ["order:20"]
    (row,) = mapped(content, "core.orders")
    assert (row["amount"], row["customer_name"], row["issued_on"]) == (
        Decimal("9683.42"),
        "Петр Петров",
        date(2007, 10, 16),
    )
    assert mapped(content, "core.payments") == []  # «Заказ оплачен» is a word of the site, no money


def test_documents_in_containers_and_inside_others_know_their_order() -> None:
    """Version 3 puts a payment beside its order and leaves `Основание` empty."""
    container = f"<Контейнер>{payment('p1')}{order('1001')}</Контейнер>"
    inner = payment("p2").replace("Документ>", "ПодчиненныйДокумент>")
    outer = order("1002").replace("</Документ>", f"<ПодчиненныеДокументы>{inner}</ПодчиненныеДокументы></Документ>")
    content = file_of(container, outer, payment("p3", Основание="1003"))
    orders = {row["payment_id"]: row["order_id"] for row in mapped(content, "core.payments")}
    assert orders == {"p1": "1001", "p2": "1002", "p3": "1003"}
    assert [row["order_id"] for row in mapped(content, "core.orders")] == ["1001", "1002"]


def test_a_document_without_an_id_is_a_reject_and_the_others_load() -> None:
    content = file_of(order("1"), "<Документ><Номер>7</Номер></Документ>", order("2"))
    reader = CommercemlReader(OnecSettings(type="onec", path="/x"), MOSCOW)
    found = reader.judge(FoundFile("orders.xml", Path("orders.xml"), 1, 0), io.BytesIO(content))
    assert [name for records in found.records for name in records.ids] == ["order:1", "order:2"]
    assert [reject.code for reject in found.rejects] == ["no_id"]


def test_equal_ids_of_an_order_and_its_payment_are_two_records() -> None:
    assert [record_id_of(found) for found in read(file_of(order("7"), payment("7")))] == ["order:7", "payment:7"]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-02-06T09:00:00", datetime(2026, 2, 6, 6, tzinfo=UTC)),
        ("2008-03-28", datetime(2008, 3, 27, 21, tzinfo=UTC)),
        ("", None),
        ("вчера", None),
    ],
)
def test_a_version_is_the_moment_the_file_was_formed(text: str, moment: datetime | None) -> None:
    assert formed_micros(text, MOSCOW) == (int(moment.timestamp()) * 1_000_000 if moment else 0)


# ── documents ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_example_comes_to_what_its_page_says() -> None:
    """1001 paid and partly returned, 1002 half paid in spite of its payment date, 1003 unpaid (`T`), 1004 deleted."""
    paid: dict[str, Decimal] = {}
    for row in mapped(EXAMPLE, "core.payments"):
        paid[row["order_id"]] = paid.get(row["order_id"], Decimal(0)) + row["amount"]
    assert paid == {"1001": Decimal("100000.00"), "1002": Decimal("61000.00")}
    orders = {row["order_id"]: (row["number"], row["amount"]) for row in mapped(EXAMPLE, "core.orders")}
    assert orders["1001"] == ("ТП00-000123", Decimal("122000.00"))
    assert orders["1004"] == ("ТП00-000126", Decimal("9800.50"))
    deleted = {row["order_id"]: row["is_deleted"] for row in mapped(EXAMPLE, "core.orders", "is_deleted")}
    assert deleted == {"1001": False, "1002": False, "1003": False, "1004": True}


@pytest.mark.parametrize(
    ("operation", "role", "amount", "kind"),
    [
        ("Выплата безналичных денег", "Продавец", "100.00", "customer"),
        ("Выплата наличных денег", "Продавец", "100.00", "customer"),
        ("Эквайринговая операция", "Продавец", "100.00", "customer"),
        ("Возврат безналичных денег", "Продавец", "-100.00", "refund"),
        ("Выплата безналичных денег", "Покупатель", "-100.00", "other"),
        ("Возврат безналичных денег", "Плательщик", "100.00", "other"),
        ("выплата  безналичных денег", "", "100.00", "customer"),
    ],
)
def test_direction_follows_operation_and_role(operation: str, role: str, amount: str, kind: str) -> None:
    """The word means a pay-out, but it is the customer who pays the seller."""
    (row,) = mapped(file_of(payment(operation=operation, Роль=role)), "core.payments")
    assert (row["amount"], row["kind"], row["channel"]) == (Decimal(amount), kind, "commerceml")


@pytest.mark.parametrize(
    ("properties", "is_deleted"),
    [
        ({}, False),
        ({"Оплачен": "true"}, False),
        ({"Оплачен": "false"}, True),
        ({"Проведен": "false"}, True),
        ({"ПометкаУдаления": "true"}, True),
        ({"ПометкаУдаления": "false", "Отменен": "true"}, True),
    ],
)
def test_a_payment_document_stands_unless_it_says_otherwise(properties: dict[str, str], is_deleted: bool) -> None:
    """Flags are text, and "false" is a text like any other."""
    content = file_of(payment(properties=properties))
    (row,) = mapped(content, "core.payments", "is_deleted")
    assert row["is_deleted"] is is_deleted


def test_an_order_that_is_called_paid_brings_no_money() -> None:
    properties = {"Заказ оплачен": "true", "Оплачен": "true", "Дата оплаты по 1С": "2026-11-02T00:00:00"}
    assert mapped(file_of(order(properties=properties)), "core.payments") == []


def test_an_update_without_a_sum_changes_nothing_but_can_take_the_order_back() -> None:
    """A missing element means unchanged: read as zero, it would empty the order."""
    partial = document("1001", "Заказ товара", properties={"Статус заказа": "К выполнению"})
    assert map_row(map_document, payload(*read(file_of(partial)))).rows == {}
    taken_back = document("1001", "Заказ товара", ПометкаУдаления="true")
    rows = map_row(map_document, payload(*read(file_of(taken_back))))
    assert [row for made in rows.rows.values() for row in made] == [("1001", True)]


def test_what_we_buy_and_what_is_no_sale_is_kept_raw_only() -> None:
    content = file_of(order(Роль="Покупатель"), document("2", "Счет-фактура", Сумма="1"), document("3", "Прочие"))
    assert [map_row(map_document, payload(found)).rows for found in read(content)] == [{}, {}, {}]


def test_shipments_and_returns_are_sales_documents() -> None:
    values = {"Дата": "2026-11-02", "Сумма": "10", "Роль": "Продавец", "Основание": "1001"}
    content = file_of(document("s", "Отпуск товара", **values), document("r", "Возврат товара", **values))
    rows = mapped(content, "core.sales_documents")
    assert [(row["document_id"], row["amount"], row["order_id"]) for row in rows] == [
        ("s", Decimal("10.00"), "1001"),
        ("r", Decimal("-10.00"), "1001"),
    ]


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"Сумма": "много"}, "bad_amount"),
        ({"Сумма": "-5"}, "bad_amount"),
        ({"Дата": "01.11.2026"}, "bad_date"),
        ({"Валюта": "у.е."}, "unknown_currency"),
        ({"ХозОперация": "Обмен валюты"}, "unknown_operation"),
    ],
)
def test_what_cannot_be_read_is_rejected_by_name(values: dict[str, str], code: str) -> None:
    (found,) = read(file_of(order()))
    with pytest.raises(BadRecord) as refused:
        map_row(map_document, payload(Document({**found.values, **values}, 1)))
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("operation", "accounts", "own"),
    [
        ("Выплата безналичных денег", ["40702 810 6 0000 0000101"], "40702810600000000101"),
        ("Выплата наличных денег", ["40702810600000000101"], None),
        ("Выплата безналичных денег", ["40702810600000000101", "40702810900000000102"], None),
    ],
)
def test_the_only_own_account_is_where_bank_money_came_to(operation: str, accounts: list[str], own: str | None) -> None:
    """Without it the copy in a statement is not known for one; cash has none, and of two nobody knows which."""
    (found,) = read(file_of(payment(operation=operation)))
    settings = OnecSettings(type="onec", path="/x", own_accounts=accounts)
    rows = map_row(map_document, payload(found), settings=settings)
    assert rows_of(rows, "core.payments", "amount")[0]["own_account"] == own


# ── through the engine ──────────────────────────────────────────────────────────────────────────────────────────


class Folder(Books):
    """A warehouse that reads a folder."""

    @property
    def exports(self) -> Path:
        return self.folder / "exports"

    @property
    def project(self) -> Any:
        settings = OnecSettings(type="onec", path=str(self.exports))
        return replace(super().project, sources={"books": Source(name="books", type="onec", settings=settings)})

    def sync(self, **options: Any) -> SyncReport:
        self.clock.advance(3600)
        return sync(self.project, clock=self.clock, **options)

    def put(self, name: str, content: bytes) -> None:
        (self.exports / name).write_bytes(content)


@pytest.fixture
def folder(tmp_path: Path, empty_files: Path) -> Folder:
    shutil.copytree(empty_files, tmp_path / "var", dirs_exist_ok=True)
    (tmp_path / "exports").mkdir()
    server: Any = None
    return Folder(tmp_path, server, FakeClock(NOW))


def test_one_bad_file_is_told_once_and_the_others_load(folder: Folder) -> None:
    """A cut file, a bomb and an exchange of another format each get their own message."""
    folder.put("good.xml", file_of(order("1"), payment("p1")))
    folder.put("cut.xml", file_of(order("2"), order("3"))[:-40])
    folder.put("bomb.xml", file_of(order("4")).replace(b"?>", b'?><!DOCTYPE x [<!ENTITY a "b">]>', 1))
    folder.put(
        "enterprise.xml",
        b'<?xml version="1.0"?><Message xmlns="http://www.1c.ru/SSL/Exchange/Message"><Body/></Message>',
    )
    report = folder.sync()
    assert not report.is_ok
    told = dict(folder.ask("SELECT record_id, reason FROM meta.rejects"))
    assert told == {"cut.xml": "damaged_xml", "bomb.xml": "xml_doctype", "enterprise.xml": "enterprise_data"}
    assert folder.ask("SELECT order_id FROM core.orders") == [("1",)]
    assert folder.ask("SELECT payment_id, file FROM core.payments") == [("p1", "good.xml:4")]
    (folder.exports / "enterprise.xml").unlink()
    (folder.exports / "bomb.xml").unlink()
    folder.put("cut.xml", file_of(order("2"), order("3")))
    assert folder.sync().is_ok
    assert folder.ask("SELECT count(*) FROM core.orders") == [(3,)]
    assert folder.ask("SELECT count(*) FROM meta.rejects") == [(0,)]


def test_the_later_formed_file_decides_in_whatever_order_files_are_read(folder: Folder) -> None:
    """Files are read by name: an older one read later must change nothing, deletions included."""
    later = FORMED + timedelta(days=1)
    folder.put("a_later.xml", file_of(order("1", Сумма="200"), order("2", ПометкаУдаления="true"), formed_at=later))
    folder.put("b_earlier.xml", file_of(order("1"), order("2"), order("3", ПометкаУдаления="true")))
    folder.sync()
    expected = [("1", Decimal("200.00"), False), ("2", Decimal("100.00"), True), ("3", Decimal("100.00"), True)]
    query = "SELECT order_id, amount, is_deleted FROM core.orders ORDER BY 1"
    assert folder.ask(query) == expected
    folder.put("c_latest.xml", file_of(order("3"), formed_at=later + timedelta(days=1)))
    folder.sync()
    assert folder.ask(query) == [*expected[:2], ("3", Decimal("100.00"), False)]
    replay(folder.project, clock=folder.clock)
    assert folder.ask(query) == [*expected[:2], ("3", Decimal("100.00"), False)]


def test_the_demo_companys_exchange_loads_whole(folder: Folder) -> None:
    story = build_company(deals=40)
    write_exchange(story, folder.exports)
    assert folder.sync().is_ok
    paid = sum(payment.amount for payment in story.payments if payment.deal_id is not None)
    assert folder.ask("SELECT sum(amount) FROM core.payments") == [(paid,)]
    assert folder.ask("SELECT count(*) FROM core.orders") == [(len(story.deals),)]
    written = [(stream.rows, stream.core_rows) for stream in folder.sync().streams]
    assert set(written) == {(0, 0)}
