"""What makes a plan comparable with its fact (metrics.md 2.3, 5): one VAT mode, and rules set before the period."""

from __future__ import annotations

import duckdb

from base.clock import Clock
from base.text import say
from base.times import local_day
from metrics.inputs.declared import PLANS
from metrics.inputs.reader import ReadFile
from metrics.periods import parse_period
from metrics.settings import Company

Inputs = dict[str, ReadFile]


def check_plans(connection: duckdb.DuckDBPyConnection, company: Company, clock: Clock, inputs: Inputs) -> None:
    """Report lines of plans.csv that no fact may be held against, each at its line."""
    read = inputs[PLANS.name]
    _check_vat_mode(company, read)
    _check_prorate(connection, company, clock, read)


def _check_vat_mode(company: Company, read: ReadFile) -> None:
    """A line may say how its money was planned; facts are of the company's mode."""
    modes = {"gross": say("с НДС", "with VAT"), "net": say("без НДС", "without VAT")}
    for row in read.rows:
        planned = row.values.get("vat_mode")
        if planned and planned != company.vat_mode:
            read.report(
                row.line,
                say(
                    "план {planned}, а факт считается {counted} (vat_mode в voronka.toml): пересчитайте план",
                    "the plan is {planned}, facts are counted {counted} (vat_mode in voronka.toml): convert the plan",
                    planned=modes[planned],
                    counted=modes[company.vat_mode],
                ),
            )


def _check_prorate(connection: duckdb.DuckDBPyConnection, company: Company, clock: Clock, read: ReadFile) -> None:
    """A plan known before its period began without `prorate` stays whole: lowering it afterwards would revise it.

    A plan that comes late for the first time is taken as it is: nothing else was agreed.
    """
    asked = [row for row in read.rows if row.values.get("prorate") == "true"]
    if not asked:
        return
    today = local_day(clock.now(), company.zone)
    whole = set(
        connection.execute(
            "SELECT period, entity_type, entity_id, metric FROM core.plans WHERE prorate IS DISTINCT FROM 'true'"
        ).fetchall()
    )
    for row in asked:
        key = tuple(row.values[name] for name in ("period", "entity_type", "entity_id", "metric"))
        (period,) = parse_period(row.values["period"])
        if key in whole and period.starts_on <= today:
            read.report(
                row.line,
                say(
                    "{period} уже идёт, и план действует целиком: prorate ставят до начала периода",
                    "{period} has begun and the plan stands whole: prorate is set before a period begins",
                    period=period.name,
                ),
            )
