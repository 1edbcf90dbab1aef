"""Kinds of values on the command line. What is wrong with one is said in the user's language."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

import click

from base.errors import UsageError
from base.text import say

UNITS = {"m": "minutes", "h": "hours", "d": "days"}


class Day(click.ParamType[date]):
    """A local day, `2026-11-30`."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise UsageError(
                say(
                    "«{value}» — не дата; пишите ГГГГ-ММ-ДД, например 2026-11-30.",
                    "{value!r} is no date; write YYYY-MM-DD, such as 2026-11-30.",
                    value=value,
                )
            ) from None


class Age(click.ParamType[timedelta]):
    """A duration: `26h`, `90m`, `2d`."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        match = re.fullmatch(r"(\d{1,6})([mhd])", value)
        if match is None:
            raise UsageError(
                say(
                    "«{value}» — не срок; пишите 90m, 26h или 2d.",
                    "{value!r} is no age; write 90m, 26h or 2d.",
                    value=value,
                )
            )
        return timedelta(**{UNITS[match[2]]: int(match[1])})


class Share(click.ParamType[float]):
    """A share above 0: `25%`, `2,5 %`, or a fraction `0.25`."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"(\d{1,9}(?:[.,]\d{1,9})?)\s*(%?)", value)
        share = float(match[1].replace(",", ".")) / (100 if match[2] else 1) if match else 0.0
        # 25 without a percent sign is more likely a slip than twenty-five payments a meeting.
        if not 0 < share <= 1:
            raise UsageError(
                say(
                    "«{value}» — не доля; пишите 25% или 0.25.",
                    "{value!r} is no share; write 25% or 0.25.",
                    value=value,
                )
            )
        return share


DAY = Day()
AGE = Age()
SHARE = Share()
