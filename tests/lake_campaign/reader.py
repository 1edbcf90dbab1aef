"""`python -m tests.lake_campaign.reader FILE`: an analyst who asks without pause, each time with a new connection.

Every picture is held against itself and against the one before; a line of JSON about each goes into FILE, by which a
reader that was killed goes on: {"queries": 12, "wrong": ["…"], "seen": {…}}. Whoever reads sees whole batches only.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import duckdb

from models import WAREHOUSE
from models.arrow import key_columns
from tests.campaign.checks import TORN_RUNS, TWICE, WATERMARK_AHEAD
from warehouse.engine import may_pass
from warehouse.extensions import load_extensions

# The statement for analysts, and the one for the log.
STATEMENTS = "VORONKA_CAMPAIGN_ATTACH"
RULES = {
    "watermark ahead of the log": WATERMARK_AHEAD,
    "a run's count is not what is stored": TORN_RUNS,
    "seq twice": TWICE,
}
PAUSE_SECONDS = 0.5

# Records of a stream that are conformed, by its watermark, and have no row; and rows that come from none of those. The
# log's picture is younger than the warehouse's, and what stands in it up to a watermark stays as it is.
_TORN_SLICE = """
WITH conformed AS (
    SELECT DISTINCT r.record_id AS id
    FROM landing.raw.records AS r
    JOIN meta.watermarks AS w USING (source, stream)
    WHERE r.source = $source AND r.stream = $stream AND r.seq <= w.seq AND r.op = 'put'
        AND r.record_id NOT IN (
            SELECT record_id FROM meta.rejects AS j WHERE j.source = $source AND j.stream = $stream
        )
)
SELECT id, 'no row' AS what FROM conformed
WHERE id NOT IN (SELECT {key} FROM {relation} WHERE source = $source)
UNION ALL
SELECT {key}, 'not conformed yet' FROM {relation}
WHERE source = $source AND is_deleted IS NOT TRUE AND {key} NOT IN (FROM conformed)
"""
# Streams of which each record is one row under its own number.
ONE_TO_ONE = (
    ("amo", "leads", "core.deals"),
    ("amo", "contacts", "core.contacts"),
    ("amo", "companies", "core.companies"),
)
# What only grows, by source and stream. A reading that has ended rests a little before its last record: OVERLAP.
OVERLAP = 3600
_GROWING = {
    "watermark": "SELECT source, stream, seq FROM meta.watermarks",
    "complete until": "SELECT source, stream, epoch_us(complete_until) FROM meta.coverage"
    " WHERE complete_until IS NOT NULL",
    "position": "SELECT source, stream, position->>'updated_at' FROM landing.raw.positions"
    " WHERE position->>'updated_at' IS NOT NULL",
    "records": "SELECT source, stream, count(*) FROM landing.raw.records GROUP BY ALL",
}
# Empty ones are most of them, and a look at each takes as long.
_WITH_FILES = "SELECT table_name FROM ducklake_table_info('voronka') WHERE file_count > 0"
# The log up to a place: it is never changed.
_PREFIX = "SELECT count(*), coalesce(bit_xor(hash(r)), 0)::VARCHAR FROM landing.raw.records AS r WHERE seq <= $last"

Seen = dict[str, Any]


class Picture:
    """One connection, one transaction: what everything is at one moment."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self.queries = 0
        self.wrong: list[str] = []

    def ask(self, query: str, values: Mapping[str, object] | None = None) -> list[tuple[Any, ...]]:
        self.queries += 1
        return self.connection.execute(query, dict(values or {})).fetchall()

    def note(self, what: str, rows: list[tuple[Any, ...]]) -> None:
        self.wrong += [f"{what}: {row}" for row in rows[:3]]

    def look(self, before: Seen, one_to_one: Sequence[tuple[str, str, str]] = ONE_TO_ONE) -> Seen:
        """Hold the picture against its rules and against what was seen before; gives what was seen now."""
        self.connection.execute("BEGIN")
        try:
            return self._look(before, one_to_one)
        finally:
            # DuckDB itself ends the process when it closes a transaction whose PostgreSQL is gone.
            with suppress(duckdb.Error):
                self.connection.execute("ROLLBACK")

    def _look(self, before: Seen, one_to_one: Sequence[tuple[str, str, str]]) -> Seen:
        # The warehouse's moment comes first.
        self.ask("SELECT count(*) FROM meta.watermarks")
        for name, query in RULES.items():
            self.note(name, self.ask(query))
        for source, stream, relation in one_to_one:
            key = key_columns(WAREHOUSE.tables[relation])[1]
            torn = _TORN_SLICE.format(key=key, relation=relation)
            self.note(f"half a slice in {relation}", self.ask(torn, {"source": source, "stream": stream}))
        self._look_for_twins()
        seen = {name: self._values(query) for name, query in _GROWING.items()}
        for name, values in seen.items():
            known, allowed = before.get(name, {}), OVERLAP if name == "position" else 0
            fallen = [(key, was, values.get(key)) for key, was in known.items() if values.get(key, -1) < was - allowed]
            self.note(f"{name} went back", fallen)
        seen["log"] = self._look_at_log(before.get("log"))
        return seen

    def _look_for_twins(self) -> None:
        queries = []
        with_files = {name for (name,) in self.ask(_WITH_FILES)}
        for table in WAREHOUSE.sorted_tables:
            if table.schema == "core" and table.name in with_files and (keys := key_columns(table)):
                listed = ", ".join(f'"{key}"' for key in keys)
                twins = f"SELECT 1 FROM {table.fullname} GROUP BY {listed} HAVING count(*) > 1"
                queries.append(f"SELECT '{table.fullname}', count(*) FROM ({twins}) HAVING count(*) > 0")
        if queries:
            self.note("key twice", self.ask(" UNION ALL ".join(queries)))

    def _values(self, query: str) -> dict[str, int]:
        return {f"{source} {stream}": int(value) for source, stream, value in self.ask(query)}

    def _look_at_log(self, before: list[Any] | None) -> list[Any]:
        if before is not None:
            last, count, mixed = before
            ((now_count, now_mixed),) = self.ask(_PREFIX, {"last": last})
            if (now_count, now_mixed) != (count, mixed):
                self.note("the log was changed", [(last, count, now_count)])
        ((last,),) = self.ask("SELECT coalesce(max(seq), 0) FROM landing.raw.records")
        ((count, mixed),) = self.ask(_PREFIX, {"last": last})
        return [last, count, mixed]


@contextmanager
def attached(statements: Sequence[str]) -> Iterator[duckdb.DuckDBPyConnection]:
    """An analyst's DuckDB: the warehouse as `voronka`, the log as `landing`."""
    with duckdb.connect(config={"threads": 1, "autoinstall_known_extensions": False}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        load_extensions(connection)
        for statement in statements:
            connection.execute(statement)
        connection.execute("USE voronka")
        yield connection


def read_once(statements: Sequence[str], before: Seen) -> tuple[Picture | None, Seen]:
    """One picture; None when PostgreSQL was away."""
    try:
        with attached(statements) as connection:
            picture = Picture(connection)
            return picture, picture.look(before)
    except duckdb.Error as error:
        if not may_pass(error):
            raise
        return None, before


def main() -> None:
    path, statements = Path(sys.argv[1]), json.loads(os.environ[STATEMENTS])
    seen = _seen_before(path)
    with path.open("a", encoding="utf-8") as told:
        while True:
            began = time.monotonic()
            picture, seen = read_once(statements, seen)
            line = {
                "queries": picture.queries if picture else 0,
                "wrong": picture.wrong if picture else [],
                "away": picture is None,
                "seconds": round(time.monotonic() - began, 2),
                "seen": seen,
            }
            told.write(json.dumps(line) + "\n")
            told.flush()
            if picture is None:
                time.sleep(PAUSE_SECONDS)


def _seen_before(path: Path) -> Seen:
    """What the last whole line says; one that a kill has cut is taken away."""
    lines = path.read_text("utf-8").splitlines(keepends=True) if path.exists() else []
    if lines and not lines[-1].endswith("\n"):
        path.write_text("".join(lines[:-1]), "utf-8")
        lines.pop()
    return dict(json.loads(lines[-1])["seen"]) if lines else {}


if __name__ == "__main__":
    main()
