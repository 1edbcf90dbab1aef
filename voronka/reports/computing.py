"""What a recompute did, a row for each period, and what could not be computed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from base.text import say
from base.times import local_day
from metrics.compute import PeriodReport
from metrics.settings import Company
from voronka.reports.completeness import show_absent
from voronka.reports.page import Field, Page


def show_periods(page: Page, periods: Sequence[PeriodReport], company: Company) -> None:
    if not periods:
        page.say(say("Пересчитывать нечего: ничего не изменилось.", "Nothing to recompute: nothing has changed."))
        return
    numbers = page.numbers
    titles = (
        say("Период", "Period"),
        say("Показателей", "Metrics"),
        say("Изменено строк", "Rows changed"),
        say("Посчитано по", "Counted to"),
    )
    fields = [Field(page.render(title), "right" if index in (1, 2) else "left") for index, title in enumerate(titles)]
    rows = [
        (
            period.period,
            numbers.count(len(period.metrics)),
            numbers.count(period.rows_written),
            numbers.day(local_day(period.as_of - timedelta(microseconds=1), company.zone) if period.as_of else None),
        )
        for period in periods
    ]
    page.table(fields, rows)
    for reason_period in periods[-1:]:
        # The reasons of the latest period; the others lack much the same, and `kpi` tells each its own.
        show_absent(page, reason_period.absent)


def periods_document(periods: Sequence[PeriodReport]) -> list[dict[str, Any]]:
    return [
        {
            "period": period.period,
            "metrics": list(period.metrics),
            "rows_written": period.rows_written,
            "as_of": period.as_of,
            "absent": [{"metric": key, "reason": reason} for key, reason in period.absent.items()],
        }
        for period in periods
    ]
