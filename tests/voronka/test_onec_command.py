"""`voronka onec inspect`: what it says is what a load does, and what it proposes really loads the file."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
import xlsxwriter  # type: ignore[import-untyped]

from connectors.onec.settings import OnecSettings
from connectors.onec.sheets.settings import Columns, SheetMapping
from tests.voronka.running import Run
from voronka.config import load_project

FILES = Path(__file__).parent.parent / "connectors" / "onec" / "files"
STATEMENT = (FILES / "example_cp1251.txt").read_bytes()
CONFIG = '[company]\ntimezone = "Europe/Moscow"\n[sources.books]\ntype = "onec"\npath = "exports"\n'


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    (tmp_path / "voronka.toml").write_text(CONFIG, "utf-8")
    folder = tmp_path / "exports"
    folder.mkdir()
    return folder


def book(path: Path, *sheets: tuple[str, list[list[Any]]]) -> Path:
    made = xlsxwriter.Workbook(path)
    day = made.add_format({"num_format": "dd.mm.yyyy"})
    for name, rows in sheets:
        sheet = made.add_worksheet(name)
        for number, row in enumerate(rows):
            for column, cell in enumerate(row):
                if isinstance(cell, date):
                    sheet.write_datetime(number, column, cell, day)
                else:
                    sheet.write(number, column, cell)
    made.close()
    return path


def inspected(run: Run, path: Path, status: int) -> dict[str, Any]:
    result = run("onec", "inspect", str(path), "--json")
    assert result.exit_code == status, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


BANK: list[list[Any]] = [
    ["Выписка по счету за февраль"],
    [],
    ["Дата операции", "Номер документа", "Дебет", "Кредит", "Контрагент", "ИНН контрагента", "Назначение платежа"],
    [date(2026, 2, 2), "501", "", 122000.5, 'ООО "Ромашка"', "7707083893", "Оплата по счету 123"],
    [date(2026, 2, 3), "15", 50000, "", "ООО Поставщик", "", "Оплата по счету 889"],
    ["Итого", "", 50000, 122000.5],
]
INVOICES: list[list[Any]] = [
    ["Счета на оплату покупателям"],
    ["Дата", "Номер", "Контрагент", "ИНН", "Сумма, руб.", "Валюта"],
    [date(2026, 2, 1), "ТП00-000123", "Ромашка", "7707083893", 122000.5, "руб."],
]
COSTS: list[list[Any]] = [
    ["Документ", "Сделка", "Себестоимость"],
    ["Реализация товаров и услуг ТП00-000012 от 05.02.2026 12:00:00", 77, 400],
]
DEBTS: list[list[Any]] = [
    ["Задолженность покупателей на 31.01.2026"],
    ["Контрагент", "Документ", "Долг", "Срок оплаты"],
    ["Ромашка", "Реализация ТП00-000012 от 05.01.2026", 400, date(2026, 1, 20)],
]


@pytest.mark.parametrize(
    ("rows", "relation", "expected", "edit"),
    [
        (BANK, "core.payments", [("501", "122000.50"), ("15", "-50000.00")], ("", "")),
        (INVOICES, "core.orders", [("ТП00-000123", "122000.50")], ("", "")),
        (COSTS, "core.costs", [("ТП00-000012", "400.00")], ('kind = "costs"', 'kind = "costs"\ndeal_source = "amo"')),
        (DEBTS, "core.receivables", [("ТП00-000012", "400.00")], ("", "")),
    ],
    ids=["bank", "invoices", "costs", "debts"],
)
def test_what_is_proposed_is_pasted_and_loads_the_file(
    run: Run,
    exports: Path,
    empty_files: Path,
    rows: list[list[Any]],
    relation: str,
    expected: list[tuple[str, str]],
    edit: tuple[str, str],
) -> None:
    """A proposal that fails when it is pasted is worse than none: the whole way, with the real commands."""
    path = book(exports / "таблица 02.2026.xlsx", ("TDSheet", rows))
    found = inspected(run, path, 1)
    assert [problem["reason"] for problem in found["problems"]] == ["unmapped_table"]
    (proposal,) = found["proposals"]
    assert (proposal["rows"], proposal["unreadable_rows"]) == (len(expected), 0)
    config = exports.parent / "voronka.toml"
    config.write_text(CONFIG + proposal["toml"].replace(*edit), "utf-8")
    again = inspected(run, path, 0)
    assert [(load["relation"], load["rows"]) for load in again["loads"]] == [(relation, len(expected))]
    assert again["skipped_rows"] == ({"total": 1} if rows is BANK else {})
    shutil.copytree(empty_files, exports.parent / "var")
    assert run("sync").exit_code == 0
    number = "document_number" if relation == "core.payments" else "number"
    with duckdb.connect(str(exports.parent / "var" / "warehouse.duckdb"), read_only=True) as warehouse:
        rows_there = warehouse.execute(f"SELECT {number}, amount::TEXT FROM {relation} ORDER BY ALL DESC").fetchall()
    assert sorted(rows_there) == sorted(expected)


def test_a_statement_is_told_as_it_would_load(run: Run, exports: Path) -> None:
    path = exports / "kl_to_1c.txt"
    path.write_bytes(STATEMENT)
    (load,) = inspected(run, path, 0)["loads"]
    assert load == {
        "relation": "core.payments",
        "rows": 6,
        "amount_in": 228250.5,
        "amount_out": 72000,
        "first_on": "2026-02-02",
        "last_on": "2026-02-05",
        "own_accounts": ["40702810600000000101"],
        "kinds": {"customer": 4, "other": 1, "refund": 1},
    }


def test_it_works_without_a_configuration(run: Run, tmp_path: Path) -> None:
    """The first thing a newcomer does with a file of the bank."""
    (tmp_path / "kl_to_1c.txt").write_bytes(STATEMENT)
    result = run("onec", "inspect", str(tmp_path / "kl_to_1c.txt"))
    assert result.exit_code == 0
    assert "платежи: загрузится 6; сумма 228 250,50, с минусом 72 000,00; 02.02.2026–05.02.2026" in result.output


def test_an_archive_is_told_member_by_member(run: Run, exports: Path) -> None:
    with zipfile.ZipFile(exports / "all.zip", "w") as made:
        made.writestr("kl_to_1c.txt", STATEMENT)
        made.writestr("scan.pdf", b"%PDF-1.7")
    found = inspected(run, exports / "all.zip", 1)
    assert found["kind"] == "zip"
    assert [(member["file"], member["kind"], len(member["loads"])) for member in found["members"]] == [
        ("all.zip/kl_to_1c.txt", "statement", 1),
        ("all.zip/scan.pdf", "pdf", 0),
    ]


@pytest.mark.parametrize("language", ["ru", "en"])
def test_problems_are_told_with_place_and_remedy(run: Run, exports: Path, language: str) -> None:
    path = exports / "a.csv"
    path.write_bytes("Имя;Цвет;Вес\r\nа;б;в\r\nг;д;е\r\n".encode("cp1251"))
    result = run("--lang", language, "onec", "inspect", str(path))
    assert result.exit_code == 1
    assert "[A] Имя, [B] Цвет, [C] Вес" in result.output
    assert "voronka onec inspect" in result.output


def test_one_sheet_of_several_is_named_in_its_proposal(run: Run, exports: Path) -> None:
    path = book(exports / "all.xlsx", ("Оплаты", BANK), ("Счета", INVOICES))
    tomls = [proposal["toml"] for proposal in inspected(run, path, 1)["proposals"]]
    assert ['sheet = "Оплаты"' in toml for toml in tomls] == [True, False]
    (exports.parent / "voronka.toml").write_text(CONFIG + "\n".join(tomls), "utf-8")
    assert [load["relation"] for load in inspected(run, path, 0)["loads"]] == ["core.payments", "core.orders"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["exports/none.txt"], "файла нет"),
        (["exports"], "это папка"),
        (["voronka.toml", "--source", "amo"], "Нет источника 1С «amo»"),
    ],
)
def test_wrong_usage_has_status_2(
    run: Run, exports: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: str
) -> None:
    monkeypatch.chdir(exports.parent)
    result = run("onec", "inspect", *arguments)
    assert result.exit_code == 2
    assert told in result.stderr


def test_a_folder_of_tables_alone_lets_money_be_counted(run: Run, exports: Path, empty_files: Path) -> None:
    """A stream that never saw a file must not hold the numbers back; an empty folder must."""
    shutil.copytree(empty_files, exports.parent / "var")
    assert run("sync").exit_code == 0
    assert _coverage(exports) == {"statements": None}
    shutil.copy(FILES / "card51_cp1251.csv", exports / "card.csv")
    assert run("sync").exit_code == 0
    assert _coverage(exports) == {"sheets": datetime(2026, 2, 5, 21, tzinfo=UTC)}
    (exports / "kl_to_1c.txt").write_bytes(STATEMENT)
    assert run("sync").exit_code == 0
    assert set(_coverage(exports)) == {"sheets", "statements"}


def _coverage(exports: Path) -> dict[str, datetime | None]:
    with duckdb.connect(str(exports.parent / "var" / "warehouse.duckdb"), read_only=True) as warehouse:
        return dict(
            warehouse.execute("SELECT stream, complete_until FROM meta.coverage WHERE facet = 'money'").fetchall()
        )


def test_the_documented_mapping_is_valid_and_every_key_is_documented(tmp_path: Path) -> None:
    """An example that is refused when pasted, or a key that nobody is told about."""
    text = (Path(__file__).parent.parent.parent / "docs" / "onec.md").read_text("utf-8")
    example = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    assert example is not None
    (tmp_path / "voronka.toml").write_text('[company]\ntimezone = "Europe/Moscow"\n' + example[1], "utf-8")
    (source,) = load_project(tmp_path / "voronka.toml", {}).sources.values()
    assert isinstance(source.settings, OnecSettings)
    assert [mapping.kind for mapping in source.settings.sheets] == ["payments", "costs"]
    names = {*SheetMapping.__struct_fields__, *Columns.__struct_fields__}
    assert {name for name in names if f"`{name}`" not in text} == set()
