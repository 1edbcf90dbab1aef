"""Plans of a period with what was reached in the six months before, from the warehouse or a published file."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta

import duckdb

from metrics.periods import Period, month_of
from metrics.planning import HISTORY_MONTHS, NO_HISTORY, Finding, History, check_plans, check_sum

COMPANY = ("company", "company")


@dataclass(frozen=True, kw_only=True)
class EntityPlans:
    """Plans by metric of one entity, and its history; the company's where it has none of its own."""

    entity_type: str
    entity_id: str
    entity_name: str
    plans: dict[str, float]
    history: History

    @classmethod
    def of_company(cls, connection: duckdb.DuckDBPyConnection, period: Period) -> EntityPlans:
        """The company without any plan, with its history."""
        history = read_histories(connection, period).get(COMPANY, NO_HISTORY)
        return cls(entity_type=COMPANY[0], entity_id=COMPANY[1], entity_name=COMPANY[1], plans={}, history=history)


def read_plans(connection: duckdb.DuckDBPyConnection, period: Period) -> list[EntityPlans]:
    """Whoever has plans in a period: the company, then teams, then managers by name."""
    rows = connection.execute(
        """
        SELECT p.entity_type, p.entity_id, coalesce(n.name, p.entity_id), p.metric, p.value
        FROM core.plans AS p
        LEFT JOIN (SELECT person_id, arg_max(name, valid_from) AS name FROM core.people GROUP BY person_id) AS n
            ON p.entity_type = 'manager' AND n.person_id = p.entity_id
        WHERE p.period = $period AND p.value IS NOT NULL
        ORDER BY list_position(['company', 'team', 'manager'], p.entity_type), 3, 2, 4
        """,
        {"period": period.name},
    ).fetchall()
    plans: dict[tuple[str, str, str], dict[str, float]] = defaultdict(dict)
    for entity_type, entity_id, name, metric, value in rows:
        plans[entity_type, entity_id, name][metric] = float(value)
    histories = read_histories(connection, period)
    company = histories.get(COMPANY, NO_HISTORY)
    return [
        EntityPlans(
            entity_type=entity_type,
            entity_id=entity_id,
            entity_name=name,
            plans=found,
            history=histories.get((entity_type, entity_id), company),
        )
        for (entity_type, entity_id, name), found in plans.items()
    ]


def read_histories(connection: duckdb.DuckDBPyConnection, period: Period) -> dict[tuple[str, str], History]:
    """What each entity reached in the whole months before a period, those of them that were computed."""
    months = []
    day = period.starts_on.replace(day=1)
    for _ in range(HISTORY_MONTHS):
        month = month_of(day - timedelta(days=1))
        months.append(month.name)
        day = month.starts_on
    rows = connection.execute(
        """
        SELECT entity_type, entity_id, metric, additivity, sum(num)::DOUBLE, sum(den)::DOUBLE
        FROM facts.kpi
        WHERE list_contains($months, period) AND variant = '' AND pipeline = '' AND additivity IN ('additive', 'ratio')
        GROUP BY entity_type, entity_id, metric, additivity
        """,
        {"months": months},
    ).fetchall()
    sums: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    ratios: dict[tuple[str, str], dict[str, tuple[float, float]]] = defaultdict(dict)
    for entity_type, entity_id, metric, additivity, num, den in rows:
        if additivity == "additive":
            sums[entity_type, entity_id][metric] = num or 0.0
        else:
            ratios[entity_type, entity_id][metric] = (num or 0.0, den or 0.0)
    return {entity: History(sums=sums[entity], ratios=ratios[entity]) for entity in {*sums, *ratios}}


def read_working_days(connection: duckdb.DuckDBPyConnection, period: Period) -> int:
    """Working days of a period by the calendar; 0 where the calendar does not cover it."""
    row = connection.execute(
        "SELECT count(*) FILTER (hours > 0), count(*) FROM core.calendar WHERE day >= ? AND day < ?",
        [period.starts_on, period.ends_on],
    ).fetchone()
    days, known = row if row else (0, 0)
    return int(days) if known == (period.ends_on - period.starts_on).days else 0


def check_period_plans(
    connection: duckdb.DuckDBPyConnection, period: Period
) -> list[tuple[EntityPlans, list[Finding]]]:
    """The plans of a period with what does not fit in them, entity by entity."""
    found = read_plans(connection, period)
    members = _members(connection, period)
    checked = []
    for entity in found:
        below = [each for each in found if members.get((each.entity_type, each.entity_id)) == _key(entity)]
        sums = [
            check_sum(metric, value, [each.plans[metric] for each in below if metric in each.plans])
            for metric, value in sorted(entity.plans.items())
            if metric in _SUMMED
        ]
        findings = check_plans(entity.plans, entity.history) + [each for each in sums if each is not None]
        checked.append((entity, findings))
    return checked


# Counts and money: what people reach sums to what their team reaches.
_SUMMED = frozenset(
    {
        *("leads_new", "leads_processed", "calls_attempted", "calls_successful", "meetings_held", "offers_sent"),
        *("deals_paid", "revenue_cash", "revenue_accrual", "gross_margin", "new_customers", "new_customer_revenue"),
    }
)


def _key(entity: EntityPlans) -> tuple[str, str]:
    return entity.entity_type, entity.entity_id


def _members(connection: duckdb.DuckDBPyConnection, period: Period) -> dict[tuple[str, str], tuple[str, str]]:
    """Who belongs where at the period's start: a person to a team, a team to the company."""
    rows = connection.execute(
        "SELECT person_id, arg_max(team, valid_from) FROM core.people "
        "WHERE valid_from < $ends_on AND coalesce(valid_to >= $starts_on, TRUE) AND team IS NOT NULL "
        "GROUP BY person_id",
        {"starts_on": period.starts_on, "ends_on": period.ends_on},
    ).fetchall()
    people = {("manager", str(person)): ("team", str(team)) for person, team in rows}
    return {**people, **dict.fromkeys(people.values(), COMPANY)}
