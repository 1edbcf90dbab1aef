"""Credit that several people share (splits.csv, metrics.md 2.2): a record's part becomes one row a person.

Where a deal is divided, the relations of `calc.*` carry the split's `credit_id` in place of a person; here
`calc.split_shares` turns it into people. A metric's own SQL knows nothing of it.
"""

from __future__ import annotations

import duckdb

from metrics.catalogue import Metric

# Credits that never come from a deal: whoever held the call, or the team of its line.
_UNDIVIDED = ("actor", "team_of_line")

# What a metric takes of a divided record: its parts, one a person; or the record as it is, from the largest share. (A
# duration can't be divided: one person has it whole, so that a company's median counts every record once.)
PARTS, WHOLE = "parts", "whole"

# The shares a record `e` is joined with on `credit_id = e.person_id` and the metric's `takes`.
SHARES = f"""
SELECT credit_id, '{PARTS}' AS takes, person_id, team, place, billionths FROM calc.split_shares
UNION ALL
SELECT credit_id, '{WHOLE}', person_id, team, place, NULL FROM calc.split_shares WHERE place = 1"""

PERSON = "coalesce(s.person_id, e.person_id, 'unassigned')"
TEAM = "coalesce(CASE WHEN s.credit_id IS NULL THEN e.team ELSE s.team END, 'unassigned')"
_BILLION = "1000000000::HUGEINT"


def takes(metric: Metric) -> str | None:
    """PARTS or WHOLE; None: the metric's credit never comes from a deal, so it can't be divided."""
    if metric.credit in _UNDIVIDED:
        return None
    return WHOLE if metric.additivity == "distribution" else PARTS


def is_divided(connection: duckdb.DuckDBPyConnection) -> bool:
    """Some deal's credit is divided."""
    return connection.execute("SELECT 1 FROM calc.split_shares LIMIT 1").fetchone() is not None


def part(column: str, is_money: str) -> str:
    """A number's part of the share `s`, as DECIMAL(38, 6): by the method of the largest remainder, so that the parts of
    a record add up to it exactly. Whole kopecks are divided into whole kopecks where `is_money` (SQL) holds, anything
    else into millionths. The number itself where no share is joined."""
    whole = f"e.{column}"
    return f"CASE WHEN s.billionths IS NULL THEN {whole} ELSE {_apportioned(whole, is_money)} END"


def _apportioned(whole: str, is_money: str) -> str:
    millionths = f"CAST(abs({whole}) * 1000000 AS HUGEINT)"
    unit = f"CASE WHEN {is_money} AND {millionths} % 10000 = 0 THEN 10000 ELSE 1 END"
    amount = f"({millionths} // {unit})"
    shares = "list_transform(s.billionths, lambda x: CAST(x AS HUGEINT))"
    mine = f"({amount} * CAST(s.billionths[s.place] AS HUGEINT))"
    floors = f"list_sum(list_transform({shares}, lambda x: {amount} * x // {_BILLION}))"
    ahead = (
        f"len(list_filter({shares}, lambda x, i: {amount} * x % {_BILLION} > {mine} % {_BILLION} "
        f"OR ({amount} * x % {_BILLION} = {mine} % {_BILLION} AND i < s.place)))"
    )
    units = f"({mine} // {_BILLION} + CASE WHEN {ahead} < {amount} - {floors} THEN 1 ELSE 0 END) * {unit}"
    return f"CAST(sign({whole}) * ({units}) AS DECIMAL(30, 0)) * CAST(0.000001 AS DECIMAL(6, 6))"
