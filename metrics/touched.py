"""Which periods a night has to compute."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from metrics.availability import find_availability, find_bounds, read_known
from metrics.catalogue import Catalogue
from metrics.compute import both
from metrics.flags.catalogue import Flag, load_flags
from metrics.periods import Period, month_of, parse_period
from metrics.settings import Company
from metrics.versions import core_version, input_version

# Where a record falls into a period; what has no row here contributes to no metric.
_RECORDS = (
    "leads",
    "stage_events",
    "stage_passes",
    "kind_touches",
    "terminal_events",
    "stage_times",
    "calls",
    "call_notes",
    "payments",
    "paid_deals",
)


def periods_touched(
    connection: duckdb.DuckDBPyConnection, company: Company, catalogue: Catalogue, flags: Sequence[Flag] | None = None
) -> list[Period]:
    """The open periods whose stored facts may differ from what would be computed now, in order.

    Every month with records counts, and every other period that was once computed. A later record can change an
    earlier month (a cohort's call, a payment found for an old deal), so a period is left out only when everything it
    was computed with is the same: core records, inputs, rules, and until when its sources are complete.
    """
    stored = {
        str(period): (str(state), versions)
        for period, state, *versions in connection.execute(
            "SELECT period, state, input_version, core_version FROM meta.periods"
        ).fetchall()
    }
    known = {period for name in stored for period in parse_period(name)} | _months_with_records(connection)
    present = [input_version(connection), core_version(connection)]
    flags = load_flags() if flags is None else flags
    touched = []
    for period in sorted(known):
        state, versions = stored.get(period.name, ("", []))
        if state == "closed":
            continue
        if versions != present or not _is_current(connection, company, catalogue, flags, period):
            touched.append(period)
    return touched


def _months_with_records(connection: duckdb.DuckDBPyConnection) -> set[Period]:
    queries = " UNION ".join(
        f"SELECT DISTINCT date_trunc('month', local_date)::DATE FROM calc.{name} WHERE local_date IS NOT NULL"
        for name in _RECORDS
    )
    return {month_of(day) for (day,) in connection.execute(queries).fetchall()}


def _is_current(
    connection: duckdb.DuckDBPyConnection, company: Company, catalogue: Catalogue, flags: Sequence[Flag], period: Period
) -> bool:
    """Rules and completeness are those the stored facts and flags were computed with."""
    known = read_known(connection, period)
    looked = find_bounds(connection, company, flags, period, known=known)
    availability = both(find_availability(connection, company, catalogue, period, known=known), looked)
    stored_flags = connection.execute(
        "SELECT flag, rule_version, absent IS NULL FROM meta.period_flags WHERE period = $period",
        {"period": period.name},
    ).fetchall()
    if set(stored_flags) != {(flag.key, flag.rule_version(company), flag.key not in looked.absent) for flag in flags}:
        return False
    stored_bounds = connection.execute(
        "SELECT basis, as_of, covered FROM calc.periods WHERE period = $period", {"period": period.name}
    ).fetchall()
    bounds = {basis: (bound.as_of, list(bound.covered)) for basis, bound in availability.bounds.items()}
    if {basis: (as_of, covered) for basis, as_of, covered in stored_bounds} != bounds:
        return False
    rules = connection.execute(
        "SELECT DISTINCT metric, rule_version FROM facts.kpi WHERE period = $period", {"period": period.name}
    ).fetchall()
    absent = connection.execute(
        "SELECT metric FROM meta.absent_metrics WHERE period = $period", {"period": period.name}
    ).fetchall()
    if {str(metric) for (metric,) in absent} != set(availability.absent):
        return False
    present = {metric.key: metric for metric in catalogue if metric.key not in availability.absent}
    stored = {str(metric): str(version) for metric, version in rules}
    # What is made of plans may have no row at all; what is counted has at least the company's.
    expected = {key: metric.rule_version(company) for key, metric in present.items() if key in stored or not metric.of}
    return stored == expected
