"""Publishing a warehouse: a plain copy of the file, and the analysts' file with and without personal data.

`python -m benchmarks.publish --calls 2000000`: calls, half as many contacts, deals and payments each, with events and
field values; with two million the file has about half a gigabyte. Rows are made up by SQL (benchmarks/publish.sql).
Every kind is published twice and the better time told; the file is in the page cache for all of them.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb

from base.clock import SystemClock
from benchmarks.measure import reference_seconds
from benchmarks.summary import BY_HAND, US, Line
from warehouse.company_key import throwaway_key
from warehouse.layout import WAREHOUSE_OPTIONS
from warehouse.migrate import HISTORIES, ensure_schema, open_file
from warehouse.publish import publish_copy, publish_masked
from warehouse.quoting import quote_literal

SCRIPT = Path(__file__).parent / "publish.sql"
GIGABYTE = 1 << 30
MEBIBYTE = 1 << 20
# Who does it, and how.
PLAIN, FULL = "plain copy of the file", f"{US}, full"
REWRITTEN = f"{BY_HAND}: COPY FROM DATABASE"
MASKED, NONE = f"{US}, masked", f"{US}, none"


def main(arguments: Sequence[str] | None = None) -> list[Line]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2_000_000)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="voronka-publish-") as folder:
        warehouse, published = Path(folder) / "warehouse.duckdb", Path(folder) / "analytics.duckdb"
        fill(warehouse, chosen.calls)
        key = throwaway_key()
        kinds: dict[str, Callable[[], object]] = {
            PLAIN: lambda: shutil.copyfile(warehouse, published),
            FULL: lambda: publish_copy(warehouse, published),
            REWRITTEN: lambda: rewrite(warehouse, published),
            MASKED: lambda: publish_masked(warehouse, published, "masked", key),
            NONE: lambda: publish_masked(warehouse, published, "none", key),
        }
        return _tell(warehouse, published, kinds)


def fill(warehouse: Path, calls: int) -> None:
    """A new warehouse, closed; the same number of calls gives the same rows."""
    ensure_schema(warehouse, "warehouse", SystemClock())
    with open_file(warehouse, HISTORIES["warehouse"].options) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for name, value in {"calls": calls, "people": calls // 2}.items():
            connection.execute(f"SET VARIABLE {name} = $1", [value])
        connection.execute(SCRIPT.read_text(encoding="utf-8"))
        connection.execute("CHECKPOINT")


def rewrite(warehouse: Path, published: Path) -> None:
    """What DuckDB takes to write the same rows anew, with nothing hidden: masking can't cost less."""
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH {quote_literal(str(warehouse))} AS working (READ_ONLY)")
        connection.execute(f"ATTACH {quote_literal(str(published))} AS published {WAREHOUSE_OPTIONS}")
        connection.execute("COPY FROM DATABASE working TO published")


def _tell(warehouse: Path, published: Path, kinds: dict[str, Callable[[], object]]) -> list[Line]:
    size = warehouse.stat().st_size
    print(f"Warehouse: {size / MEBIBYTE:,.0f} MiB; reference loop {reference_seconds():.2f} CPU s\n")
    print("| published | wall s | CPU s | wall s a GiB | CPU s a GiB | file, MiB |\n|---|---|---|---|---|---|")
    lines = []
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        counted = connection.execute("SELECT sum(estimated_size)::BIGINT FROM duckdb_tables()").fetchone()
    assert counted is not None
    for name, publish in kinds.items():
        wall, cpu = min(_measure(published, publish) for _ in range(2))
        made, gigabytes = published.stat().st_size / MEBIBYTE, size / GIGABYTE
        print(
            f"| {name} | {wall:.2f} | {cpu:.2f} | {wall / gigabytes:.1f} | {cpu / gigabytes:.1f} | {made:,.0f} |",
            flush=True,
        )
        is_whole = name in (PLAIN, FULL)
        what = f"a warehouse of {size / MEBIBYTE:,.0f} MiB {'copied' if is_whole else 'written anew'}"
        lines.append(Line(what=what, who=name, count=int(counted[0]), cpu_seconds=cpu, wall_seconds=wall))
    return lines


def _measure(published: Path, publish: Callable[[], object]) -> tuple[float, float]:
    published.unlink(missing_ok=True)
    started, cpu = time.perf_counter(), time.process_time()
    publish()
    return time.perf_counter() - started, time.process_time() - cpu


if __name__ == "__main__":
    main()
