"""A warehouse of any size, made by SQL in seconds: what resolve and recompute are measured on.

`python -m benchmarks.generate FILE --deals 1000000 --months 36`: about 5 events, 10 calls and one payment a deal.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa

from base.clock import FakeClock
from metrics.inputs.calendar import production_calendar
from metrics.settings import Company
from warehouse.database import Files, open_warehouse

SCRIPT = Path(__file__).parent / "history.sql"
ZONE = ZoneInfo("Europe/Moscow")
# The first day after the history; everything is told on its morning.
UNTIL = date(2026, 12, 1)
TOLD_AT = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)
COMPANY = Company(zone=ZONE, source_types={"amo": "amocrm", "mango": "mango", "accounting": "onec"})


@dataclass(frozen=True)
class Size:
    """Deals in all, spread evenly over the months before the day `until`."""

    deals: int
    months: int
    calls: int = 10  # a deal
    until: date = UNTIL


def files_in(folder: Path, *, memory_limit: str = "2GB") -> Files:
    return Files(warehouse=folder / "warehouse.duckdb", raw=folder / "raw.duckdb", memory_limit=memory_limit)


def make_clock() -> FakeClock:
    return FakeClock(TOLD_AT)


def generate(connection: duckdb.DuckDBPyConnection, size: Size) -> None:
    """Fill an empty warehouse's core relations, inputs, calendar and coverage; the same size gives the same rows."""
    told = {"deals": size.deals, "months": size.months, "calls": size.calls, "until": size.until, "zone": ZONE.key}
    for name, value in told.items():
        connection.execute(f"SET VARIABLE {name} = $1", [value])
    connection.execute(SCRIPT.read_text(encoding="utf-8"))
    days = list(production_calendar("RU", size.until.year - size.months // 12 - 2, size.until.year + 1))
    connection.register(
        "told_days",
        pa.table({"day": pa.array([day for day, _ in days], pa.date32()), "hours": [hours for _, hours in days]}),
    )
    connection.execute("INSERT INTO core.calendar (day, hours, origin) SELECT day, hours, 'country' FROM told_days")
    connection.unregister("told_days")
    for name in ("told_stages", "told_deals", "told_now"):
        connection.execute(f"DROP TABLE temp.{name}")
    connection.execute("CHECKPOINT")


def generate_files(folder: Path, size: Size) -> Files:
    """A new warehouse in `folder`, filled and closed."""
    files = files_in(folder)
    with open_warehouse(files, command="generate", clock=make_clock()) as warehouse:
        generate(warehouse.connection, size)
    return files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--deals", type=int, default=100_000)
    parser.add_argument("--months", type=int, default=36)
    options = parser.parse_args()
    generate_files(options.folder, Size(options.deals, options.months))


if __name__ == "__main__":
    main()
