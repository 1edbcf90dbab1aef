"""The records behind a number: the counted ones, and the ones left out with the rule in words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from difflib import get_close_matches

import duckdb

from base.errors import UsageError
from base.text import Text, say
from metrics.catalogue import Catalogue, Metric
from metrics.reading import KpiRow, fetch_rows, read_kpi
from metrics.reasons import reason


@dataclass(frozen=True, kw_only=True)
class Record:
    """A record's part in the number. `title` comes from the record itself, `url` is the card of its deal; None where
    there is none, or a payment belongs to several."""

    record_type: str
    source: str
    record_id: str
    occurred_at: datetime
    num: Decimal | None
    den: Decimal | None
    title: str | None
    url: str | None
    excluded_by: str | None

    @property
    def reason(self) -> Text | None:
        """Why it was left out; None when it counts."""
        return reason(self.excluded_by) if self.excluded_by else None


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """A fact opened to its records, in order of time; the counts are whole, the lists end at the limit asked for."""

    metric: Metric
    fact: KpiRow
    counted: list[Record]
    counted_count: int
    left_out: list[Record]
    left_out_count: int
    left_out_by_rule: dict[str, int]


def explain(
    connection: duckdb.DuckDBPyConnection,
    catalogue: Catalogue,
    period: str,
    metric: str,
    entity: str = "company",
    *,
    variant: str = "",
    pipeline: str = "",
    limit: int | None = 1000,
) -> Explanation:
    """Open one fact of a computed period; `entity` is an id or a name, `team:ID` or `manager:ID` where both exist.

    Reads `facts.kpi_evidence`, so it works on the warehouse and on a published file alike. What is made of facts and
    plans (41, 42) opens to the records of its fact; its form names it, `metric=revenue_cash`.

    Raises:
        UsageError: unknown metric, entity or form, or the period was never computed; near matches are named.
    """
    declared = catalogue.get(metric)
    rows = read_kpi(connection, period, metric, variants=True)
    if not rows:
        raise _absent(connection, period, metric)
    form = [row for row in rows if row.variant == variant and row.pipeline == pipeline]
    if not form:
        raise _no_form(variant, [row.variant for row in rows])
    fact = _find_entity(form, entity)
    behind = _fact_behind(connection, declared, fact)
    by_rule = _count_records(connection, behind)
    counted = by_rule.pop(None, 0)
    left_out = {str(rule): count for rule, count in by_rule.items()}
    return Explanation(
        metric=declared,
        fact=fact,
        counted=_read_records(connection, behind, "e.excluded_by IS NULL", limit),
        counted_count=counted,
        left_out=_read_records(connection, behind, "e.excluded_by IS NOT NULL", limit),
        left_out_count=sum(left_out.values()),
        left_out_by_rule=left_out,
    )


def _fact_behind(connection: duckdb.DuckDBPyConnection, metric: Metric, fact: KpiRow) -> KpiRow:
    """The fact whose records are told: its own, or the one an attainment or forecast is made of."""
    if not metric.of:
        return fact
    made_of = read_kpi(connection, fact.period, fact.variant.removeprefix("metric="), fact.entity_type)
    return next(row for row in made_of if row.entity_id == fact.entity_id)


_OF_FACT = """
    e.period = $period AND e.metric = $metric AND e.variant = $variant AND e.pipeline = $pipeline
    AND e.entity_type = $entity_type AND e.entity_id = $entity_id
"""

# A deal's title; a call's way, party and talk (minutes:seconds); a payment's payer and order number.
_DESCRIBED = """
SELECT
    e.record_type, e.source, e.record_id, e.occurred_at, e.num, e.den, e.excluded_by, k.url,
    CASE e.record_type
        WHEN 'deal' THEN d.title
        WHEN 'call' THEN concat_ws(
            ' ', CASE c.direction WHEN 'in' THEN '←' WHEN 'out' THEN '→' ELSE '↔' END, c.external_number,
            printf('%d:%02d', c.talk_seconds // 60, c.talk_seconds % 60)
        )
        WHEN 'payment' THEN concat_ws(' ', p.payer_name, '№ ' || p.document_number)
        WHEN 'activity' THEN concat_ws(
            ' ', a.phone, printf('%d:%02d', a.duration_seconds // 60, a.duration_seconds % 60)
        )
        WHEN 'document' THEN concat_ws(' ', '№', coalesce(s.number, r.number))
    END AS title
FROM e
LEFT JOIN core.deals AS d ON e.record_type = 'deal' AND d.source = e.source AND d.deal_id = e.record_id
LEFT JOIN core.calls AS c ON e.record_type = 'call' AND c.source = e.source AND c.call_id = e.record_id
LEFT JOIN calc.calls AS o ON e.record_type = 'call' AND o.source = e.source AND o.call_id = e.record_id
LEFT JOIN core.payments AS p ON e.record_type = 'payment' AND p.source = e.source AND p.payment_id = e.record_id
LEFT JOIN core.activities AS a ON e.record_type = 'activity' AND a.source = e.source AND a.activity_id = e.record_id
LEFT JOIN core.sales_documents AS s
    ON e.record_type = 'document' AND s.source = e.source AND s.document_id = e.record_id
LEFT JOIN core.receivables AS r ON e.record_type = 'document' AND r.source = e.source AND r.receivable_id = e.record_id
LEFT JOIN core.deals AS k
    ON k.source = coalesce(d.source, o.deal_source, p.deal_source, if(a.deal_id IS NULL, NULL, a.source), s.deal_source,
        r.deal_source)
    AND k.deal_id = coalesce(d.deal_id, o.deal_id, p.deal_id, a.deal_id, s.deal_id, r.deal_id)
ORDER BY e.occurred_at, e.source, e.record_id, e.num DESC
"""


def _read_records(connection: duckdb.DuckDBPyConnection, fact: KpiRow, which: str, limit: int | None) -> list[Record]:
    top = f"LIMIT {int(limit)}" if limit is not None else ""
    query = f"""
        WITH e AS (
            SELECT * FROM facts.kpi_evidence AS e WHERE {_OF_FACT} AND {which}
            ORDER BY e.occurred_at, e.source, e.record_id, e.num DESC {top}
        )
        {_DESCRIBED}
    """
    return fetch_rows(connection, Record, query, _parameters(fact))


def _count_records(connection: duckdb.DuckDBPyConnection, fact: KpiRow) -> dict[str | None, int]:
    rows = connection.execute(
        f"SELECT excluded_by, count(*) FROM facts.kpi_evidence AS e WHERE {_OF_FACT} GROUP BY ALL ORDER BY 2 DESC, 1",
        _parameters(fact),
    ).fetchall()
    return {rule: int(count) for rule, count in rows}


def _parameters(fact: KpiRow) -> dict[str, str]:
    names = ("period", "metric", "variant", "pipeline", "entity_type", "entity_id")
    return {name: getattr(fact, name) for name in names}


def _find_entity(rows: list[KpiRow], asked: str) -> KpiRow:
    """By id first, then by name; a manager before a team of the same name."""
    entity_type, colon, rest = asked.partition(":")
    if colon and entity_type in ("manager", "team", "company"):
        rows, wanted = [row for row in rows if row.entity_type == entity_type], rest
    else:
        wanted = asked
    rows = sorted(rows, key=lambda row: ("company", "manager", "team").index(row.entity_type))
    by_id = [row for row in rows if row.entity_id == wanted]
    by_name = [row for row in rows if row.entity_name.casefold() == wanted.casefold()]
    if by_id or by_name:
        return (by_id or by_name)[0]
    known = {name for row in rows for name in (row.entity_id, row.entity_name)}
    near = get_close_matches(wanted, known, n=3, cutoff=0.5) or sorted(known)[:10]
    raise UsageError(
        say("Нет такого сотрудника или команды: «{asked}».", "No such person or team: {asked!r}.", asked=asked),
        remedy=say("Похожие: {near}.", "Near: {near}.", near=", ".join(near)),
    )


def _no_form(variant: str, known: list[str]) -> UsageError:
    near = get_close_matches(variant, set(known), n=3, cutoff=0.3) or sorted(set(known))[:5]
    return UsageError(
        say("У метрики нет формы «{variant}».", "The metric has no form {variant!r}.", variant=variant),
        remedy=say("Есть: {near}.", "There are: {near}.", near=", ".join(name or "''" for name in near)),
    )


def _absent(connection: duckdb.DuckDBPyConnection, period: str, metric: str) -> UsageError:
    row = connection.execute(
        "SELECT reason FROM meta.absent_metrics WHERE period = $period AND metric = $metric",
        {"period": period, "metric": metric},
    ).fetchone()
    said = str(row[0]) if row else "voronka recompute"
    return UsageError(
        say(
            "Метрики {metric} нет в {period}: {said}.",
            "{metric} is absent in {period}: {said}.",
            metric=metric,
            period=period,
            said=said,
        )
    )
