"""What must hold of facts, checked inside every recompute's transaction (contract, end of section 4).

The evidence is read through `facts.kpi_evidence`, the relation users see, not through the query the facts came from.
"""

from __future__ import annotations

import duckdb
import sqlalchemy as sa

from base.errors import InvariantError
from base.text import say
from metrics.catalogue import Catalogue
from metrics.facts import aggregates
from metrics.literals import literal
from metrics.periods import Period
from models import facts


def check_period(connection: duckdb.DuckDBPyConnection, catalogue: Catalogue, period: Period) -> None:
    """Check one period's facts.

    Raises:
        InvariantError: names the first broken rule, with metric, entity and both numbers.
    """
    for table in (facts.KPI, facts.FUNNEL, facts.PLAN_FACT):
        _check_unique(connection, table, period.name)
    _check_sums(connection, period.name)
    _check_evidence(connection, catalogue, period.name)


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


def _check_evidence(connection: duckdb.DuckDBPyConnection, catalogue: Catalogue, period: str) -> None:
    """Every fact equals the aggregate of its evidence; a fact without evidence is zero."""
    by_kind = {aggregates(metric): metric for metric in catalogue}
    for (num, den, value), kind in by_kind.items():
        keys = ", ".join(literal(metric.key) for metric in catalogue if aggregates(metric) == aggregates(kind))
        row = connection.execute(
            f"""
            SELECT metric, variant, pipeline, entity_type, entity_id, k.num, e.num, k.den, e.den, k.value, e.value
            FROM (
                SELECT metric, variant, pipeline, entity_type, entity_id, {num} AS num, {den} AS den, {value} AS value
                FROM facts.kpi_evidence
                WHERE period = $period AND metric IN ({keys}) AND excluded_by IS NULL
                GROUP BY metric, variant, pipeline, entity_type, entity_id
            ) AS e
            FULL JOIN (SELECT * FROM facts.kpi WHERE period = $period AND metric IN ({keys})) AS k
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
            {"period": period},
        ).fetchone()
        if row:
            raise _broken(period, "fact differs from its evidence", str(row))


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
