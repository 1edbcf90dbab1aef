"""A sheet that replaces its own earlier version takes back the rows it no longer has, and nothing else does."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sheet_files import NOW, PAYMENTS, Loaded, csv_text, load, write

from base.clock import FakeClock
from flows.steps.sync import sync
from tests.engine import lake_table, look
from voronka.config import load_project

LATER = NOW + timedelta(hours=1)


def payment(day: int, number: int | str, amount: int = 100) -> tuple[str, ...]:
    return (f"{day:02d}.02.2026", str(number), str(amount), "ООО Ромашка", "Оплата")


def put(folder: Path, name: str, *rows: tuple[str, ...], made: datetime = NOW) -> None:
    write(folder, name, csv_text(*rows), made=made)


def gone(loaded: Loaded) -> list[str]:
    """Numbers of the payments that were taken back."""
    return sorted(
        row["payment_id"].split("_")[1] for row in loaded.of("core.payments") if row.get("is_deleted") is True
    )


def reload(folder: Path, before: Loaded) -> Loaded:
    return load(folder, PAYMENTS, position=before.pages[-1].position)


def test_a_row_deleted_from_a_file_is_taken_back_and_comes_back_with_it(tmp_path: Path) -> None:
    put(tmp_path, "pay.csv", payment(2, 1), payment(3, 2), payment(4, 3))
    first = load(tmp_path, PAYMENTS)
    put(tmp_path, "pay.csv", payment(2, 1), payment(4, 3), made=LATER)
    second = reload(tmp_path, first)
    assert (gone(second), second.rejects) == (["2"], [])
    put(tmp_path, "pay.csv", payment(2, 1), payment(3, 2), payment(4, 3), made=LATER + timedelta(hours=1))
    third = reload(tmp_path, second)
    assert gone(third) == []
    assert len([row for row in third.of("core.payments") if "amount" in row]) == 3


def test_a_run_that_was_killed_takes_the_row_back_again(tmp_path: Path) -> None:
    """The list of what the file stated is written before the page is: it must not make the next run forget."""
    put(tmp_path, "pay.csv", payment(2, 1), payment(3, 2), payment(4, 3))
    first = load(tmp_path, PAYMENTS)
    put(tmp_path, "pay.csv", payment(2, 1), payment(4, 3), made=LATER)
    assert gone(reload(tmp_path, first)) == gone(reload(tmp_path, first)) == ["2"]


def test_the_next_months_table_under_the_old_name_takes_nothing_back(tmp_path: Path) -> None:
    put(tmp_path, "pay.csv", payment(2, 1), payment(3, 2))
    first = load(tmp_path, PAYMENTS)
    put(tmp_path, "pay.csv", payment(5, 7), payment(9, 8), made=LATER)
    assert gone(reload(tmp_path, first)) == []


def test_another_file_takes_nothing_back_and_what_it_states_stands(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", payment(2, 1), payment(3, 2), payment(4, 3))
    put(tmp_path, "b.csv", payment(2, 1), payment(4, 3))
    first = load(tmp_path, PAYMENTS)
    assert gone(first) == []
    put(tmp_path, "b.csv", payment(2, 1), payment(3, 2), payment(4, 3), payment(5, 4), made=LATER)
    second = reload(tmp_path, first)
    put(tmp_path, "a.csv", payment(2, 1), payment(4, 3), made=LATER + timedelta(hours=1))
    assert gone(reload(tmp_path, second)) == []


def test_a_corrected_amount_of_a_row_without_a_number_is_no_second_payment(tmp_path: Path) -> None:
    put(tmp_path, "pay.csv", payment(2, 1), payment(3, "", 500), payment(4, 3))
    first = load(tmp_path, PAYMENTS)
    put(tmp_path, "pay.csv", payment(2, 1), payment(3, "", 700), payment(4, 3), made=LATER)
    second = reload(tmp_path, first)
    standing = [str(row["amount"]) for row in second.of("core.payments") if "amount" in row]
    assert (standing, len(gone(second))) == (["100.00", "700.00", "100.00"], 1)


def test_when_most_of_a_table_is_gone_nothing_is_taken_back_and_it_is_told(tmp_path: Path) -> None:
    """A filtered export saved under the old name would take a month's revenue away."""
    rows = [payment(2 + place % 7, place + 1) for place in range(60)]
    put(tmp_path, "pay.csv", *rows)
    first = load(tmp_path, PAYMENTS)
    put(tmp_path, "pay.csv", *rows[:14], made=LATER)
    second = reload(tmp_path, first)
    assert gone(second) == []
    assert [code for _, code, _ in second.rejects] == ["rows_missing"]
    assert "пропало строк: 46" in second.messages[0]
    # Told in every run until it is settled.
    assert [code for _, code, _ in reload(tmp_path, second).rejects] == ["rows_missing"]


CONFIG = """
[company]
timezone = "Europe/Moscow"

[sources.accounting]
type = "onec"
path = "exports"

[[sources.accounting.sheets]]
file = "pay*.csv"
kind = "payments"
columns = { date = "Дата", number = "Номер", amount = "Сумма", counterparty = "Плательщик", purpose = "Назначение" }

[[sources.accounting.sheets]]
file = "cost*.csv"
kind = "costs"
columns = { date = "Дата", number = "Номер", amount = "Сумма" }
"""


def test_what_was_taken_back_is_marked_in_the_core(tmp_path: Path, empty_files: Path) -> None:
    """A tombstone that no relation takes: the payment would be counted for ever; a cost has no mark and is worth 0."""
    shutil.copytree(empty_files, tmp_path / "var")
    exports, clock = tmp_path / "exports", FakeClock(datetime(2026, 2, 10, 6, 0, tzinfo=UTC))
    (tmp_path / "voronka.toml").write_text(CONFIG + lake_table(tmp_path), "utf-8")

    def night(*days: int) -> None:
        clock.advance(3600)
        for name, amount in (("pay.csv", 100), ("cost.csv", 60)):
            put(exports, name, *(payment(day, day, amount) for day in days), made=clock.now())
        assert sync(load_project(tmp_path / "voronka.toml"), clock=clock).is_ok

    def rows(query: str) -> list[tuple[Any, ...]]:
        with look(tmp_path / "var" / "warehouse.duckdb") as file:
            return file.execute(query).fetchall()

    night(2, 3, 4)
    night(2, 4)
    payments = "SELECT document_number FROM core.payments WHERE is_deleted"
    costs = "SELECT number, amount::INTEGER FROM core.costs ORDER BY number"
    assert rows(payments) == [("3",)]
    assert rows(costs) == [("2", 60), ("3", 0), ("4", 60)]
    night(2, 3, 4)
    assert rows(payments) == []
    assert rows(costs) == [("2", 60), ("3", 60), ("4", 60)]
