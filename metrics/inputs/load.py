"""Bringing the input files into the warehouse: all valid or nothing, and only what changed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import duckdb
import pyarrow as pa

from base.clock import Clock
from base.errors import InputError
from base.text import Text, say
from metrics.inputs.calendar import package_version, production_calendar
from metrics.inputs.declared import CALENDAR
from metrics.inputs.plans import check_plans
from metrics.inputs.reader import ReadFile, Row, list_strangers, read_inputs
from metrics.inputs.validate import validate
from metrics.settings import Company
from metrics.versions import input_version
from models.arrow import arrow_type, find_relation
from warehouse.database import transaction

# Records older than this many years are slips of a keyboard; no calendar is made for them.
LONGEST_HISTORY = 15


@dataclass(frozen=True, kw_only=True)
class InputsReport:
    """What loading did: the files whose content changed (`calendar:RU` is the country's calendar), the digest of all
    inputs now in force, and warnings that stop nothing."""

    changed: list[str] = field(default_factory=list)
    version: str = ""
    problems: list[Text] = field(default_factory=list)


def load_inputs(connection: duckdb.DuckDBPyConnection, company: Company, clock: Clock) -> InputsReport:
    """Read and validate every input file, and replace the relations of those that changed, in one transaction.

    A missing file is an empty one. Nothing is written when nothing changed.

    Raises:
        InputError: files hold mistakes; all of them are named with file and line, and nothing was loaded.
    """
    inputs = read_inputs(company.inputs_dir, company.calendar)
    check_plans(connection, company, clock, inputs)
    problems = validate(inputs)
    if problems:
        raise _refuse(problems)
    stored = dict(connection.execute("SELECT file, digest FROM meta.inputs").fetchall())
    changed = [name for name, read in inputs.items() if read.digest != stored.get(name, "")]
    calendar = _wanted_calendar(connection, company, clock, inputs[CALENDAR.name])
    is_calendar_stale = stored.get(calendar.name) != calendar.digest
    stale = [name for name in stored if name.startswith("calendar:") and name != calendar.name]
    if changed or is_calendar_stale or stale:
        with transaction(connection):
            for name in changed:
                _replace_file(connection, inputs[name], clock.now())
            if is_calendar_stale or stale:
                _replace_calendar(connection, calendar, inputs[CALENDAR.name].rows, clock.now())
    changed += [calendar.name] if is_calendar_stale else []
    return InputsReport(changed=changed, version=input_version(connection), problems=list_strangers(company.inputs_dir))


def arrow_rows(read: ReadFile) -> pa.Table:
    """A file's rows in the columns and types of its relation; columns no file fills are NULL."""
    columns = find_relation(read.declared.relation).columns
    arrays = [
        pa.array([_plain(row.values.get(column.name), column) for row in read.rows], arrow_type(column))
        for column in columns
    ]
    return pa.Table.from_arrays(arrays, names=[column.name for column in columns])


def _plain(value: Any, column: Any) -> Any:
    # DOUBLE columns hold plans, rates and shares; a Decimal is no Arrow float.
    return float(value) if value is not None and arrow_type(column) == pa.float64() else value


def _refuse(problems: list[Text]) -> InputError:
    return InputError(
        say(
            "Во входных файлах ошибки ({count}); ничего не загружено.",
            "The inputs hold mistakes ({count}); nothing was loaded.",
            count=len(problems),
        ),
        tuple(problems),
        remedy=say("Исправьте строки и повторите.", "Mend these lines and repeat."),
    )


def _replace_file(connection: duckdb.DuckDBPyConnection, read: ReadFile, now: datetime) -> None:
    if read.declared is not CALENDAR:
        relation = read.declared.relation
        connection.execute(f"DELETE FROM {relation}")
        _append(connection, relation, arrow_rows(read))
    _remember(connection, read.declared.name, read.digest, len(read.rows), now)


def _append(connection: duckdb.DuckDBPyConnection, relation: str, rows: pa.Table) -> None:
    if rows.num_rows == 0:
        return
    connection.register("input_rows", rows)
    try:
        connection.execute(f"INSERT INTO {relation} BY NAME SELECT * FROM input_rows")
    finally:
        connection.unregister("input_rows")


def _remember(connection: duckdb.DuckDBPyConnection, name: str, digest: str, rows: int, now: datetime) -> None:
    connection.execute("DELETE FROM meta.inputs WHERE file = $file", {"file": name})
    if digest:
        connection.execute(
            "INSERT INTO meta.inputs (file, digest, rows, loaded_at) VALUES ($file, $digest, $rows, $now)",
            {"file": name, "digest": digest, "rows": rows, "now": now},
        )


# ── calendar ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, kw_only=True)
class _Calendar:
    country: str
    first_year: int
    last_year: int
    digest: str

    @property
    def name(self) -> str:
        return f"calendar:{self.country}"


def _wanted_calendar(
    connection: duckdb.DuckDBPyConnection, company: Company, clock: Clock, overrides: ReadFile
) -> _Calendar:
    first, last = _spanned_years(connection, clock.now().astimezone(company.zone).year)
    parts = [company.calendar, first, last, package_version(), overrides.digest]
    digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    return _Calendar(country=company.calendar, first_year=first, last_year=last, digest=digest)


def _spanned_years(connection: duckdb.DuckDBPyConnection, this_year: int) -> tuple[int, int]:
    """The years of the records and the present one, with one more on each side."""
    # Of the least time and not the least year: taking a year of each of a hundred million times is seconds a night.
    row = connection.execute(
        """
        SELECT year(least(
            (SELECT min(created_at) FROM core.deals WHERE created_at >= $oldest),
            (SELECT min(occurred_at) FROM core.deal_events WHERE occurred_at >= $oldest),
            (SELECT min(started_at) FROM core.calls WHERE started_at >= $oldest),
            (SELECT min(paid_on) FROM core.payments WHERE paid_on >= $oldest),
            $this_year
        ))
        """,
        {"oldest": date(this_year - LONGEST_HISTORY, 1, 1), "this_year": date(this_year, 1, 1)},
    ).fetchone()
    return int(row[0] if row else this_year) - 1, this_year + 1


def _replace_calendar(
    connection: duckdb.DuckDBPyConnection, calendar: _Calendar, overrides: list[Row], now: datetime
) -> None:
    days: dict[date, tuple[float, str]] = {
        day: (hours, "country")
        for day, hours in production_calendar(calendar.country, calendar.first_year, calendar.last_year)
    }
    for row in overrides:
        days[row.values["day"]] = (float(row.values["hours"]), "input")
    connection.execute("DELETE FROM core.calendar")
    connection.execute("DELETE FROM meta.inputs WHERE starts_with(file, 'calendar:')")
    rows = pa.table(
        {
            "day": pa.array(list(days), pa.date32()),
            "hours": pa.array([hours for hours, _ in days.values()], pa.float64()),
            "origin": pa.array([origin for _, origin in days.values()], pa.string()),
        }
    )
    _append(connection, CALENDAR.relation, rows)
    _remember(connection, calendar.name, calendar.digest, len(days), now)
