"""What must hold between lines and between files; each problem is reported at its file and line."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from base.text import Text, say
from metrics.inputs.declared import EVER
from metrics.inputs.reader import ReadFile, Row

Inputs = dict[str, ReadFile]


def validate(inputs: Inputs) -> list[Text]:
    """Check everything at once; the files' own problems come first."""
    for check in _CHECKS:
        check(inputs)
    return [problem for read in inputs.values() for problem in read.problems]


def _check_periods(inputs: Inputs) -> None:
    for read in inputs.values():
        for row in read.rows:
            start = row.values.get("valid_from") or row.values.get("from_on")
            end = row.values.get("valid_to") or row.values.get("to_on")
            if start and end and end < start:
                read.report(row.line, say("кончается раньше, чем начинается", "ends before it begins"))


def _check_overlaps(inputs: Inputs) -> None:
    """Two versions in force on one day would count everything twice."""
    for read in inputs.values():
        if read.declared.validity is None:
            continue
        versions: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
        for row in read.rows:
            versions[tuple(row.values[name] for name in read.declared.validity.of)].append(row)
        for rows in versions.values():
            rows.sort(key=lambda row: row.values["valid_from"])
            for earlier, later in itertools.pairwise(rows):
                until = earlier.values["valid_to"]
                if until is None or until >= later.values["valid_from"]:
                    read.report(
                        later.line,
                        say(
                            "пересекается по датам со строкой {line}",
                            "overlaps in time with line {line}",
                            line=earlier.line,
                        ),
                    )


def _check_people(inputs: Inputs) -> None:
    if inputs["people.csv"].problems:
        # A person whose own line is wrong would be missed everywhere else too.
        return
    people = {row.values["person_id"] for row in inputs["people.csv"].rows}
    for name in ("identities.csv", "absences.csv", "splits.csv"):
        for row in inputs[name].rows:
            _expect_known(inputs[name], row, row.values["person_id"], people)
    for row in inputs["plans.csv"].rows:
        if row.values["entity_type"] == "manager":
            _expect_known(inputs["plans.csv"], row, row.values["entity_id"], people)


def _expect_known(read: ReadFile, row: Row, person: str, people: set[str]) -> None:
    if person not in people:
        read.report(
            row.line,
            say("сотрудника {person} нет в people.csv", "person {person} is not in people.csv", person=person),
        )


def _check_shares(inputs: Inputs) -> None:
    """On every day a split is in force, its shares sum to exactly 1."""
    read = inputs["splits.csv"]
    deals: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in read.rows:
        deals[(row.values["deal_source"], row.values["deal_id"])].append(row)
    for rows in deals.values():
        for day in _turning_days(rows):
            in_force = [row for row in rows if _is_in_force(row, day)]
            total = sum((row.values["share"] for row in in_force), Decimal(0))
            if in_force and total != 1:
                read.report(
                    in_force[0].line,
                    say(
                        "доли сделки {deal} с {day} дают {total}, а не 1",
                        "shares of deal {deal} from {day} sum to {total}, not 1",
                        deal=in_force[0].values["deal_id"],
                        day="…" if day == EVER else day.isoformat(),
                        total=total,
                    ),
                )


def _turning_days(rows: list[Row]) -> list[date]:
    starts = {row.values["valid_from"] for row in rows}
    ends = {row.values["valid_to"] + timedelta(days=1) for row in rows if row.values["valid_to"]}
    return sorted(starts | ends)


def _is_in_force(row: Row, day: date) -> bool:
    until = row.values["valid_to"]
    return bool(row.values["valid_from"] <= day and (until is None or until >= day))


def _check_hours(inputs: Inputs) -> None:
    for row in inputs["hours.csv"].rows:
        # Fixed-width HH:MM compares as text.
        if row.values["closes"] <= row.values["opens"]:
            inputs["hours.csv"].report(row.line, say("закрытие не позже открытия", "closes no later than it opens"))


def _check_calendar(inputs: Inputs) -> None:
    for row in inputs["calendar.csv"].rows:
        if not 0 <= row.values["hours"] <= 24:
            inputs["calendar.csv"].report(row.line, say("часов от 0 до 24", "hours are from 0 to 24"))


def _check_rates(inputs: Inputs) -> None:
    for row in inputs["rates.csv"].rows:
        if row.values["rate"] <= 0:
            inputs["rates.csv"].report(row.line, say("курс должен быть больше 0", "a rate is above 0"))


def _check_company_plans(inputs: Inputs) -> None:
    for row in inputs["plans.csv"].rows:
        if row.values["entity_type"] == "company" and row.values["entity_id"] != "company":
            inputs["plans.csv"].report(
                row.line, say("у плана компании entity_id = company", "a company plan has entity_id = company")
            )


_CHECKS: tuple[Callable[[Inputs], None], ...] = (
    _check_periods,
    _check_overlaps,
    _check_people,
    _check_shares,
    _check_hours,
    _check_calendar,
    _check_rates,
    _check_company_plans,
)
