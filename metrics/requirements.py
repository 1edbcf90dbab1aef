"""What a metric may require beside its sources: inputs and records that not every company has.

Without them it is absent, with the reason. Each is one question to the warehouse about a period.
"""

from __future__ import annotations

import duckdb

from base.text import Text, say
from metrics.periods import Period

# A pause or a window before a period can only be seen where history is at least this long.
HISTORY_DAYS = 180

# Name: what must hold, and the words for when it does not.
_REQUIREMENTS: dict[str, tuple[str, Text]] = {
    "people": (
        "SELECT count(*) > 0 FROM core.people",
        say("нет списка людей: inputs/people.csv", "no people: inputs/people.csv"),
    ),
    "calendar": (
        "SELECT count(*) = date_diff('day', $starts_on, $ends_on) "
        "FROM core.calendar WHERE day >= $starts_on AND day < $ends_on",
        say("производственный календарь не покрывает период", "the calendar does not cover the period"),
    ),
    "payment_history": (
        f"SELECT coalesce(min(local_date) <= $starts_on - {HISTORY_DAYS}, FALSE) FROM calc.customer_payments",
        say(
            "история оплат начинается меньше чем за {days} дней до периода",
            "payments go back less than {days} days before the period",
            days=HISTORY_DAYS,
        ),
    ),
    "plans": (
        "SELECT count(*) > 0 FROM core.plans WHERE period = $period",
        say("нет планов на период: inputs/plans.csv", "no plans of the period: inputs/plans.csv"),
    ),
    "milestones": (
        "SELECT count(*) > 0 FROM core.milestones",
        say("нет вех: inputs/milestones.csv", "no milestones: inputs/milestones.csv"),
    ),
    "odds": (
        "SELECT count(probability) > 0 FROM calc.stage_odds WHERE valid_from < $ends_on",
        say(
            "нет вероятностей оплаты: ни 30 закрытых сделок за год, ни inputs/probabilities.csv",
            "no odds of payment: neither 30 deals closed in a year nor inputs/probabilities.csv",
        ),
    ),
    "earlier_plans": (
        "SELECT count(*) > 0 FROM core.plans WHERE metric IN ('revenue_cash', 'deals_paid') "
        "AND period = strftime($starts_on - INTERVAL 1 MONTH, '%Y-%m')",
        say(
            "нет плана выручки или оплаченных сделок на прошлый месяц: inputs/plans.csv",
            "no plan of revenue or paid deals for the month before: inputs/plans.csv",
        ),
    ),
    "close_dates": (
        "SELECT EXISTS (FROM core.deals WHERE planned_close_on IS NOT NULL) "
        "OR EXISTS (FROM core.deal_events WHERE event_type = 'close_date')",
        say(
            "источники не сообщают плановой даты закрытия (в amoCRM её нет, Битрикс24 — с первой загрузки)",
            "no source tells the planned close date (amoCRM has none; Bitrix24's is seen from its first load on)",
        ),
    ),
    "sales_documents": (
        "SELECT count(*) > 0 FROM core.sales_documents",
        say("учёт не передал документов реализации", "accounting gave no sales documents"),
    ),
    "costs": (
        "SELECT count(*) > 0 FROM core.costs",
        say("учёт не передал себестоимости", "accounting gave no costs"),
    ),
    "receivables": (
        "SELECT count(*) > 0 FROM core.receivables WHERE as_of >= $starts_on AND as_of < $ends_on",
        say("учёт не передал дебиторки за период", "accounting gave no receivables of the period"),
    ),
}
NAMES = tuple(_REQUIREMENTS)


def read_requirements(connection: duckdb.DuckDBPyConnection, period: Period) -> dict[str, bool]:
    """Whether each requirement is met in a period."""
    given = {"period": period.name, "starts_on": period.starts_on, "ends_on": period.ends_on}
    found = {}
    # One by one: as the columns of one SELECT they are a join of them all, which took five times as long to plan.
    for name, (question, _) in _REQUIREMENTS.items():
        used = {key: each for key, each in given.items() if f"${key}" in question}
        row = connection.execute(question, used).fetchone()
        found[name] = row is not None and bool(row[0])
    return found


def lack_of(name: str) -> Text:
    """What is missing where a requirement is not met."""
    return _REQUIREMENTS[name][1]
