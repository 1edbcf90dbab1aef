"""What can be counted, and until when: the loaded sources' completeness, and the inputs a metric requires.

Without what it needs a metric is absent, with the reason, and never zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import duckdb

from base.text import Text, say
from base.times import local_day, start_of_day
from metrics.catalogue import Catalogue
from metrics.declared import Declared
from metrics.header import FACETS
from metrics.periods import Period
from metrics.requirements import lack_of, read_requirements
from metrics.settings import Company

_FACET_NAMES = {
    "crm": say("CRM", "the CRM"),
    "calls": say("телефонии", "telephony"),
    "money": say("учёта (платежи)", "accounting (payments)"),
}


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """A period as metrics of one basis see it; instants are UTC, ends exclusive."""

    period: Period
    basis: str
    starts_at: datetime
    ends_at: datetime
    as_of: datetime
    covered: tuple[str, ...]  # facets of the basis that are loaded
    counted_to: date  # first local day that is not counted

    def sees(self, metric: Declared) -> bool:
        """Every facet the metric may use is there, so its plain row is whole."""
        return set(metric.facets + metric.optional_facets) <= set(self.covered)


@dataclass(frozen=True)
class Availability:
    """Of one period: bounds by basis, and the metrics that can't be computed with the reason."""

    bounds: Mapping[str, Bounds]
    absent: Mapping[str, Text]


@dataclass(frozen=True)
class Known:
    """What decides what can be counted in a period: read once, it serves metrics and flags alike."""

    coverage: Mapping[str, datetime]  # facet -> until when it is complete
    stages: Mapping[str, bool]  # kind -> confirmed by a person
    inputs: Mapping[str, bool]  # requirement -> met


def read_known(connection: duckdb.DuckDBPyConnection, period: Period) -> Known:
    return Known(
        read_coverage(connection), _read_stage_kinds(connection, period), read_requirements(connection, period)
    )


def read_coverage(connection: duckdb.DuckDBPyConnection) -> dict[str, datetime]:
    """Until when each loaded facet is complete over all sources in use, UTC, exclusive.

    A facet with a stream that was never completely loaded is left out, as is one without a source.
    """
    rows = connection.execute(
        """
        SELECT c.facet, min(c.complete_until)
        FROM meta.coverage AS c
        LEFT JOIN meta.sources AS s ON s.source = c.source
        WHERE c.facet <> '' AND coalesce(s.is_enabled, TRUE)
        GROUP BY c.facet
        HAVING count(*) = count(c.complete_until)
        """
    ).fetchall()
    return {str(facet): until for facet, until in rows if facet in FACETS}


def find_availability(
    connection: duckdb.DuckDBPyConnection,
    company: Company,
    catalogue: Catalogue,
    period: Period,
    as_of: date | None = None,
    *,
    known: Known | None = None,
) -> Availability:
    """Decide for every metric whether it can be computed in a period, and until when its records count.

    By default until the end of the last local day that all its sources cover completely (metrics.md 2.1); `as_of`, a
    local day, inclusive, overrides that.
    """
    known = known or read_known(connection, period)
    found = find_bounds(connection, company, catalogue.counted, period, as_of, known=known)
    absent = dict(found.absent)
    for metric in catalogue.of_plan:
        if lacks := [reason for name in metric.requires if (reason := _lack_of(name, known.stages, known.inputs))]:
            absent[metric.key] = lacks[0]
    return Availability(found.bounds, absent)


def find_bounds(
    connection: duckdb.DuckDBPyConnection,
    company: Company,
    declared: Iterable[Declared],
    period: Period,
    as_of: date | None = None,
    *,
    known: Known | None = None,
) -> Availability:
    """The same for whatever is counted from records: metrics, integrity flags."""
    known = known or read_known(connection, period)
    coverage = known.coverage
    bounds: dict[str, Bounds] = {}
    absent: dict[str, Text] = {}
    for metric in declared:
        # A metric may have optional facets only: then one of them must be there.
        needed = metric.facets or tuple(facet for facet in metric.optional_facets if facet in coverage)
        needed = needed or metric.optional_facets
        missing = [_no_facet(facet) for facet in needed if facet not in coverage]
        missing += [reason for name in metric.requires if (reason := _lack_of(name, known.stages, known.inputs))]
        if metric.basis not in bounds and all(facet in coverage for facet in needed):
            bounds[metric.basis] = _bounds(metric, company, period, coverage, as_of)
        seen = bounds.get(metric.basis)
        if not missing and seen is not None and seen.as_of <= seen.starts_at:
            missing = [
                say("источники ещё не полны ни за один день периода", "no day of the period is complete at its sources")
            ]
        if missing:
            absent[metric.key] = missing[0]
    return Availability(bounds, absent)


def _bounds(
    metric: Declared, company: Company, period: Period, coverage: Mapping[str, datetime], as_of: date | None
) -> Bounds:
    covered = tuple(facet for facet in FACETS if facet in metric.facets + metric.optional_facets and facet in coverage)
    starts_at, ends_at = period.starts_at(company.zone), period.ends_at(company.zone)
    if as_of is not None:
        until = start_of_day(as_of + timedelta(days=1), company.zone)
    else:
        until = start_of_day(local_day(min(coverage[facet] for facet in covered), company.zone), company.zone)
    if metric.counts_until == "period":
        until = min(until, ends_at)
    return Bounds(
        period=period,
        basis=metric.basis,
        starts_at=starts_at,
        ends_at=ends_at,
        as_of=until,
        covered=covered,
        counted_to=min(local_day(until, company.zone), period.ends_on),
    )


def _read_stage_kinds(connection: duckdb.DuckDBPyConnection, period: Period) -> dict[str, bool]:
    """Kinds in force at the period's end, and whether a person has confirmed every stage of the kind."""
    rows = connection.execute(
        """
        SELECT kind, bool_and(NOT coalesce(is_guess, FALSE))
        FROM (
            SELECT kind, is_guess FROM core.stages WHERE valid_from < ?
            QUALIFY row_number() OVER (PARTITION BY source, pipeline_id, stage_id ORDER BY valid_from DESC) = 1
        )
        WHERE kind IS NOT NULL
        GROUP BY kind
        """,
        [period.ends_on],
    ).fetchall()
    return {str(kind): bool(confirmed) for kind, confirmed in rows}


def _lack_of(name: str, stages: Mapping[str, bool], inputs: Mapping[str, bool]) -> Text | None:
    """Why a requirement is not met; None when it is."""
    requirement, _, kind = name.partition(":")
    if requirement == "stages":
        if not stages:
            return say("нет карты этапов: inputs/stages.csv", "no stage map: inputs/stages.csv")
        guessed = sorted(name for name, confirmed in stages.items() if not confirmed)
        return _guessed(guessed) if guessed else None
    if requirement == "stage":
        if kind not in stages:
            return say(
                "в inputs/stages.csv нет этапа вида {kind}", "inputs/stages.csv has no stage of kind {kind}", kind=kind
            )
        return None if stages[kind] else _guessed([kind])
    return None if inputs[requirement] else lack_of(requirement)


def _guessed(kinds: list[str]) -> Text:
    return say(
        "вид этапов ({kinds}) только предположен: подтвердите его в inputs/stages.csv",
        "the kind of some stages ({kinds}) is only guessed: confirm it in inputs/stages.csv",
        kinds=", ".join(kinds),
    )


def _no_facet(facet: str) -> Text:
    return say(
        "нет полностью загруженных данных {facet}", "no completely loaded data of {facet}", facet=_FACET_NAMES[facet]
    )
