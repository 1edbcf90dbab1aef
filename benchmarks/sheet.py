"""A table of half a million payments as CSV: landed and conformed, and the run after it in which nothing changed.

`python -m benchmarks.sheet --rows 500000`. The budget is 60 s and 500 MB. Figures that bear comparison on a shared
machine are CPU seconds of a run, its helper processes included.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb

from benchmarks.measure import CLI, Cost, reference_seconds, run
from benchmarks.summary import US, Line, line_of

ROOT = Path(__file__).parent.parent
MEBIBYTE = 1024 * 1024
CONFIG = """
[company]
timezone = "Europe/Moscow"

[sources.accounting]
type = "onec"
path = "files"

[[sources.accounting.sheets]]
kind = "payments"
file = "payments*.csv"
own_account = "40702810600000000101"
columns = { date = "Дата", number = "Номер", amount_in = "Приход", amount_out = "Расход", counterparty = "Контрагент",\
 tax_id = "ИНН", purpose = "Назначение платежа", invoice = "Счет" }
"""
HEADER = "Дата;Номер;Приход;Расход;Контрагент;ИНН;Назначение платежа;Счет\r\n"
FIRST_ON = date(2025, 1, 1)
DAYS = 365
# One in so many goes out.
OUTGOING_EVERY = 6


def write_table(path: Path, rows: int) -> None:
    """A year of payments as a bank's table: cp1251, spaces in amounts, commas before kopecks."""
    with path.open("w", encoding="cp1251", newline="") as file:
        file.write(HEADER)
        for number in range(rows):
            day = f"{FIRST_ON + timedelta(days=number * DAYS // rows):%d.%m.%Y}"
            amount = f"{_amount(number):,.2f}".replace(",", " ").replace(".", ",")
            came, left = ("", amount) if _is_outgoing(number) else (amount, "")
            other = number % 90_000
            file.write(
                f'{day};{number + 1};{came};{left};"ООО ""Покупатель {other}""";77{other:08};Оплата по счету №'
                f" ТП00-{number:06} от {day} за оборудование. В т.ч. НДС (22%) {_amount(number) / 5:.2f};"
                f"ТП00-{number:06}\r\n"
            )


def _amount(number: int) -> Decimal:
    return Decimal(1_000_00 + number * 7_919 % 90_000_000) / 100


def _is_outgoing(number: int) -> bool:
    return number % OUTGOING_EVERY == OUTGOING_EVERY - 1


def measure(rows: int, folder: Path) -> tuple[Cost, Cost]:
    """Load twice into an empty folder: what either run cost.

    Raises:
        RunFailedError: the load failed.
        AssertionError: it ended well and doesn't hold every payment once.
    """
    (folder / "files").mkdir()
    write_table(folder / "files" / "payments.csv", rows)
    (folder / "voronka.toml").write_text(CONFIG, encoding="utf-8")
    command = [sys.executable, "-c", CLI, "--config", str(folder / "voronka.toml"), "sync"]
    first, second = (
        run(command, cwd=ROOT, environment={"PYTHONPATH": str(ROOT)}, log=folder / f"{place}.log") for place in (1, 2)
    )
    with duckdb.connect(str(folder / "var/warehouse.duckdb"), read_only=True) as connection:
        found = connection.execute("SELECT count(*), sum(amount) FROM core.payments").fetchone()
    signed = ((-1 if _is_outgoing(number) else 1) * _amount(number) for number in range(rows))
    if found != (rows, sum(signed, Decimal(0))):
        raise AssertionError(f"{found} instead of {rows} payments")
    return first, second


def main(arguments: Sequence[str] | None = None) -> list[Line]:
    parser = argparse.ArgumentParser(description="A large table: landed and conformed.")
    parser.add_argument("--rows", type=int, default=500_000, help="50000 is the quick mode")
    chosen = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="voronka-benchmark-"))
    reference = reference_seconds()
    try:
        first, second = measure(chosen.rows, folder)
    finally:
        shutil.rmtree(folder)
    print("| CSV rows | CPU s | wall s | peak RSS of all processes, MB | unchanged run, CPU s |")
    print("| --- | --- | --- | --- | --- |")
    print(
        f"| {chosen.rows:,} | {first.cpu_seconds:.1f} | {first.wall_seconds:.1f} | {first.peak_tree_rss / MEBIBYTE:.0f}"
        f" | {second.cpu_seconds:.1f} |"
    )
    print(f"\nTen million additions in Python took {reference:.1f} CPU s before.")
    what = "a table of payments as CSV"
    return [line_of(what, US, chosen.rows, first), line_of(f"{what}, unchanged", US, chosen.rows, second)]


if __name__ == "__main__":
    main()
