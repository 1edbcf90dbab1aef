"""Rows for reports, as the readers of facts would give them: a company of two teams in November 2026."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from base.text import Language
from metrics.funnel import FunnelRow
from metrics.periods import parse_period
from metrics.reading import Completeness, KpiRow
from voronka.reports.page import Page

MOSCOW = ZoneInfo("Europe/Moscow")
NOVEMBER = parse_period("2026-11")[0]
AS_OF = datetime(2026, 11, 30, 21, tzinfo=UTC)
TEAMS = {"petrova": "Москва", "ivanov": "Москва", "popov": "Регионы"}
ENTITIES = [
    ("company", "company", "Компания"),
    ("team", "Москва", "Москва"),
    ("team", "Регионы", "Регионы"),
    ("manager", "petrova", "Анна Петрова"),
    ("manager", "ivanov", "Дмитрий Иванов"),
    ("manager", "popov", "Сергей Попов"),
    ("manager", "unassigned", "Не назначено"),
]


def page(language: Language = "ru", width: int = 100) -> tuple[Page, io.StringIO]:
    """A page that is no terminal, and what was written on it."""
    stream = io.StringIO()
    return Page.on_stream(stream, language=language, zone=MOSCOW, width=width), stream


def kpi_row(metric: str, entity: int = 0, **values: Any) -> KpiRow:
    entity_type, entity_id, entity_name = ENTITIES[entity]
    defaults: dict[str, Any] = {
        "period": "2026-11",
        "metric": metric,
        "variant": "",
        "pipeline": "",
        "entity_type": entity_type,
        "entity_id": entity_id,
        "entity_name": entity_name,
        "num": None,
        "den": None,
        "value": None,
        "unit": "calls",
        "currency": None,
        "evidence_class": "hard",
        "additivity": "additive",
        "as_of": AS_OF,
        "credit_precision": "log",
        "plan": None,
        "attainment": None,
        "forecast": None,
    }
    return KpiRow(**{**defaults, **values})


def calls(entity: int, count: int, plan: float | None = None) -> KpiRow:
    share = count / plan if plan else None
    return kpi_row(
        "calls_successful", entity, num=Decimal(count), value=float(count), plan=plan, attainment=share, forecast=plan
    )


def rate(entity: int, num: int, den: int) -> KpiRow:
    return kpi_row(
        "lead_contact_rate",
        entity,
        num=Decimal(num),
        den=Decimal(den),
        value=num / den if den else None,
        unit="ratio",
        additivity="ratio",
        evidence_class="logged",
    )


def revenue(entity: int, amount: str) -> KpiRow:
    return kpi_row("revenue_cash", entity, num=Decimal(amount), value=float(amount), unit="money", currency="RUB")


def kpi_rows() -> list[KpiRow]:
    return [
        *(rate(i, num, den) for i, (num, den) in enumerate([(6, 8), (6, 8), (0, 0), (5, 5), (1, 3), (0, 0)])),
        *(calls(i, n, plan) for i, (n, plan) in enumerate([(1100, 2000.0), (900, None), (200, None), (500, 500.0)])),
        *(calls(i, n) for i, n in ((4, 400), (5, 200))),
        *(
            revenue(i, amount)
            for i, amount in enumerate(["430000.00", "410000", "0", "200000", "210000.50", "0", "20000"])
        ),
    ]


COMPLETE = [
    Completeness(source="amo", stream="leads", facet="crm", complete_until=AS_OF),
    Completeness(source="amo", stream="events", facet="crm", complete_until=datetime(2026, 11, 30, 20, tzinfo=UTC)),
    Completeness(source="mango", stream="calls", facet="calls", complete_until=None),
]

STAGES = [("10", "Новая", 10), ("20", "Квалифицирована", 20), ("30", "Встреча", 30), ("paid", "paid", None)]


def funnel_rows(form: str, counts: list[int], maturity: list[float | None]) -> list[FunnelRow]:
    """Every ordered pair of `STAGES`, as if each deal passed them in order."""
    return [
        FunnelRow(
            period="2026-11",
            form=form,
            source="amo",
            pipeline_id="7",
            from_stage=STAGES[i][0],
            to_stage=STAGES[j][0],
            entity_type="company",
            entity_id="company",
            num=Decimal(counts[j]),
            den=Decimal(counts[i]),
            value=counts[j] / counts[i],
            maturity=maturity[i],
            from_name=STAGES[i][1],
            to_name=STAGES[j][1],
            as_of=AS_OF,
            from_position=STAGES[i][2],
            to_position=STAGES[j][2],
        )
        for i in range(len(STAGES))
        for j in range(i + 1, len(STAGES))
    ]
