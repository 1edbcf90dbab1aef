"""Tables: what loads, by which mapping, what identifies a row, and what is told about the rest."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onec_files import EXAMPLE, FILES
from sheet_files import HEADER, NOW, OWN, PAYMENTS, csv_text, load, workbook, write
from xls_file import xls

from base.errors import ConfigError
from connectors.onec.refusal import FileRefusal
from connectors.onec.sheets.settings import Columns, Kind, SheetMapping, sheet_problems
from connectors.onec.sheets.table import Limits, open_workbook
from connectors.onec.sheets.values import Grouping, common_amount, read_amount, read_day, read_document
from voronka.config import load_project

CARD = (FILES / "card51_cp1251.csv").read_bytes()
LATER = NOW + timedelta(hours=1)


# ── values ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("cell", "amount"),
    [
        ("122 000,00", "122000.00"),
        ("14\u00a0800,50", "14800.50"),
        ("14\u202f800,5", "14800.50"),
        ("14,800.00", "14800.00"),
        ("14.800,00", "14800.00"),
        ("1 234 567", "1234567.00"),
        ("1,234,567.89", "1234567.89"),
        ("(500,00)", "-500.00"),
        ("\u2212500", "-500.00"),
        ("500-", "-500.00"),
        ("1000-50", "1000.50"),
        ("100 руб.", "100.00"),
        ("1 000,00 ₽", "1000.00"),
        (122000.5, "122000.50"),
        (0.1 + 0.2, "0.30"),
        (7, "7.00"),
        ("14,800", "14.80"),
    ],
)
def test_amounts_as_accountants_write_them(cell: Any, amount: str) -> None:
    assert read_amount(cell) == Decimal(amount)


AMOUNTS = st.from_regex(r"\A-?[0-9]{1,4}([ \xa0.,'][0-9]{3}){0,5}([.,\-=][0-9]{1,3})?\Z") | st.text(
    "0 1,.-\u0661", max_size=9
)


@settings(max_examples=300, deadline=None)
@given(AMOUNTS, st.sampled_from(["", ",", "."]), st.sampled_from([None, ",", "."]))
def test_the_quick_way_to_an_amount_says_what_the_slow_one_does(text: str, grouping: str, decimal: str | None) -> None:
    """Otherwise kopecks would become thousands in one column and not in another."""
    common = common_amount(text, grouping, decimal)
    if common is None:
        return
    quick, slow = Grouping(), Grouping()
    quick.note_decimal(common[1])
    slow.note(text)
    amount = read_amount(text, grouping=grouping, decimal=decimal)
    assert (str(common[0]), vars(quick)) == (str(amount), vars(slow))


def test_common_amounts_go_the_quick_way() -> None:
    for text in ("14800,00", "14 800,00", "1\xa0234\xa0567.89", "0.50"):
        assert common_amount(text, "", None) is not None
    for text in ("14,800", "-5,00", "14800", "1 23,00", "5,000.00"):
        assert common_amount(text, "", None) is None


def test_a_comma_groups_thousands_only_if_the_whole_column_says_so() -> None:
    """`14,800` is 14 800 in an old export and 14.80 in a column of kopecks; one value can't tell."""
    column, kopecks = Grouping(), Grouping()
    for text in ("14,800", "1,200", "500"):
        column.note(text)
    for text in ("14,800", "12,50"):
        kopecks.note(text)
    assert (column.mark(), kopecks.mark()) == (",", "")
    assert read_amount("14,800", grouping=",") == 14800


def test_a_real_old_workbook_loads(tmp_path: Path) -> None:
    """Excel 97–2003, which old accounting still writes: recognised by its container, not by its name."""
    rows = [HEADER, ("02.02.2026", "501", 122000.5, "ООО Ромашка", "Оплата"), ("46056", "77", 10.0, "ООО Лютик", "")]
    for name in ("old.xls", "nameless"):
        folder = tmp_path / f"in-{name}"
        write(folder, name, xls("Платежи", rows))
        loaded = load(folder, PAYMENTS)
        assert loaded.rejects == []
        found = [
            (str(row["paid_on"]), row["document_number"], str(row["amount"])) for row in loaded.of("core.payments")
        ]
        assert found == [("2026-02-02", "501", "122000.50"), ("2026-02-03", "77", "10.00")]


@pytest.mark.parametrize("cell", ["12 шт", "сумма", True, date(2026, 1, 1)])
def test_what_is_no_amount_is_no_zero(cell: Any) -> None:
    with pytest.raises(ValueError, match=r".*"):
        read_amount(cell)


@pytest.mark.parametrize(
    "cell",
    [
        "02.02.2026",
        "2.2.26",
        "02.02.2026 7:05:00",
        "2026-02-02",
        "2026-02-02T10:00:00",
        "02/02/2026",
        "2 февраля 2026 г.",
        "46055",
        46055,
        46055.75,
        datetime(2026, 2, 2, 23, 59, 59),  # noqa: DTZ001 - a cell has no zone
        date(2026, 2, 2),
    ],
)
def test_days_in_every_form(cell: Any) -> None:
    assert read_day(cell) == date(2026, 2, 2)


@pytest.mark.parametrize("cell", ["31.02.2026", "завтра", 12, "12", True])
def test_what_is_no_day_is_told(cell: Any) -> None:
    with pytest.raises(ValueError, match=r".*"):
        read_day(cell)


def test_a_document_of_1c_has_type_number_and_day() -> None:
    assert read_document("Поступление на расчетный счет 0000-001471 от 01.06.2026 7:00:00") == (
        "Поступление на расчетный счет",
        "0000-001471",
        date(2026, 6, 1),
    )
    assert read_document("Реализация (акт, накладная) № ТП00-000012 от 5.02.2026")[1] == "ТП00-000012"  # type: ignore[index]
    assert read_document("ООО Ромашка от 2020 года") is None


# ── 1C's card ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_card_of_account_51_loads_by_itself(tmp_path: Path) -> None:
    """Taking the column below «Дебет» would load accounts (51, 62.01) as money; the purpose stands in the document."""
    write(tmp_path, "card.csv", CARD)
    loaded = load(tmp_path)
    assert loaded.rejects == []
    found = [
        (str(row["paid_on"]), str(row["amount"]), row["kind"], row["payer_name"]) for row in loaded.of("core.payments")
    ]
    assert found == [
        ("2026-02-02", "122000.00", "customer", "РОМАШКА-ТЕСТ ООО"),
        ("2026-02-03", "61000.00", "customer", "ЛЮТИК-ТЕСТ АО"),
        ("2026-02-03", "-50000.00", "other", "ПОСТАВЩИК-ТЕСТ ООО"),
        ("2026-02-04", "-22000.00", "refund", "РОМАШКА-ТЕСТ ООО"),
        ("2026-02-04", "14750.50", "customer", "ПРИМЕР-БАНК АО"),
        ("2026-02-05", "30500.00", "customer", "Иванов Иван Иванович ИП"),
    ]
    first = loaded.of("core.payments")[0]
    assert first == {
        "payment_id": first["payment_id"],
        "paid_on": date(2026, 2, 2),
        "amount": Decimal("122000.00"),
        "currency": "RUB",
        "amount_reporting": Decimal("122000.00"),
        "vat_amount": Decimal("22000.00"),
        "kind": "customer",
        "payer_name": "РОМАШКА-ТЕСТ ООО",
        "payer_tax_id": None,
        "payer_account": None,
        "own_account": OWN,
        "purpose": "Оплата по счету № 123 от 01.02.2026 за услуги. В т.ч. НДС (22%) 22000-00",
        "document_number": None,
        "document_on": date(2026, 2, 2),
        "order_id": None,
        "invoice_number": "ТП00-000123",
        "contract_number": "1/26",
        "file": "card.csv",
        "channel": "sheet",
    }


def test_a_card_in_a_workbook_is_the_same_card(tmp_path: Path) -> None:
    """The same export saved as XLSX ends in the same records, whatever cells are merged in its header."""
    rows = list(csv.reader(CARD.decode("cp1251").splitlines(keepends=True), delimiter=";"))
    write(tmp_path, "csv/card.csv", CARD)
    write(tmp_path, "xlsx/card.xlsx", workbook(("TDSheet", rows), merges=[(6, 4, 6, 6), (6, 7, 6, 9)]))
    first, second = load(tmp_path / "csv"), load(tmp_path / "xlsx")
    assert second.rejects == []
    assert first.rows["core.payments"].keys() == second.rows["core.payments"].keys()


def test_a_card_of_settlements_loads_money_only(tmp_path: Path) -> None:
    """On account 62 sales and offsets of advances (`62.02 → 62.01`) are no money; credit is what came."""
    text = CARD.decode("cp1251").replace("Карточка счета 51", "Карточка счета 62")
    lines = text.split("\r\n02.02.2026;")[0] + "\r\n"
    rows = [
        '01.02.2026;"Реализация ТП00-000001 от 01.02.2026";"РОМАШКА ООО";"";62.01;100,00;;90.01;;;;',
        '02.02.2026;"Поступление на расчетный счет ТП00-000031 от 02.02.2026\nОплата";"";"РОМАШКА ООО";'
        "51;;;62.02;100,00;;;",
        '02.02.2026;"Реализация ТП00-000001 от 01.02.2026";"РОМАШКА ООО";"РОМАШКА ООО";62.02;;;62.01;100,00;;;',
        '04.02.2026;"Списание с расчетного счета ТП00-000016 от 04.02.2026\nВозврат";"РОМАШКА ООО";"";'
        "62.02;40,00;;51;;;;",
    ]
    write(tmp_path, "card62.csv", lines + "\r\n".join(rows) + "\r\n")
    loaded = load(tmp_path)
    assert [(str(row["amount"]), row["kind"]) for row in loaded.of("core.payments")] == [
        ("100.00", "customer"),
        ("-40.00", "refund"),
    ]


def test_postings_of_one_document_are_one_movement(tmp_path: Path) -> None:
    """A payment split into debt and advance is two postings and one payment."""
    text = CARD.decode("cp1251")
    second = (
        '02.02.2026;"Поступление на расчетный счет ТП00-000031 от 02.02.2026 0:00:00";"";"РОМАШКА-ТЕСТ ООО";'
        "51;1 000,00;;62.02;;;Д;\r\n"
    )
    at = text.index('03.02.2026;"Поступление')
    write(tmp_path, "card.csv", text[:at] + second + text[at:].replace("228\u00a0250,50", "229 250,50"))
    loaded = load(tmp_path)
    assert loaded.rejects == []
    assert str(loaded.of("core.payments")[0]["amount"]) == "123000.00"
    assert len(loaded.of("core.payments")) == 6


def test_a_report_of_totals_is_refused_with_what_to_export(tmp_path: Path) -> None:
    rows: list[list[Any]] = [
        ["ООО Наша"],
        ["Оборотно-сальдовая ведомость по счету 62 за Февраль 2026 г."],
        ["Контрагент", "Дебет", "Кредит"],
        ["Ромашка", 1, 2],
    ]
    write(tmp_path, "osv.xlsx", workbook(("Лист1", rows)))
    loaded = load(tmp_path)
    assert loaded.rejects == [("osv.xlsx", "only_totals", "Лист1")]
    assert "Карточку счёта 51" in loaded.messages[0]
    assert loaded.pages[-1].is_idle


def test_the_bank_list_of_1c_loads_by_itself(tmp_path: Path) -> None:
    """«Банковские выписки» saved as a list; the bank's number is what the statement's copy is recognised by."""
    header = [
        "Дата",
        "Номер",
        "Поступление",
        "Списание",
        "Назначение платежа",
        "Контрагент",
        "Вид операции",
        "Вх. номер",
    ]
    rows = [
        [
            "02.02.2026 0:00:00",
            "0000-000031",
            "122 000,00",
            "",
            "Оплата по счету 123",
            "Ромашка",
            "Оплата от покупателя",
            "501",
        ],
        [
            "03.02.2026 0:00:00",
            "0000-000015",
            "",
            "50 000,00",
            "Оплата по счету 889",
            "Поставщик",
            "Оплата поставщику",
            "15",
        ],
    ]
    write(tmp_path, "список.csv", csv_text(*rows, header=header), encoding="utf-8-sig")
    found = [(str(row["amount"]), row["kind"], row["document_number"]) for row in load(tmp_path).of("core.payments")]
    assert found == [("122000.00", "customer", "501"), ("-50000.00", "other", "15")]


# ── mapped tables ───────────────────────────────────────────────────────────────────────────────────────────────

ROWS = (
    ("02.02.2026", "501", "122 000,00", "ООО Ромашка", "Оплата по счету 123"),
    ("03.02.2026", "77", "61 000,00", "ООО Лютик", "Аванс"),
)


@pytest.mark.parametrize("encoding", ["cp1251", "cp866", "utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_encodings_and_delimiters_are_found_out(tmp_path: Path, encoding: str, delimiter: str) -> None:
    write(tmp_path, "a.csv", csv_text(*ROWS, delimiter=delimiter), encoding=encoding)
    loaded = load(tmp_path, PAYMENTS)
    assert loaded.rejects == []
    assert [row["payer_name"] for row in loaded.of("core.payments")] == ["ООО Ромашка", "ООО Лютик"]


def test_newlines_and_delimiters_inside_quotes_stay_in_the_cell(tmp_path: Path) -> None:
    row = ("02.02.2026", "501", "1000", '"ООО ""Ромашка"""', '"Оплата; по\r\nсчету 123"')
    write(tmp_path, "a.csv", csv_text(row, ("03.02.2026", "x", "плохая", "", "")))
    loaded = load(tmp_path, PAYMENTS)
    assert loaded.of("core.payments")[0]["payer_name"] == 'ООО "Ромашка"'
    # The second row begins on the file's fourth line.
    assert loaded.rejects == [("a.csv:4", "bad_amount", "line 4 «Сумма»")]


def test_totals_headers_and_empty_rows_are_no_payments(tmp_path: Path) -> None:
    """Merged title, captions again on each printed page, subtotals: only documents may become money."""
    rows: list[list[Any]] = [
        ["Отчет по оплатам", "", "", "", ""],
        [],
        list(HEADER),
        [date(2026, 2, 2), "501", 122000.5, "ООО Ромашка", "Оплата по счету 123"],
        ["Итого за 02.02.2026", "", 122000.5, "", ""],
        list(HEADER),
        [],
        [date(2026, 2, 3), "77", 61000, "Итоговые решения", "Аванс"],
        ["", "", 61000, "", ""],
        ["Всего", "", 183000.5, "", ""],
    ]
    write(tmp_path, "оплаты.xlsx", workbook(("Лист1", rows), merges=[(0, 0, 0, 4)]))
    loaded = load(tmp_path, PAYMENTS)
    assert loaded.rejects == []
    assert loaded.amounts == ["122000.50", "61000.00"]


def test_a_total_that_its_rows_do_not_make_is_told(tmp_path: Path) -> None:
    """The export was cut, or a row is hidden: the rows load, and the accountant is asked."""
    write(tmp_path, "a.csv", csv_text(*ROWS, ("Итого", "", "999 999,00", "", "")))
    loaded = load(tmp_path, PAYMENTS)
    assert loaded.rejects == [("a.csv:line 4", "total_mismatch", "line 4")]
    assert "999999.00" in loaded.messages[0]
    assert len(loaded.of("core.payments")) == 2


def test_a_caption_that_is_missing_is_named_with_those_that_are_there(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", csv_text(*(row[:4] for row in ROWS), header=HEADER[:4]))
    write(tmp_path, "b.csv", csv_text(*ROWS))
    loaded = load(tmp_path, PAYMENTS)
    assert loaded.rejects == [("a.csv", "column_missing", "line 1")]
    assert "«Назначение»" in loaded.messages[0]
    assert "«Плательщик»" in loaded.messages[0]
    assert len(loaded.of("core.payments")) == 2


def test_a_caption_above_two_columns_needs_a_letter(tmp_path: Path) -> None:
    header = ("Дата", "Сумма", "Сумма")
    write(tmp_path, "a.csv", csv_text(("02.02.2026", "10", "20"), header=header))
    by_caption = SheetMapping(kind="payments", columns=Columns(date="Дата", amount="Сумма"))
    by_letter = SheetMapping(kind="payments", columns=Columns(date="Дата", amount="[C]"))
    by_step = SheetMapping(kind="payments", columns=Columns(date="Дата", amount="Дата +2"))
    assert load(tmp_path, by_caption).rejects == [("a.csv", "ambiguous_column", "line 1")]
    assert load(tmp_path, by_letter).amounts == load(tmp_path, by_step).amounts == ["20.00"]


def test_an_unknown_table_waits_for_a_mapping_and_holds_nothing_back(tmp_path: Path) -> None:
    write(tmp_path, "prices.csv", csv_text(("Кран", "1", "10"), ("Насос", "2", "20"), header=("Товар", "Шт", "Цена")))
    loaded = load(tmp_path)
    assert loaded.rejects == [("prices.csv", "unmapped_table", "line 1")]
    assert "voronka onec inspect" in loaded.messages[0]
    assert loaded.pages[-1].is_idle


def test_a_mapping_for_every_file_leaves_standard_reports_alone(tmp_path: Path) -> None:
    """A mapping without a file pattern must not keep 1C's own card from loading."""
    write(tmp_path, "a.csv", csv_text(*ROWS))
    write(tmp_path, "card.csv", CARD)
    loaded = load(tmp_path, PAYMENTS)
    assert (loaded.rejects, len(loaded.of("core.payments"))) == ([], 8)


def test_rows_are_filtered_and_groups_passed_over(tmp_path: Path) -> None:
    header = (*HEADER, "Статус")
    rows = [(*ROWS[0], "Исполнен"), (*ROWS[1], "Отклонен"), ("ООО Ромашка", "", "122 000,00", "", "", "")]
    write(tmp_path, "a.csv", csv_text(*rows, header=header))
    mapping = SheetMapping(
        kind="payments", columns=PAYMENTS.columns, where={"Статус": ["исполнен"]}, skip_if_empty=["Номер"]
    )
    loaded = load(tmp_path, mapping)
    assert (loaded.amounts, loaded.rejects) == (["122000.00"], [])


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, ["-50.00", "100.00"]),
        ({"direction": "out"}, ["-100.00", "50.00"]),
    ],
)
def test_direction_by_sign_or_by_the_mapping(tmp_path: Path, keys: dict[str, Any], expected: list[str]) -> None:
    rows = [("02.02.2026", "1", "100", "", ""), ("02.02.2026", "2", "-50", "", "")]
    write(tmp_path, "a.csv", csv_text(*rows))
    assert load(tmp_path, SheetMapping(kind="payments", columns=PAYMENTS.columns, **keys)).amounts == expected


def test_direction_by_a_column_of_words(tmp_path: Path) -> None:
    rows = [("02.02.2026", "Приход", "100"), ("02.02.2026", "Расход", "50"), ("02.02.2026", "Сторно", "7")]
    write(tmp_path, "a.csv", csv_text(*rows, header=("Дата", "Тип", "Сумма")))
    mapping = SheetMapping(kind="payments", columns=Columns(date="Дата", direction="Тип", amount="Сумма"))
    loaded = load(tmp_path, mapping)
    assert loaded.amounts == ["-50.00", "100.00"]
    assert loaded.rejects == [("a.csv:4", "unknown_direction", "line 4 «Тип»")]


def test_every_kind_reaches_its_relation(tmp_path: Path) -> None:
    rows = [("02.02.2026", "7", "ООО Ромашка", "11", "05.03.2026", "250,50")]
    header = ("Дата", "Номер", "Клиент", "Сделка", "Срок", "Сумма")
    common = {"date": "Дата", "number": "Номер", "deal": "Сделка", "amount": "Сумма", "counterparty": "Клиент"}
    dated: dict[Kind, Columns] = {kind: Columns(**common) for kind in ("orders", "sales", "costs")}
    dated["receivables"] = Columns(**common, due_on="Срок")
    mappings = [
        SheetMapping(kind=kind, file=f"{kind}.csv", deal_source="amo", columns=columns)
        for kind, columns in dated.items()
    ]
    for mapping in mappings:
        # A file is known by its content: equal ones would be one.
        write(tmp_path, mapping.file, csv_text(*rows, ("Итого", mapping.kind, "", "", "", ""), header=header))
    loaded = load(tmp_path, *mappings)
    assert loaded.rejects == []
    deal: dict[str, Any] = {
        "deal_source": "amo",
        "deal_id": "11",
        "number": "7",
        "amount": Decimal("250.50"),
        "currency": "RUB",
    }
    expected: dict[str, dict[str, Any]] = {
        "core.orders": {"issued_on": date(2026, 2, 2)},
        "core.sales_documents": {"issued_on": date(2026, 2, 2)},
        "core.costs": {"issued_on": date(2026, 2, 2)},
        "core.receivables": {"as_of": date(2026, 2, 2), "due_on": date(2026, 3, 5), "customer": "ООО Ромашка"},
    }
    for relation, more in expected.items():
        (row,) = loaded.of(relation)
        assert {name: row[name] for name in (deal | more)} == deal | more


def test_gross_profit_counts_documents_only(tmp_path: Path) -> None:
    """Every level of «Валовая прибыль» has its own sums: adding all rows would count each cost three times."""
    rows: list[list[Any]] = [
        ["Валовая прибыль предприятия"],
        ["Параметры:", "Период: 01.02.2026 - 28.02.2026"],
        ["Покупатель / Документ", "Количество", "Выручка", "Себестоимость", "Валовая прибыль"],
        ["Ромашка ООО", 3, 900, 600, 300],
        ["Реализация товаров и услуг ТП00-000012 от 05.02.2026 12:00:00", 2, 600, 400, 200],
        ["Возврат товаров от клиента ТП00-000003 от 09.02.2026", 1, 300, 200, 100],
        ["Итого", 3, 900, 600, 300],
    ]
    write(tmp_path, "vp.xlsx", workbook(("TDSheet", rows)))
    loaded = load(tmp_path)
    assert [(row["number"], str(row["amount"])) for row in loaded.of("core.costs")] == [
        ("ТП00-000012", "400.00"),
        ("ТП00-000003", "-200.00"),
    ]
    assert [code for _, code, _ in loaded.rejects] == []


def test_debts_need_a_day(tmp_path: Path) -> None:
    columns = Columns(counterparty="Клиент", number="Документ", amount="Долг")
    text = csv_text(("Ромашка", "7", "100"), ("Лютик", "8", "50"), header=("Клиент", "Документ", "Долг"))
    write(tmp_path, "долги.csv", text)
    undated = SheetMapping(kind="receivables", columns=columns)
    assert [code for _, code, _ in load(tmp_path, undated).rejects] == ["no_date"]
    dated = SheetMapping(kind="receivables", columns=columns, as_of="2026-01-31")
    assert {row["as_of"] for row in load(tmp_path, dated).of("core.receivables")} == {date(2026, 1, 31)}


# ── identity ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_corrected_sheet_updates_and_an_overlapping_one_adds_nothing(tmp_path: Path) -> None:
    corrected = (ROWS[0][0], ROWS[0][1], "123 000,00", *ROWS[0][3:])
    write(tmp_path, "b.csv", csv_text(*ROWS))
    write(tmp_path, "a.csv", csv_text(corrected, ("04.02.2026", "78", "5", "", "")), made=LATER)
    assert load(tmp_path, PAYMENTS).amounts == ["123000.00", "5.00", "61000.00"]


def test_two_equal_rows_without_a_number_stay_two_in_any_split(tmp_path: Path) -> None:
    fee = ("02.02.2026", "", "-30", "Банк", "Комиссия")
    write(tmp_path, "day.csv", csv_text(fee, fee))
    write(tmp_path, "week.csv", csv_text(fee, ("03.02.2026", "", "-30", "Банк", "Комиссия"), fee))
    assert load(tmp_path, PAYMENTS).amounts == ["-30.00"] * 3


def test_the_same_document_of_another_year_or_firm_is_another_record(tmp_path: Path) -> None:
    header = (*HEADER, "Организация")
    rows = [(*ROWS[0], "ООО А"), (*ROWS[0], 'А, ООО "Б"'), ("02.02.2025", *ROWS[0][1:], "ООО А")]
    write(tmp_path, "a.csv", csv_text(*rows, header=header))
    columns = Columns(**PAYMENTS.columns.named(), organisation="Организация")
    assert len(load(tmp_path, SheetMapping(kind="payments", columns=columns)).of("core.payments")) == 3


# ── bad tables ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_wrong_columns_load_nothing_rather_than_a_few_rows(tmp_path: Path) -> None:
    rows = [(f"{day:02}.02.2026", str(day), "100", "Ромашка", "Оплата") for day in range(1, 10)]
    write(tmp_path, "a.csv", csv_text(*rows))
    wrong = SheetMapping(kind="payments", columns=Columns(date="Дата", amount="Назначение"))
    loaded = load(tmp_path, wrong)
    assert [(code, path) for _, code, path in loaded.rejects] == [("columns_misfit", "line 2")]
    assert loaded.rows == {}


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("cut.csv", csv_text(*ROWS).encode("cp1251")[:-9] + b';"no end', "truncated"),
        ("quote.csv", csv_text(("02.02.2026", "1", "5", '"А"Б', ""), ROWS[1]).encode("cp1251"), "bad_quotes"),
        ("lost.csv", csv_text(*ROWS).encode("cp1251").decode("utf-8", errors="replace").encode(), "damaged_text"),
        ("empty.csv", csv_text().encode("cp1251") + b";;;;\r\n", "no_rows"),
        ("cut.xlsx", workbook(("Лист1", [HEADER, *ROWS]))[:2000], "damaged_archive"),
    ],
)
def test_a_bad_table_gets_one_message_and_the_others_load(tmp_path: Path, name: str, data: bytes, code: str) -> None:
    """Nothing of it may load, and what is told must say what to do."""
    write(tmp_path, name, data)
    write(tmp_path, "z.csv", csv_text(*ROWS))
    stream = "statements" if code == "damaged_archive" else "sheets"
    loaded = load(tmp_path, PAYMENTS, stream=stream)
    assert [(record, found) for record, found, _ in loaded.rejects] == [(name, code)]
    assert loaded.messages[0].count(".") >= 1
    assert load(tmp_path, PAYMENTS).amounts == ["122000.00", "61000.00"]


def test_damaged_parts_inside_a_workbook_are_told(tmp_path: Path) -> None:
    """The ZIP is whole, the XML in it is not: the library's error must not end the run."""
    good = zipfile.ZipFile(io.BytesIO(workbook(("Лист1", [HEADER, *ROWS]))))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as broken:
        for part in good.namelist():
            data = good.read(part)
            broken.writestr(part, data[: len(data) // 2] if part == "xl/workbook.xml" else data)
    write(tmp_path, "a.xlsx", stream.getvalue())
    assert [code for _, code, _ in load(tmp_path, PAYMENTS).rejects] == ["damaged_workbook"]


@pytest.mark.parametrize("limits", [Limits(xlsx_bytes=1_000), Limits(xlsx_unpacked_bytes=1_000)])
def test_a_workbook_beyond_the_limits_is_not_opened(limits: Limits) -> None:
    """It is read into memory: a packed gigabyte would take the machine down."""
    with pytest.raises(FileRefusal) as refusal:
        open_workbook(io.BytesIO(workbook(("Лист1", [HEADER, *ROWS]))), limits)
    assert refusal.value.code == "too_large"
    assert "CSV" in refusal.value.message.render("ru")


def test_a_workbook_of_200_megabytes_has_one_message(tmp_path: Path) -> None:
    path = write(tmp_path, "a.xlsx", workbook(("Лист1", [HEADER, *ROWS])))
    with path.open("rb") as small:
        data = small.read()
    # Bytes before a ZIP's own are legal; these are a hole that takes no space on the disk.
    with path.open("wb") as large:
        large.write(data[:4])
        large.seek(200 << 20)
        large.write(data)
    assert [(code, record) for record, code, _ in load(tmp_path, PAYMENTS).rejects] == [("too_large", "a.xlsx")]


def test_one_sheet_of_a_workbook_may_be_bad(tmp_path: Path) -> None:
    write(tmp_path, "a.xlsx", workbook(("Оплаты", [HEADER, *ROWS]), ("Прочее", [["Имя", "Цвет"], ["а", "б"]])))
    loaded = load(tmp_path, PAYMENTS)
    assert loaded.rejects == [("a.xlsx:Прочее", "no_header", "Прочее")]
    assert len(loaded.of("core.payments")) == 2
    named = SheetMapping(kind="payments", sheet="Оплаты", columns=PAYMENTS.columns)
    assert load(tmp_path, named).rejects == []


# ── the folder ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_unchanged_table_is_not_read_again(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", csv_text(*ROWS))
    position = load(tmp_path, PAYMENTS).pages[-1].position
    again = load(tmp_path, PAYMENTS, position=position)
    assert [(page.ids, page.position) for page in again.pages] == [([], None)]


def test_a_changed_mapping_reads_every_table_again(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", csv_text(*ROWS))
    position = load(tmp_path, PAYMENTS).pages[-1].position
    other = SheetMapping(kind="payments", columns=PAYMENTS.columns, direction="out")
    read = load(tmp_path, other, position=position).of("core.payments")
    # What the old mapping had made of the rows goes: the same money must not be counted as coming and as going.
    assert [row.get("is_deleted") for row in read] == [None, None, True, True]


def test_each_stream_tells_about_its_own_files_and_one_about_the_rest(tmp_path: Path) -> None:
    write(tmp_path, "kl_to_1c.txt", EXAMPLE)
    write(tmp_path, "a.csv", csv_text(*ROWS))
    write(tmp_path, "b.png", b"\x89PNG\r\n\x1a\n" + bytes(100))
    statements, sheets = load(tmp_path, PAYMENTS, stream="statements"), load(tmp_path, PAYMENTS)
    assert [record for record, _, _ in statements.rejects] == ["b.png"]
    assert sheets.rejects == []
    assert (len(statements.pages[-1].ids), len(sheets.pages[-1].ids)) == (6, 2)


@pytest.mark.parametrize(
    ("made", "through"),
    [(NOW, "2026-02-03"), (datetime(2026, 2, 3, 12, tzinfo=UTC), "2026-02-02")],
    ids=["made later", "made on its last day"],
)
def test_a_table_is_complete_until_its_last_day(tmp_path: Path, made: datetime, through: str) -> None:
    """What comes in the evening of the day of the export isn't in it."""
    write(tmp_path, "a.csv", csv_text(*ROWS), made=made)
    until = load(tmp_path, PAYMENTS).pages[-1].complete_until
    assert until is not None
    assert str((until + timedelta(hours=3)).date() - timedelta(days=1)) == through


def test_problems_of_a_mapping_are_told_with_their_paths(tmp_path: Path) -> None:
    config = tmp_path / "voronka.toml"
    config.write_text(
        '[company]\ntimezone = "Europe/Moscow"\n[sources.accounting]\ntype = "onec"\npath = "exports"\n'
        '[[sources.accounting.sheets]]\nkind = "costs"\ncolumns = { numbr = "Номер", purpose = "x", deal = "Сделка" }\n'
        '[[sources.accounting.sheets]]\nkind = "debts"\n',
        encoding="utf-8",
    )
    with pytest.raises(ConfigError) as error:
        load_project(config, {})
    told = error.value.render("en")
    assert "sources.accounting.sheets[0].columns.numbr" in told
    assert "sources.accounting.sheets[1].kind" in told
    mapping = SheetMapping(kind="costs", columns=Columns(deal="Сделка", account="Счет"))
    assert [key for key, _ in sheet_problems([mapping])] == [
        "sheets.[0].columns.account",
        "sheets.[0].columns",
        "sheets.[0].columns",
        "sheets.[0].deal_source",
    ]
