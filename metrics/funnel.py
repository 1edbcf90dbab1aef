"""The funnel: every ordered pair of stages, as a cohort and as a period, out of the two conversion metrics."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

import duckdb

from metrics.availability import Availability, Bounds
from metrics.catalogue import Catalogue, Metric
from metrics.evidence import evidence
from metrics.facts import KPI
from metrics.given import given_periods, relations
from metrics.reading import fetch_rows, require_computed
from metrics.splits import is_divided

FUNNEL = "temp.fresh_funnel"
FORMS = {"cohort": "stage_conversion_cohort", "period": "stage_conversion_period"}
Form = Literal["cohort", "period"]


@dataclass(frozen=True, kw_only=True)
class FunnelRow:
    """A step from a stage to any later one; the columns of `facts.funnel`, and the stages' order."""

    period: str
    form: str
    source: str
    pipeline_id: str
    from_stage: str
    to_stage: str
    entity_type: str
    entity_id: str
    num: Decimal
    den: Decimal
    value: float | None
    maturity: float | None
    from_name: str
    to_name: str
    as_of: datetime
    from_position: int | None
    to_position: int | None
    # Cohort form, beside `num`: deals that stood in to_stage itself, and in every stage on the way, in order.
    touched: Decimal | None = None
    strict: Decimal | None = None


def stage_funnel(connection: duckdb.DuckDBPyConnection, catalogue: Catalogue, availability: Availability) -> None:
    """Compute one period's rows of `facts.funnel` into `FUNNEL`, out of the facts staged just before."""
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {FUNNEL} AS FROM facts.funnel LIMIT 0")
    for form, key in FORMS.items():
        if key in catalogue and key not in availability.absent:
            metric = catalogue.get(key)
            _stage_form(connection, metric, form, availability.bounds[metric.basis])


def read_funnel(
    connection: duckdb.DuckDBPyConnection,
    period: str,
    form: Form = "cohort",
    pipeline: str | None = None,
    entity_type: str = "company",
) -> list[FunnelRow]:
    """The funnel of a computed period, in the order of the stages; works on the warehouse and on a published file.

    Raises:
        UsageError: the period was never computed.
    """
    require_computed(connection, period)
    return fetch_rows(
        connection,
        FunnelRow,
        """
        WITH positions AS (
            SELECT source, pipeline_id, stage_id, arg_max(position, valid_from) AS position
            FROM core.stages GROUP BY source, pipeline_id, stage_id
        )
        SELECT f.*, a.position AS from_position, b.position AS to_position
        FROM facts.funnel AS f
        LEFT JOIN positions AS a ON a.source = f.source AND a.pipeline_id = f.pipeline_id AND a.stage_id = f.from_stage
        LEFT JOIN positions AS b ON b.source = f.source AND b.pipeline_id = f.pipeline_id AND b.stage_id = f.to_stage
        WHERE f.period = $period AND f.form = $form AND f.entity_type = $entity_type
            AND ($pipeline IS NULL OR f.pipeline_id = $pipeline)
        ORDER BY f.source, f.pipeline_id, f.entity_id, a.position, f.from_stage, b.position NULLS LAST, f.to_stage
        """,
        {"period": period, "form": form, "pipeline": pipeline, "entity_type": entity_type},
    )


def _stage_form(connection: duckdb.DuckDBPyConnection, metric: Metric, form: str, bounds: Bounds) -> None:
    maturity, conventions = (_MATURITY, _CONVENTIONS) if form == "cohort" else (_NO_MATURITY, _NO_CONVENTIONS)
    # Whose deals began where is all that is asked of them: one step from each stage tells it.
    began = evidence([metric], {metric.basis: bounds}, is_divided=is_divided(connection), is_farthest=True)
    connection.execute(
        f"""
        INSERT INTO {FUNNEL} BY NAME
        WITH {relations(given_periods([bounds]), metric)},
        evidence AS NOT MATERIALIZED ({began}),
        {maturity},
        {conventions},
        names AS (
            SELECT source, pipeline_id, stage_id, arg_max(name, valid_from) AS name
            FROM core.stages WHERE valid_from < $ends_on GROUP BY source, pipeline_id, stage_id
        )
        SELECT
            k.period, $form AS form, s.source, s.pipeline_id, s.from_stage, s.to_stage, k.entity_type, k.entity_id,
            k.num, k.den, k.value,
            CASE WHEN $form = 'cohort' THEN coalesce(c.touched, 0) END AS touched,
            CASE WHEN $form = 'cohort' THEN coalesce(c.strict, 0) END AS strict,
            m.maturity,
            coalesce(f.name, s.from_stage) AS from_name, coalesce(t.name, s.to_stage) AS to_name, k.as_of
        FROM {KPI} AS k
        JOIN steps AS s ON s.variant = k.variant AND s.pipeline = k.pipeline
        LEFT JOIN maturity AS m
            ON m.source = s.source AND m.pipeline_id = s.pipeline_id AND m.from_stage = s.from_stage
            AND m.entity_type = k.entity_type AND m.entity_id = k.entity_id
        LEFT JOIN conventions AS c
            ON c.source = s.source AND c.pipeline_id = s.pipeline_id AND c.from_stage = s.from_stage
            AND c.to_stage = s.to_stage AND c.entity_type = k.entity_type AND c.entity_id = k.entity_id
        LEFT JOIN names AS f ON f.source = s.source AND f.pipeline_id = s.pipeline_id AND f.stage_id = s.from_stage
        LEFT JOIN names AS t ON t.source = s.source AND t.pipeline_id = s.pipeline_id AND t.stage_id = s.to_stage
        WHERE k.metric = $metric AND k.variant <> ''
        """,
        {"form": form, "metric": metric.key, "ends_on": bounds.period.ends_on},
    )


# A deal of the cohort is done when nothing happened after its last terminal event, or when it left the pipeline.
_MATURITY = """
cohort AS (
    SELECT DISTINCT s.source, s.pipeline_id, s.from_stage, e.record_id AS deal_id, e.person_id, e.team,
        p.starts_on, p.as_of
    FROM evidence AS e
    JOIN steps AS s ON s.variant = e.variant AND s.pipeline = e.pipeline
    JOIN periods AS p ON p.period = e.period
    WHERE e.variant <> '' AND e.excluded_by IS NULL
),
-- A deal that people share is one deal: each has a part of it.
weighted AS (
    SELECT *, 1.0::DOUBLE / count(*) OVER (PARTITION BY source, pipeline_id, from_stage, deal_id) AS weight FROM cohort
),
deals AS (SELECT DISTINCT source, deal_id, as_of, starts_on FROM cohort),
-- A deal of the cohort entered a stage in the period: its last entry is no earlier, nor is an end that came after it.
moves AS (
    SELECT d.source, d.deal_id, max(v.entered_at) AS moved_at, arg_max(v.pipeline_id, v.ordinal) AS pipeline_id
    FROM deals AS d
    JOIN calc.stage_events AS v
        ON v.source = d.source AND v.deal_id = d.deal_id AND v.entered_at < d.as_of AND v.local_date >= d.starts_on
    GROUP BY d.source, d.deal_id
),
ends AS (
    SELECT d.source, d.deal_id, max(t.occurred_at) AS ended_at
    FROM deals AS d
    JOIN calc.terminal_events AS t
        ON t.source = d.source AND t.deal_id = d.deal_id AND t.occurred_at < d.as_of AND t.local_date >= d.starts_on
    GROUP BY d.source, d.deal_id
),
maturity AS (
    SELECT c.source, c.pipeline_id, c.from_stage,
        CASE WHEN grouping(c.person_id) = 0 THEN 'manager' WHEN grouping(c.team) = 0 THEN 'team' ELSE 'company' END
            AS entity_type,
        CASE WHEN grouping(c.person_id) = 0 THEN c.person_id WHEN grouping(c.team) = 0 THEN c.team ELSE 'company' END
            AS entity_id,
        coalesce(sum(c.weight) FILTER (
            coalesce(x.ended_at >= m.moved_at, x.ended_at IS NOT NULL) OR m.pipeline_id <> c.pipeline_id
        ), 0) / sum(c.weight) AS maturity
    FROM weighted AS c
    LEFT JOIN moves AS m ON m.source = c.source AND m.deal_id = c.deal_id
    LEFT JOIN ends AS x ON x.source = c.source AND x.deal_id = c.deal_id
    GROUP BY GROUPING SETS (
        (c.source, c.pipeline_id, c.from_stage, c.person_id),
        (c.source, c.pipeline_id, c.from_stage, c.team),
        (c.source, c.pipeline_id, c.from_stage)
    )
)"""

_NO_MATURITY = """
maturity AS (
    SELECT '' AS source, '' AS pipeline_id, '' AS from_stage, '' AS entity_type, '' AS entity_id,
        NULL::DOUBLE AS maturity
)"""

# For comparison with `passed` (metrics.md 4.4, 19): the deal stood in the stage itself; in every stage, in order.
_CONVENTIONS = """
stood AS (
    SELECT c.source, c.pipeline_id, c.deal_id, p.stage_id, p.position,
        CASE WHEN p.touched_at < c.as_of THEN p.touched_at END AS touched_at,
        -- A payment is no stage: it comes when it comes.
        p.kind <> 'paid' AND coalesce(p.touched_at >= c.as_of OR p.touched_at <= lag(p.touched_at) OVER deal, TRUE)
            AND NOT (p.touched_at < c.as_of AND lag(p.touched_at) OVER deal IS NULL) AS is_break
    FROM (SELECT DISTINCT source, pipeline_id, deal_id, as_of FROM cohort) AS c
    JOIN later_passes AS p
        ON p.source = c.source AND p.pipeline_id = c.pipeline_id AND p.deal_id = c.deal_id AND p.kind <> 'service'
    WINDOW deal AS (PARTITION BY c.source, c.pipeline_id, c.deal_id ORDER BY p.position)
),
walked AS (
    SELECT *, count_if(is_break) OVER (
        PARTITION BY source, pipeline_id, deal_id ORDER BY position ROWS UNBOUNDED PRECEDING
    ) AS breaks
    FROM stood
),
conventions AS (
    SELECT c.source, c.pipeline_id, c.from_stage, t.stage_id AS to_stage,
        CASE WHEN grouping(c.person_id) = 0 THEN 'manager' WHEN grouping(c.team) = 0 THEN 'team' ELSE 'company' END
            AS entity_type,
        CASE WHEN grouping(c.person_id) = 0 THEN c.person_id WHEN grouping(c.team) = 0 THEN c.team ELSE 'company' END
            AS entity_id,
        count(*) AS touched,
        count_if(f.touched_at IS NOT NULL AND t.breaks = f.breaks) AS strict
    FROM cohort AS c
    JOIN walked AS f
        ON f.source = c.source AND f.pipeline_id = c.pipeline_id AND f.deal_id = c.deal_id AND f.stage_id = c.from_stage
    JOIN walked AS t
        ON t.source = c.source AND t.pipeline_id = c.pipeline_id AND t.deal_id = c.deal_id
        AND t.position > f.position AND t.touched_at IS NOT NULL
    GROUP BY GROUPING SETS (
        (c.source, c.pipeline_id, c.from_stage, t.stage_id, c.person_id),
        (c.source, c.pipeline_id, c.from_stage, t.stage_id, c.team),
        (c.source, c.pipeline_id, c.from_stage, t.stage_id)
    )
)"""

_NO_CONVENTIONS = """
conventions AS (
    SELECT '' AS source, '' AS pipeline_id, '' AS from_stage, '' AS to_stage, '' AS entity_type, '' AS entity_id,
        0 AS touched, 0 AS strict
)"""
