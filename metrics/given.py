"""The relations put in front of a metric's or flag's body; what they hold is written in metrics/evidence.py."""

from __future__ import annotations

from collections.abc import Iterable

from metrics.availability import Bounds
from metrics.declared import Declared
from metrics.literals import literal

# Read four times over: one plan of it, not eight of `stage_map`, takes half the time to bind.
_STEPS = """
stage_map AS NOT MATERIALIZED (
    SELECT p.period, p.covered, s.source, s.pipeline_id, s.stage_id, s.position, s.kind
    FROM periods AS p
    JOIN core.stages AS s ON s.valid_from < p.ends_on
    QUALIFY row_number() OVER (
        PARTITION BY p.period, s.source, s.pipeline_id, s.stage_id ORDER BY s.valid_from DESC
    ) = 1
),
stage_order AS MATERIALIZED (
    SELECT period, source, pipeline_id, stage_id, position::DOUBLE AS position, kind
    FROM stage_map WHERE kind NOT IN ('lost', 'service')
    UNION ALL
    SELECT DISTINCT period, source, pipeline_id, 'paid', 'infinity'::DOUBLE, 'paid'
    FROM stage_map WHERE list_contains(covered, 'money')
),
stage_pairs AS NOT MATERIALIZED (
    SELECT
        f.period, f.source, f.pipeline_id, f.stage_id AS from_stage, t.stage_id AS to_stage,
        f.kind = 'base' AND t.kind = 'paid'
            AND f.position = min(f.position) OVER (PARTITION BY f.period, f.source, f.pipeline_id, f.kind) AS is_plain,
        t.position = max(t.position) OVER (PARTITION BY f.period, f.source, f.pipeline_id, f.stage_id) AS is_farthest
    FROM stage_order AS f
    JOIN stage_order AS t
        ON t.period = f.period AND t.source = f.source AND t.pipeline_id = f.pipeline_id AND t.position > f.position
),
steps AS NOT MATERIALIZED (
    SELECT period, source, pipeline_id, from_stage, to_stage,
        concat('source=', source, ';from=', from_stage, ';to=', to_stage) AS variant, pipeline_id AS pipeline
    FROM stage_pairs {farthest}
    UNION ALL
    SELECT period, source, pipeline_id, from_stage, to_stage, '', '' FROM stage_pairs WHERE is_plain
)"""

# Two reads, each of which skips what it doesn't want: one with OR would read the history. No period stands beside: a
# row for each pass and period would be more than the history where many are asked for.
LATER_PASSES = """
first_day AS NOT MATERIALIZED (SELECT min(starts_on) AS day FROM periods),
later_passes AS NOT MATERIALIZED (
    SELECT s.* FROM calc.stage_passes AS s JOIN first_day AS f ON s.local_date >= f.day
    UNION ALL
    SELECT s.* FROM calc.stage_passes AS s JOIN first_day AS f ON s.local_date < f.day AND s.is_ahead
)"""


def relations(periods: str, *metrics: Declared, is_farthest: bool = False) -> str:
    """The WITH list in front of these metrics' bodies; `periods` is the query that gives the relation of that name.
    `is_farthest`: of each stage only the step to the last one, for whoever asks what began and not where it got."""
    # Binding and optimizing the pairs of stages takes longer than most metrics run: only where a body names them.
    steps = _STEPS.format(farthest="WHERE is_farthest" if is_farthest else "")
    named = {"steps": steps, "later_passes": LATER_PASSES}
    used = [text for name, text in named.items() if any(name in metric.sql for metric in metrics)]
    days = """
period_days AS NOT MATERIALIZED (
    SELECT period, as_of, covered,
        unnest(generate_series(starts_on::TIMESTAMP, ends_on::TIMESTAMP - INTERVAL 1 DAY, INTERVAL 1 DAY))::DATE AS day
    FROM periods
)"""
    return ",".join([f"periods AS NOT MATERIALIZED ({periods})", days, *used])


def given_periods(bounds: Iterable[Bounds]) -> str:
    """`periods` from bounds in hand."""
    rows = ", ".join(
        "("
        + ", ".join(
            map(
                literal,
                (
                    bound.period.name,
                    bound.period.starts_on,
                    bound.period.ends_on,
                    bound.starts_at,
                    bound.ends_at,
                    bound.as_of,
                    list(bound.covered),
                ),
            )
        )
        + ")"
        for bound in bounds
    )
    names = "period, starts_on, ends_on, starts_at, ends_at, as_of, covered"
    return f"SELECT * FROM (VALUES {rows}) AS given ({names})"


def stored_periods(basis: str) -> str:
    """`periods` from the periods computed so far."""
    return (
        "SELECT period, starts_on, ends_on, starts_at, ends_at, as_of, covered "
        f"FROM calc.periods WHERE basis = {literal(basis)}"
    )
