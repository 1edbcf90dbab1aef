"""Deals and payments in a few words each, for tests of money: what CRM, its resolved log and accounting would hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import duckdb

from metrics.resolve.changes import Change, compare_changes
from metrics.resolve.money import MONEY_WRITES, SQL_DIR, MoneyReport, stage_money, write_money
from metrics.settings import Company
from tests.metrics.fixture_core import (
    COMPANY,
    PIPELINE,
    STAGES,
    USERS,
    add_people,
    empty_warehouse,
    fresh_clock,
    insert,
    moscow,
)

# payment -> its parts: (deal, amount, rule)
Parts = Mapping[str, list[tuple[str, Decimal, str]]]

# What the steps before money leave to it.
_CREDIT_TABLES = (
    "deal_credits", "dated_shares", "identity_spans", "map_versions", "next_deal_owners", "next_split_shares",
    "next_stage_events", "split_spans", "stage_maps", "stage_spans", "team_spans",
    "whole_identity_spans", "whole_team_spans",
)  # fmt: skip


def day(text: str) -> date:
    """`12` is in November 2026, `10-20` names the month, a full ISO date stands for itself."""
    return date.fromisoformat({2: f"2026-11-{text}", 5: f"2026-{text}", 10: text}[len(text)])


@dataclass(frozen=True, kw_only=True)
class Resolved(MoneyReport):
    """What was found, and the rows it changed."""

    changes: tuple[Change, ...]

    @property
    def rows(self) -> int:
        return sum(change.rows for change in self.changes)


class MoneyWorld:
    """Managers A (team North) and B (South); deals of source `amo`, payments of source `bank` unless told."""

    def __init__(self, connection: duckdb.DuckDBPyConnection | None = None) -> None:
        self.connection = connection or empty_warehouse()
        self.connection.execute("SET threads = 1")
        add_people(self.connection)
        self._events = 0

    def deal(
        self,
        deal: str,
        amount: int | str | None,
        *,
        created: str = "02 10:00",
        owners: Sequence[tuple[str, str]] = (),
        stages: Sequence[tuple[str, str]] = (),
        **values: Any,
    ) -> None:
        """`owners`: (from when, person), A from creation by default; `stages`: (when, stage) after `new`."""
        row = {
            "source": "amo",
            "deal_id": deal,
            "pipeline_id": PIPELINE,
            "currency": "RUB",
            "created_at": moscow(created),
        }
        money = None if amount is None else Decimal(amount)
        self.add("core.deals", row | {"amount": money, "is_deleted": False} | values)
        spans = list(owners) or [(created, "A")]
        for place, (since, person) in enumerate(spans):
            until = moscow(spans[place + 1][0]) if place + 1 < len(spans) else None
            owned = {"source": "amo", "deal_id": deal, "valid_from": moscow(since), "valid_to": until}
            named = {"owner_id": USERS[person][0], "person_id": person}
            self.add("core.deal_owners", owned | named | {"precision": "log"})
        for ordinal, (at, stage) in enumerate([(created, "new"), *stages], start=1):
            stage_id, position, kind = STAGES[stage]
            entry = {"source": "amo", "deal_id": deal, "ordinal": ordinal, "entered_at": moscow(at)}
            entry |= {"local_date": day(at.split()[0]), "pipeline_id": PIPELINE, "stage_id": stage_id}
            self.add("calc.stage_events", entry | {"kind": kind, "position": position})

    def move(self, deal: str, pipeline: str, at: str) -> None:
        """To the first stage of another pipeline, where the deal is now."""
        stage_id, position, kind = STAGES["new"]
        entry = {
            "source": "amo",
            "deal_id": deal,
            "ordinal": 9,
            "entered_at": moscow(at),
            "local_date": day(at.split()[0]),
        }
        place = {"pipeline_id": pipeline, "stage_id": stage_id, "kind": kind, "position": position}
        self.add("calc.stage_events", entry | place)
        self.connection.execute("UPDATE core.deals SET pipeline_id = ? WHERE deal_id = ?", [pipeline, deal])

    def event(self, deal: str, kind: str, at: str, **values: Any) -> None:
        self._events += 1
        row = {"source": "amo", "event_id": f"e{self._events:04d}", "deal_id": deal, "event_type": kind}
        self.add("core.deal_events", row | {"occurred_at": moscow(at)} | values)

    def order(
        self, order: str, number: str, amount: int | str, issued: str, deal: str | None = None, **values: Any
    ) -> None:
        row = {"source": "bank", "order_id": order, "number": number, "amount": Decimal(amount), "currency": "RUB"}
        linked = {"deal_source": "amo", "deal_id": deal} if deal else {}
        self.add("core.orders", row | linked | {"issued_on": day(issued)} | values)

    def pay(
        self, payment: str, on: str, amount: int | str, purpose: str = "", *, tax: str | None = None, **values: Any
    ) -> None:
        row = {
            "source": "bank",
            "payment_id": payment,
            "paid_on": day(on),
            "amount": Decimal(amount),
            "currency": "RUB",
        }
        row |= {"kind": "refund" if row["amount"] < 0 else "customer", "purpose": purpose, "payer_tax_id": tax}
        self.add("core.payments", row | {"document_number": payment, "document_on": day(on)} | values)

    def decide(self, payment: str, deal: str, amount: int | None = None, source: str = "bank") -> None:
        """A row of matches.csv."""
        row = {"source": source, "payment_id": payment, "deal_source": "amo", "deal_id": deal}
        self.add("core.matches", row | {"amount": None if amount is None else Decimal(amount)})

    def add(self, relation: str, row: Mapping[str, Any]) -> None:
        insert(self.connection, relation, [row])

    def resolve(self, company: Company = COMPANY) -> Resolved:
        """Money's part of resolve, on the credits that the steps before it would have made."""
        self.connection.execute("SET VARIABLE zone = $1", [company.zone.key])
        self.connection.execute("CREATE OR REPLACE TEMP TABLE next_deal_owners AS FROM core.deal_owners")
        self.connection.execute("CREATE OR REPLACE TEMP TABLE next_stage_events AS FROM calc.stage_events")
        for step in ("10_spans.sql", "35_credits.sql"):
            self.connection.execute((SQL_DIR / step).read_text(encoding="utf-8"))
        report = stage_money(self.connection, company)
        for relation in MONEY_WRITES:
            compare_changes(self.connection, relation)
        changes = write_money(self.connection, fresh_clock().now())
        for name in _CREDIT_TABLES:
            self.connection.execute(f"DROP TABLE temp.{name}")
        return Resolved(**vars(report), changes=changes)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(query).fetchall()

    def parts(self) -> Parts:
        """What core.payment_allocations says, by payment."""
        found: dict[str, list[tuple[str, Decimal, str]]] = {}
        for payment, *part in self.rows(
            "SELECT payment_id, deal_id, amount, match_rule FROM core.payment_allocations ORDER BY payment_id, deal_id"
        ):
            found.setdefault(payment, []).append(tuple(part))  # type: ignore[arg-type]
        return found

    def candidates(self) -> Mapping[str, list[tuple[str, str]]]:
        """Deals a person may choose from, and why, by payment."""
        found: dict[str, list[tuple[str, str]]] = {}
        for payment, deal, rule in self.rows(
            "SELECT payment_id, deal_id, rule FROM calc.match_candidates ORDER BY payment_id, deal_id"
        ):
            found.setdefault(payment, []).append((deal, rule))
        return found

    def status(self, deal: str) -> tuple[Any, ...]:
        """due, paid, remaining, status, due_origin of facts.deal_payments."""
        return self.connection.execute(
            "SELECT due, paid, remaining, status, due_origin FROM facts.deal_payments WHERE deal_id = $deal",
            {"deal": deal},
        ).fetchall()[0]

    def turns(self, deal: str) -> list[tuple[Any, ...]]:
        """sign, day, payment, person of calc.paid_deals."""
        return self.connection.execute(
            """
            SELECT sign, local_date, payment_id, person_id FROM calc.paid_deals
            WHERE deal_id = $deal ORDER BY ordinal
            """,
            {"deal": deal},
        ).fetchall()
