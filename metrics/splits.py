"""Credit that several people share (splits.csv, metrics.md 2.2): a record's part becomes one row a person.

Where a deal is divided, the relations of `calc.*` carry the split's `credit_id` in place of a person; here
`calc.split_shares` turns it into people. A metric's own SQL knows nothing of it.
"""

from __future__ import annotations

from metrics.catalogue import Metric

# Credits that never come from a deal: whoever held the call, or the team of its line.
_UNDIVIDED = ("actor", "team_of_line")

PERSON, TEAM = "coalesce(e.person_id, 'unassigned')", "coalesce(e.team, 'unassigned')"
_BILLION = "1000000000::HUGEINT"


def is_divisible(metric: Metric) -> bool:
    return metric.credit not in _UNDIVIDED


def shares_join(metric: Metric) -> str:
    """What stands behind the evidence `e`: its shares `s`, one row a person. A duration can't be divided: the largest
    share has it whole, so that a company's median counts every record once."""
    if not is_divisible(metric):
        return ""
    only = " AND s.place = 1" if metric.additivity == "distribution" else ""
    return f"\nLEFT JOIN calc.split_shares AS s ON s.credit_id = e.person_id{only}"


def person(metric: Metric) -> str:
    return f"coalesce(s.person_id, {PERSON})" if is_divisible(metric) else PERSON


def team(metric: Metric) -> str:
    if not is_divisible(metric):
        return TEAM
    return f"CASE WHEN s.credit_id IS NULL THEN {TEAM} ELSE coalesce(s.team, 'unassigned') END"


def part(metric: Metric, column: str) -> str:
    """A number's part of the share `s`, as DECIMAL(38, 6): by the method of the largest remainder, so that the parts of
    a record add up to it exactly. Whole kopecks are divided into whole kopecks, anything else into millionths."""
    whole = f"e.{column}::DECIMAL(38, 6)"
    if not is_divisible(metric) or metric.additivity == "distribution":
        return whole
    is_money = metric.unit == "money" and column == "num"
    return f"CASE WHEN s.credit_id IS NULL THEN {whole} ELSE {_apportioned(whole, is_money)} END"


def _apportioned(whole: str, is_money: bool) -> str:
    millionths = f"CAST(abs({whole}) * 1000000 AS HUGEINT)"
    unit = f"CASE WHEN {millionths} % 10000 = 0 THEN 10000 ELSE 1 END" if is_money else "1"
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
