"""What must hold of facts, checked inside every recompute's transaction (contract, end of section 4).

Facts are compared with the parts their evidence was read into. Where the catalogue or the program is new to the
warehouse, they are compared with `facts.kpi_evidence` too, the relation users see: the view is text made of the same
bodies, so it can only differ by a body that answers differently each time it is asked, or by a fault in that text.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import sqlalchemy as sa

from base.errors import InvariantError
from base.text import say
from metrics.catalogue import Catalogue, Metric
from metrics.evidence import VIEW
from metrics.facts import PARTS, aggregates
from metrics.ledger import OUTCOMES
from metrics.literals import literal, values
from metrics.periods import Period
from models import facts

# What adds up, over whatever parts.
_SUMMED = ("additive", "snapshot", "ratio")


def check_period(
    connection: duckdb.DuckDBPyConnection, catalogue: Catalogue, period: Period, evidence: str = VIEW
) -> None:
    """Check one period's facts against `evidence`: the view, or the parts staged with them.

    Raises:
        InvariantError: names the first broken rule, with metric, entity and both numbers.
    """
    for table in (facts.KPI, facts.FUNNEL, facts.PLAN_FACT, facts.STAGE_LEDGER, facts.FLAGS):
        _check_unique(connection, table, period.name)
    _check_sums(connection, period.name)
    _check_ledger(connection, period.name)
    check_evidence(connection, catalogue, period, evidence)


def _check_unique(connection: duckdb.DuckDBPyConnection, table: sa.Table, period: str) -> None:
    key = ", ".join(column.name for column in table.primary_key.columns)
    row = connection.execute(
        f"SELECT {key} FROM {table} WHERE period = $period GROUP BY {key} HAVING count(*) > 1 LIMIT 1",
        {"period": period},
    ).fetchone()
    if row:
        raise _broken(period, f"{table}: key twice", str(row))


def _check_sums(connection: duckdb.DuckDBPyConnection, period: str) -> None:
    """Managers and teams, each with `unassigned`, sum to the company: in additive metrics, and in parts of ratios."""
    row = connection.execute(
        """
        SELECT metric, variant, pipeline, parts.entity_type, parts.num, whole.num, parts.den, whole.den
        FROM (
            SELECT metric, variant, pipeline, entity_type, sum(num) AS num, sum(den) AS den
            FROM facts.kpi
            WHERE period = $period AND entity_type <> 'company' AND additivity IN ('additive', 'ratio')
            GROUP BY metric, variant, pipeline, entity_type
        ) AS parts
        JOIN (SELECT * FROM facts.kpi WHERE period = $period AND entity_type = 'company') AS whole
            USING (metric, variant, pipeline)
        WHERE parts.num IS DISTINCT FROM whole.num OR parts.den IS DISTINCT FROM whole.den
        LIMIT 1
        """,
        {"period": period},
    ).fetchone()
    if row:
        raise _broken(period, "parts do not sum to the company", str(row))


def _check_ledger(connection: duckdb.DuckDBPyConnection, period: str) -> None:
    """Entries into a stage = advanced + lost + moved back + handed off + merged + deleted + still there."""
    row = connection.execute(
        f"""
        SELECT source, pipeline_id, stage_name, entries, {", ".join(OUTCOMES)}
        FROM facts.stage_ledger
        WHERE period = $period AND entries <> {" + ".join(OUTCOMES)}
        ORDER BY ALL LIMIT 1
        """,
        {"period": period},
    ).fetchone()
    if row:
        source, pipeline, stage, entries, *outcomes = row
        told = ", ".join(f"{name} {count}" for name, count in zip(OUTCOMES, outcomes, strict=True) if count)
        place = f"{source}, {pipeline}, {stage}: {entries} <> {sum(outcomes)} ({told or 0})"
        raise _broken(period, "the seven outcomes of a stage do not add up to its entries", place)


def check_evidence(connection: duckdb.DuckDBPyConnection, catalogue: Catalogue, period: Period, evidence: str) -> None:
    """Every fact equals the aggregate of its evidence; a fact without evidence is zero.

    Raises:
        InvariantError: names the fact, and both numbers.
    """
    if evidence == PARTS:
        # A quantile's state for every row of a sum is most of what a million deals' check would cost.
        for additivities in (_SUMMED, ("distinct",), ("distribution",), ("derived",)):
            metrics = [metric for metric in catalogue.counted if metric.additivity in additivities]
            if metrics:
                _compare_facts(connection, metrics, period, _of_entities(metrics))
    else:
        # The view is all queries in one, and binding it costs more than a small company's evidence: once is enough.
        _compare_facts(connection, catalogue.counted, period, _COUNTED)


def _compare_facts(
    connection: duckdb.DuckDBPyConnection, metrics: Sequence[Metric], period: Period, evidence: str
) -> None:
    """Compare the facts of these metrics with `evidence`, the query of a row for each record or part and entity."""
    num, den, value = (_by_metric(metrics, part) for part in range(3))
    row = connection.execute(
        f"""
        SELECT metric, variant, pipeline, entity_type, entity_id, k.num, e.num, k.den, e.den, k.value, e.value
        FROM (
            SELECT metric, variant, pipeline, entity_type, entity_id, {num} AS num, {den} AS den, {value} AS value
            FROM (
                SELECT *,
                    CASE WHEN metric IN ({_keys(metrics, "distribution")}) THEN num END AS spread,
                    CASE WHEN metric IN ({_keys(metrics, "distinct")}) THEN key END AS told_apart
                FROM ({evidence})
            )
            GROUP BY metric, variant, pipeline, entity_type, entity_id
        ) AS e
        FULL JOIN (SELECT * FROM facts.kpi WHERE period = $period AND metric IN ({_keys(metrics)})) AS k
            USING (metric, variant, pipeline, entity_type, entity_id)
        WHERE metric IN (SELECT metric FROM facts.kpi WHERE period = $period)
            AND (
                k.metric IS NULL
                OR coalesce(k.num, 0) <> coalesce(e.num, 0)
                OR coalesce(k.den, 0) <> coalesce(e.den, 0)
                OR coalesce(k.value, 0) <> coalesce(e.value, 0)
            )
        LIMIT 1
        """,
        {"period": period.name},
    ).fetchone()
    if row:
        raise _broken(period.name, "fact differs from its evidence", str(row))


_COUNTED = f"SELECT * FROM {VIEW} WHERE period = $period AND excluded_by IS NULL"


def _of_entities(metrics: Sequence[Metric]) -> str:
    """The staged parts as the view shows evidence: a row for each entity they belong to."""
    entities = values([(metric.key, entity) for metric in metrics for entity in metric.entities])
    return f"""
        SELECT p.*, t.entity_type,
            CASE t.entity_type WHEN 'manager' THEN p.person_id WHEN 'team' THEN p.team ELSE 'company' END AS entity_id
        FROM {PARTS} AS p
        JOIN ({entities}) AS t (metric, entity_type) ON t.metric = p.metric"""


def _by_metric(metrics: Sequence[Metric], part: int) -> str:
    """One of num, den, value as each metric takes it, of the costly aggregates only those of its own kind."""
    metrics_by_sql: dict[str, list[str]] = {}
    for metric in metrics:
        sql = aggregates(metric, num="spread", key="told_apart")[part]
        metrics_by_sql.setdefault(sql, []).append(literal(metric.key))
    cases = (f"WHEN metric IN ({', '.join(keys)}) THEN {sql}" for sql, keys in metrics_by_sql.items())
    return f"CASE {' '.join(cases)} END"


def _keys(metrics: Sequence[Metric], additivity: str = "") -> str:
    keys = [literal(metric.key) for metric in metrics if additivity in ("", metric.additivity)]
    return ", ".join(keys) or "NULL"


def _broken(period: str, rule: str, row: str) -> InvariantError:
    return InvariantError(
        say(
            "Пересчёт {period} отменён: нарушено правило «{rule}»: {row}.",
            "The recompute of {period} was undone: broken rule `{rule}`: {row}.",
            period=period,
            rule=rule,
            row=row,
        ),
        remedy=say(
            "Это ошибка программы или файла метрики: приложите эту строку к сообщению об ошибке.",
            "This is a fault of the program or of a metric file: send this line with your report.",
        ),
    )
