"""Publishing a warehouse: a plain copy of the file, and the analysts' file with and without personal data.

`python -m benchmarks.publish --calls 4000000`: calls, half as many contacts and deals each; with four million the file
has about half a gigabyte. Rows are made up by SQL. Every kind is published twice and the better time told; the file
is in the page cache for all of them.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from base.clock import SystemClock
from benchmarks.measure import reference_seconds
from warehouse.company_key import throwaway_key
from warehouse.migrate import HISTORIES, ensure_schema, open_file
from warehouse.publish import publish_copy, publish_masked

GIGABYTE = 1 << 30
MEBIBYTE = 1 << 20

_PHONE = "'+79' || lpad((hash(i % {people}) % 1000000000)::VARCHAR, 9, '0')"
_ROWS = (
    """
    INSERT INTO core.calls BY NAME
    SELECT 'mango' AS source, 'MToxOjEwMD' || hex(hash(i)) AS call_id,
        TIMESTAMPTZ '2024-01-01 06:00:00+00' + INTERVAL (i * 20) SECOND AS started_at, started_at::DATE AS local_date,
        if(i % 3 = 0, 'in', 'out') AS direction, {phone} AS external_number,
        ltrim(external_number, '+') AS external_number_raw, (100 + i % 40)::VARCHAR AS extension,
        'p' || (i % 40) AS person_id, i % 4 <> 0 AS is_answered, hash(i) % 600 AS talk_seconds, 1 AS leg_count,
        i AS version, started_at AS loaded_at
    FROM range({calls}) AS t(i)
    """,
    """
    INSERT INTO calc.calls BY NAME
    SELECT source, call_id, started_at, local_date, direction, external_number, extension, person_id, talk_seconds,
        is_answered, direction = 'out' AS is_attempt FROM core.calls
    """,
    """
    INSERT INTO core.contacts BY NAME
    SELECT 'amo' AS source, i::VARCHAR AS contact_id, 'Имя' || i % 997 || ' Фамилия' || hash(i) % 90000 AS name,
        [{phone}] AS phones, ['user' || i || '@example.ru'] AS emails, i AS version FROM range({people}) AS t(i)
    """,
    """
    INSERT INTO core.contact_phones BY NAME
    SELECT source, contact_id, unnest(phones) AS phone, make_timestamptz(0) AS first_seen_at, version
    FROM core.contacts
    """,
    """
    INSERT INTO core.deals BY NAME
    SELECT 'amo' AS source, i::VARCHAR AS deal_id, '7' AS pipeline_id, (hash(i) % 8)::VARCHAR AS stage_id,
        'Поставка оборудования по запросу ' || hash(i) AS title, (hash(i) % 900000)::DECIMAL(18, 2) AS amount,
        'RUB' AS currency, 'https://example.amocrm.ru/leads/detail/' || i AS url, i AS version
    FROM range({people}) AS t(i)
    """,
)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=4_000_000)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="voronka-publish-") as folder:
        warehouse, published = Path(folder) / "warehouse.duckdb", Path(folder) / "analytics.duckdb"
        _fill(warehouse, chosen.calls)
        key = throwaway_key()
        kinds: dict[str, Callable[[], object]] = {
            "plain copy of the file": lambda: shutil.copyfile(warehouse, published),
            "full": lambda: publish_copy(warehouse, published),
            "masked": lambda: publish_masked(warehouse, published, "masked", key),
            "none": lambda: publish_masked(warehouse, published, "none", key),
        }
        _tell(warehouse, published, kinds)


def _fill(warehouse: Path, calls: int) -> None:
    ensure_schema(warehouse, "warehouse", SystemClock())
    people = calls // 2
    phone = _PHONE.format(people=people)
    with open_file(warehouse, HISTORIES["warehouse"].options) as connection:
        for query in _ROWS:
            connection.execute(query.format(calls=calls, people=people, phone=phone))
        connection.execute("CHECKPOINT")


def _tell(warehouse: Path, published: Path, kinds: dict[str, Callable[[], object]]) -> None:
    size = warehouse.stat().st_size
    print(f"Warehouse: {size / MEBIBYTE:,.0f} MiB; reference loop {reference_seconds():.2f} CPU s\n")
    print("| published | wall s | CPU s | wall s a GiB | to the plain copy | file, MiB |\n|---|---|---|---|---|---|")
    plain = 0.0
    for name, publish in kinds.items():
        wall, cpu = min(_measure(published, publish) for _ in range(2))
        plain = plain or wall
        made = published.stat().st_size / MEBIBYTE
        print(f"| {name} | {wall:.2f} | {cpu:.2f} | {wall * GIGABYTE / size:.1f} | {wall / plain:.2f} | {made:,.0f} |")


def _measure(published: Path, publish: Callable[[], object]) -> tuple[float, float]:
    published.unlink(missing_ok=True)
    started, cpu = time.perf_counter(), time.process_time()
    publish()
    return time.perf_counter() - started, time.process_time() - cpu


if __name__ == "__main__":
    main()
