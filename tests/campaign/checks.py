"""What must hold of a project's files: at any moment, after a night, and against a night that nothing disturbed."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from metrics.catalogue import load_catalogue
from metrics.invariants import check_period
from metrics.periods import parse_period
from models import WAREHOUSE
from tests.e2e.state import TIMES, State, duplicate_keys, read_log, read_state
from tests.engine import IS_LAKE, lake_at, opened_lake

LOG = "raw.records"
Row = tuple[Any, ...]
# As `read_state` writes an instant; "for ever" is none.
_MOMENT = re.compile(r"datetime\.datetime\((?P<parts>[\d, ]+), tzinfo=<UTC>\)")
LAST_YEAR = 9999

# A batch commits its records, its position and its count in one transaction: a torn one shows in this sum.
TORN_RUNS = """
SELECT r.source, r.stream, r.run_id, r.rows AS told, count(l.seq) AS stored
FROM landing.raw.runs AS r
LEFT JOIN landing.raw.records AS l USING (source, stream, run_id)
GROUP BY ALL HAVING told <> stored
"""
TWICE = "SELECT seq, count(*) FROM landing.raw.records GROUP BY seq HAVING count(*) > 1"
# A keyset position says that everything up to its second is stored: some record must stand there, or a run that
# ended well must have proved that there is none.
AHEAD = """
SELECT p.source, p.stream, p.position
FROM landing.raw.positions AS p
WHERE p.position->>'updated_at' IS NOT NULL
    AND (p.position->>'updated_at')::BIGINT > (
        SELECT coalesce(max(r.cursor), 0) // 1000000 FROM landing.raw.records AS r
        WHERE r.source = p.source AND r.stream = p.stream
    )
    AND NOT EXISTS (
        SELECT 1 FROM landing.raw.runs AS n
        WHERE n.source = p.source AND n.stream = p.stream AND n.status = 'done'
    )
"""
WATERMARK_AHEAD = """
SELECT w.source, w.stream, w.seq
FROM meta.watermarks AS w
WHERE w.seq > (
    SELECT coalesce(max(r.seq), 0) FROM landing.raw.records AS r WHERE r.source = w.source AND r.stream = w.stream
)
"""


@contextmanager
def opened_copy(var: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Both files as a writer would find them, logs replayed, on a copy: looking must not change what a night finds.

    A file that is not there yet is empty. A lake is looked at as it is: whoever looks changes nothing there.
    """
    if (lake := lake_at(var.parent)) is not None:
        with opened_lake(lake) as connection:
            yield connection
        return
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        for name, catalog in (("warehouse", "warehouse"), ("raw", "landing")):
            for path in var.glob(f"{name}.duckdb*"):
                if path.suffix in (".duckdb", ".wal"):
                    shutil.copyfile(path, Path(folder) / path.name)
            connection.execute(f"ATTACH '{folder}/{name}.duckdb' AS {catalog}")
        connection.execute("USE warehouse")
        yield connection


def broken_rules(var: Path, *, same_moment: bool = True) -> list[str]:
    """Rules of the files that do not hold, in words; [] is good. They hold at any moment, also after a kill.

    `same_moment=False`: the two files were copied at different moments, so what one says of the other may be wrong.
    """
    rules = [("a run's count is not what is stored", TORN_RUNS), ("seq twice", TWICE), ("position ahead", AHEAD)]
    if same_moment:
        rules.append(("watermark ahead of the log", WATERMARK_AHEAD))
    broken = []
    with opened_copy(var) as connection:
        for name, query in rules:
            try:
                rows = connection.execute(query).fetchall()
            except duckdb.CatalogException:
                continue  # killed before the file had its tables
            broken += [f"{name}: {row}" for row in rows[:3]]
    if IS_LAKE:
        broken += [f"key twice: {name}, {count}" for name, count in duplicate_keys(var / "warehouse.duckdb").items()]
    elif (var / "warehouse.duckdb").exists() and not broken:
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "warehouse.duckdb"
            for path in (var / "warehouse.duckdb", var / "warehouse.duckdb.wal"):
                if path.exists():
                    shutil.copyfile(path, copy.with_name(path.name))
            duckdb.connect(copy).close()
            broken += [f"key twice: {name}, {count}" for name, count in duplicate_keys(copy).items()]
    return broken


def check_evidence(warehouse: Path) -> None:
    """Facts of every period are the sums of their evidence, as users see both; raises `InvariantError`."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        periods = connection.execute("SELECT period FROM meta.periods ORDER BY period").fetchall()
        for (name,) in periods:
            check_period(connection, load_catalogue(), parse_period(name)[0])


@dataclass
class Picture:
    """All that a project's files say: the log, the warehouse's relations, the published file's."""

    log: Counter[Row]
    state: State
    published: State


@dataclass
class Losses:
    """Rows that differ from the undisturbed night's, over all relations."""

    lost: int = 0
    doubled: int = 0
    wrong: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        return self.lost + self.doubled + self.wrong

    def add(self, other: Losses) -> None:
        self.lost += other.lost
        self.doubled += other.doubled
        self.wrong += other.wrong
        self.examples += other.examples

    def note(self, kind: str, relation: str, rows: list[Row]) -> None:
        setattr(self, kind, getattr(self, kind) + len(rows))
        self.examples += [f"{kind} {relation}: {row}" for row in rows[:2]]


def take_picture(folder: Path, *, loaded_since: datetime) -> Picture:
    """Of a project after a night. Moments from `loaded_since` on are those of a load: where a source keeps no log, a
    change is dated by the load that found it, and two undisturbed nights differ in that."""
    var = folder / "var"

    def state(path: Path) -> State:
        return {
            name: Counter({_undated(row, loaded_since): count for row, count in rows.items()})
            if any(_MOMENT.search(str(row)) for row in rows)
            else rows
            for name, rows in read_state(path).items()
        }

    return Picture(read_log(var / "raw.duckdb"), state(var / "warehouse.duckdb"), state(folder / "analytics.duckdb"))


def _undated(row: Row, since: datetime) -> Row:
    def plain(found: re.Match[str]) -> str:
        moment = datetime(*(int(part) for part in found["parts"].split(", ")), tzinfo=UTC)  # type: ignore[arg-type]
        return "<load>" if since <= moment and moment.year < LAST_YEAR else found[0]

    return tuple(_MOMENT.sub(plain, value) for value in row)


def compare(truth: Picture, found: Picture, *, log_is_equal: bool = True) -> Losses:
    """What `found` has lost, doubled, or says otherwise.

    `log_is_equal=False`: the log may hold versions the undisturbed night never saw (older files, a vendor that
    answered yesterday's data); then only what the log lacks counts.
    """
    losses = Losses()
    losses.note("lost", LOG, [row for row in truth.log if row not in found.log])
    if log_is_equal:
        losses.note("doubled", LOG, [row for row, count in found.log.items() if 0 < truth.log[row] < count])
        losses.note("wrong", LOG, [row for row in found.log if row not in truth.log])
    for name in truth.state:
        _compare_relation(losses, name, truth.state[name], found.state[name])
        _compare_relation(losses, name, found.state[name], found.published[name], prefix="published ")
    return losses


def _compare_relation(losses: Losses, name: str, truth: Counter[Row], found: Counter[Row], prefix: str = "") -> None:
    if truth == found:
        return
    table = WAREHOUSE.tables[name]
    columns = [column for column in table.columns.keys() if column not in TIMES]  # noqa: SIM118
    places = [columns.index(column.name) for column in table.primary_key.columns if column.name in columns]

    def by_key(rows: Counter[Row]) -> dict[Row, Counter[Row]]:
        keyed: dict[Row, Counter[Row]] = {}
        for row, count in rows.items():
            keyed.setdefault(tuple(row[place] for place in places), Counter())[row] += count
        return keyed

    expected, got = by_key(truth), by_key(found)
    relation = prefix + name
    none: Counter[Row] = Counter()
    losses.note("lost", relation, [key for key in expected if key not in got])
    doubled = [key for key, rows in got.items() if rows.total() > max(1, expected.get(key, none).total())]
    losses.note("doubled", relation, doubled)
    others = got.keys() - set(doubled)
    losses.note("wrong", relation, [row for key in others for row in got[key] - expected.get(key, none)])
