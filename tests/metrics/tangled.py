"""Records of a few small worlds, tied to one another in every way resolve knows, and changed as sources change them.

Values come from a handful for each world, so that phones, numbers, taxpayers and amounts meet all the time; one amount
is shared by all worlds. Nothing is meant to make sense but to the rules.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb

from models.arrow import find_relation, key_columns
from tests.metrics.fixture_core import PIPELINE, STAGES, USERS, add_people, add_stages, insert

Key = tuple[Any, ...]
Row = dict[str, Any]

BEGINNING = datetime(2026, 9, 1, 6, tzinfo=UTC)
DAYS = 80
EVERYBODYS_AMOUNT = Decimal(5000)
PIPELINES = (PIPELINE, "8")
# Lists that come anew as a whole: what isn't in them any more is gone without a word.
_LISTS = ("core.deal_contacts", "core.payment_parts")
_CRMS = ("amo", "amo", "b24")


class Tangle:
    """One world; `place` keeps its values apart from those of the others."""

    def __init__(self, place: int, dice: random.Random) -> None:
        self.place, self.dice = place, dice
        self.rows: dict[str, dict[Key, Row]] = {}
        self.phones = [f"+7900{place:05d}{name:02d}" for name in range(5)]
        self.taxes = [f"77{place:05d}{name:03d}" for name in range(3)]
        self.numbers = [f"{place}{name:02d}" for name in range(5)]
        self.orders = [f"o{place}-{name}" for name in range(4)]
        self.amounts = [Decimal(100 * place + 10 * name + 1) for name in range(4)]
        self.makers: dict[str, tuple[Callable[[int], Row], int]] = {
            "core.deals": (self._deal, 7),
            "core.deal_events": (self._event, 24),
            "core.deal_contacts": (self._link, 8),
            "core.contacts": (self._contact, 5),
            "core.contact_phones": (self._phone, 6),
            "core.companies": (self._company, 2),
            "core.calls": (self._call, 14),
            "core.activities": (self._note, 4),
            "core.payments": (self._payment, 9),
            "core.payment_parts": (self._part, 2),
            "core.orders": (self._order, 4),
            "core.invoices": (self._invoice, 2),
            "core.sales_documents": (self._shipment, 2),
            "core.costs": (self._cost, 2),
            "core.receivables": (self._receivable, 1),
        }
        for relation, (make, count) in self.makers.items():
            self.rows[relation] = {}
            for name in range(count):
                self._put(relation, make(name))

    def change(self) -> tuple[dict[str, list[Key]], dict[str, list[Row]]]:
        """One to three changes: keys whose rows go, and rows that come (also in place of those)."""
        gone: dict[str, list[Key]] = {}
        come: dict[str, list[Row]] = {}
        for _ in range(self.dice.choice([1, 1, 2, 3])):
            relation = self.dice.choice(list(self.makers))
            make, count = self.makers[relation]
            if relation in _LISTS and self.rows[relation] and self.dice.random() < 0.5:
                key = self.dice.choice(list(self.rows[relation]))
                del self.rows[relation][key]
                gone.setdefault(relation, []).append(key)
                come[relation] = [row for row in come.get(relation, []) if _key(relation, row) != key]
                continue
            old = list(self.rows[relation])
            row = make(self.dice.randrange(count + 2))
            key = self._put(relation, row)
            if key in old:
                gone.setdefault(relation, []).append(key)
            come[relation] = [other for other in come.get(relation, []) if _key(relation, other) != key] + [row]
        return gone, come

    def _put(self, relation: str, row: Row) -> Key:
        key = _key(relation, row)
        self.rows[relation][key] = row
        return key

    # ── what records hold ───────────────────────────────────────────────────────────────────────────────────────

    def _maybe(self, values: list[Any], chance: float = 0.5) -> Any:
        return self.dice.choice(values) if self.dice.random() < chance else None

    def _moment(self) -> datetime:
        return BEGINNING + timedelta(minutes=self.dice.randrange(DAYS * 24 * 60))

    def _created(self, deal: int) -> datetime:
        """In the two days of this deal: nothing in a log comes before the creation."""
        return BEGINNING + timedelta(days=3 * deal, minutes=self.dice.randrange(2 * 24 * 60))

    def _after(self, deal: int) -> datetime:
        return max(self._moment(), BEGINNING + timedelta(days=3 * deal + 2, minutes=self.dice.randrange(99)))

    def _day(self) -> date:
        return BEGINNING.date() + timedelta(days=self.dice.randrange(DAYS))

    def _amount(self) -> Decimal:
        return EVERYBODYS_AMOUNT if self.dice.random() < 0.12 else self.dice.choice(self.amounts)

    def _currency(self) -> str | None:
        return self.dice.choices(["RUB", "USD", None], [12, 1, 1])[0]

    def _name(self, kind: str, name: int) -> str:
        return f"{kind}{self.place}-{name}"

    def _deal_name(self) -> Row:
        name = self.dice.randrange(8)
        return {"deal_source": _CRMS[name % 3], "deal_id": self._name("d", name)}

    def _deal(self, name: int) -> Row:
        is_deleted = self.dice.random() < 0.1
        stage, _, _ = self.dice.choice(list(STAGES.values()))
        return {
            "source": _CRMS[name % 3],
            "deal_id": self._name("d", name),
            "pipeline_id": self.dice.choice(PIPELINES),
            "stage_id": stage,
            "owner_id": self.dice.choice([user for user, _ in USERS.values()]),
            "company_id": self._maybe([self._name("f", firm) for firm in range(2)], 0.3),
            "amount": self._maybe([self._amount()], 0.9),
            "currency": self._currency(),
            "created_at": self._maybe([self._created(name)], 0.95),
            "closed_at": self._maybe([self._moment()], 0.3),
            "invoice_number": self._maybe(self.numbers),
            "contract_number": self._maybe(self.numbers, 0.2),
            "order_id": self._maybe(self.orders, 0.2),
            "tax_id": self._maybe(self.taxes, 0.4),
            "is_deleted": is_deleted,
            "deletion_version": int(self._moment().timestamp() * 1e6) if is_deleted else None,
        }

    def _event(self, name: int) -> Row:
        deal = name % 8
        kind = self.dice.choices(
            ["created", "stage", "owner", "amount", "deleted", "restored", "merged"], [3, 12, 3, 4, 1, 1, 1]
        )[0]
        values = {
            "stage": [stage for stage, _, _ in STAGES.values()],
            "owner": [user for user, _ in USERS.values()],
            "amount": [str(amount) for amount in self.amounts],
        }.get(kind, [None])
        to = self.dice.choice(values)
        return {
            "source": _CRMS[deal % 3],
            "event_id": self._name("e", name),
            "deal_id": self._name("d", deal),
            "event_type": kind,
            "occurred_at": self._created(deal) if kind == "created" else self._after(deal),
            "from_value": self.dice.choice(values),
            "to_value": to,
            "pipeline_id": self.dice.choice(PIPELINES) if kind == "stage" else None,
            "stage_id": to if kind == "stage" else None,
            "user_id": self.dice.choice([user for user, _ in USERS.values()]),
            "precision": "log",
        }

    def _link(self, name: int) -> Row:
        deal = self.dice.randrange(7)
        contact = self._name("k", self.dice.randrange(6))
        deal_id = self._name("d", deal)
        return {"source": _CRMS[deal % 3], "deal_id": deal_id, "contact_id": contact, "is_main": name % 2 == 0}

    def _contact(self, name: int) -> Row:
        emails = [f"{self.place}-{self.dice.randrange(3)}@Example.com"] if self.dice.random() < 0.3 else []
        seen = {"created_at": self._moment()}
        identity = {"source": self.dice.choice(_CRMS), "contact_id": self._name("k", name)}
        return identity | seen | {"emails": emails, "phones": [], "tax_id": self._maybe(self.taxes, 0.2)}

    def _phone(self, name: int) -> Row:
        contact = self._name("k", self.dice.randrange(6))
        seen = self._moment()
        phone = {"phone": self.dice.choice(self.phones), "first_seen_at": seen, "last_seen_at": seen}
        return {"source": self.dice.choice(_CRMS), "contact_id": contact} | phone

    def _company(self, name: int) -> Row:
        phones = self.dice.sample(self.phones, self.dice.choice([0, 1]))
        known = {"phones": phones, "emails": [], "tax_id": self._maybe(self.taxes)}
        return {"source": _CRMS[name % 3], "company_id": self._name("f", name)} | known

    def _call(self, name: int) -> Row:
        started, talk = self._moment(), self.dice.choice([0, 0, 20, 90])
        return {
            "source": "mango",
            "call_id": self._name("c", name),
            "started_at": started,
            "local_date": (started + timedelta(hours=3)).date(),
            "direction": self.dice.choice(["in", "in", "out", "out", "internal"]),
            "external_number": self._maybe(self.phones, 0.9),
            "line": "74951234567",
            "extension": self._maybe([extension for _, extension in USERS.values()], 0.8),
            "is_answered": talk > 0,
            "talk_seconds": talk,
            "duration_seconds": talk + 10,
            "leg_count": 1,
        }

    def _note(self, name: int) -> Row:
        calls = [row for row in self.rows["core.calls"].values() if row["external_number"]]
        call = self.dice.choice(calls)
        return {
            "source": "amo",
            "activity_id": self._name("n", name),
            "activity_type": "call_note" if self.dice.random() < 0.8 else "meeting",
            "user_id": self.dice.choice([user for user, _ in USERS.values()]),
            "occurred_at": call["started_at"] + timedelta(seconds=30),
            "duration_seconds": call["talk_seconds"],
            "phone": call["external_number"],
        }

    def _payment(self, name: int) -> Row:
        kind = self.dice.choices(["customer", "refund", "other"], [8, 2, 1])[0]
        number, tax = self.dice.choice(self.numbers), self.dice.choice(self.taxes)
        purpose = self.dice.choice(
            [
                f"Оплата по счету № {number}",
                f"Оплата по счету № {number}, счету № {self.dice.choice(self.numbers)}",
                f"По договору № {number}",
                f"Оплата за ООО Ромашка ИНН {tax}",
                f"Возврат по платежному поручению № {self.dice.randrange(3)} от 01.10.2026",
                "Оплата за товар",
                "Оплата за товар",
            ]
        )
        amount = self._amount() / self.dice.choice([1, 1, 1, 2])
        paid_on = self._day()
        return {
            "source": "bank" if name % 3 else "sheet",
            "payment_id": self._name("p", name),
            "paid_on": paid_on,
            "amount": (-amount if kind == "refund" else amount).quantize(Decimal("0.01")),
            "currency": self._currency() or "RUB",
            "kind": kind,
            "payer_name": self._maybe([f"Payer {self.place}-{payer}" for payer in range(2)], 0.4),
            "payer_tax_id": self._maybe([tax], 0.6),
            "payer_account": self._maybe([f"4070{self.place}{payer}" for payer in range(2)], 0.3),
            "own_account": self._maybe([f"4081{self.place}"], 0.7),
            "purpose": purpose,
            "document_number": str(self.dice.randrange(3)) if self.dice.random() < 0.8 else "",
            "document_on": paid_on,
            "order_id": self._maybe(self.orders, 0.15),
            "invoice_number": self._maybe(self.numbers, 0.15),
            "channel": self.dice.choice(["statement", "odata"]),
            "is_deleted": self.dice.random() < 0.05,
        }

    def _part(self, name: int) -> Row:
        payment = self.dice.randrange(9)
        named = {"payment_id": self._name("p", payment), "order_id": self.dice.choice(self.orders)}
        return {"source": "bank" if payment % 3 else "sheet", "amount": self._amount()} | named

    def _document(self, chance: float = 0.3) -> Row:
        linked = self._deal_name() if self.dice.random() < chance else {}
        # Documents in another currency may ask sums that nobody can foresee: then all is resolved.
        currency = self._currency() if self.place % 16 == 0 else self._maybe(["RUB"], 0.9)
        asked = {"amount": self._amount(), "currency": currency}
        return {"source": "bank", "number": self.dice.choice(self.numbers), "issued_on": self._day()} | asked | linked

    def _order(self, name: int) -> Row:
        based_on = self._maybe(self.orders, 0.3)
        known = {"order_id": f"o{self.place}-{name}", "based_on_order_id": based_on, "channel": "odata"}
        return self._document() | known | {"customer_tax_id": self._maybe(self.taxes, 0.4)}

    def _invoice(self, name: int) -> Row:
        return self._document(0.9) | {"source": "amo", "invoice_id": self._name("v", name)}

    def _shipment(self, name: int) -> Row:
        return self._document() | {"document_id": self._name("s", name), "order_id": self._maybe(self.orders)}

    def _cost(self, name: int) -> Row:
        return self._document() | {"cost_id": self._name("t", name)}

    def _receivable(self, name: int) -> Row:
        dated = {"as_of": self._day(), "due_on": self._day()}
        return self._document(0.8) | dated | {"receivable_id": self._name("b", name)}


class Worlds:
    """Many worlds in one database: a change of each at a time costs one resolve."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, seed: int, worlds: int) -> None:
        self.connection, self.dice = connection, random.Random(seed)
        self.tangles = [Tangle(place, random.Random(f"{seed}/{place}")) for place in range(1, worlds + 1)]
        _add_inputs(connection, self.tangles)
        for relation in self.tangles[0].makers:
            self._insert(
                relation, [row for tangle in self.tangles for row in tangle.rows[relation].values()], BEGINNING
            )

    def change(self, now: datetime, share: float) -> None:
        """Change about this share of the worlds, as loading at `now` would have."""
        gone: dict[str, list[Key]] = {}
        come: dict[str, list[Row]] = {}
        for tangle in self.tangles:
            if self.dice.random() < share:
                left, arrived = tangle.change()
                for relation, keys in left.items():
                    gone.setdefault(relation, []).extend(keys)
                for relation, rows in arrived.items():
                    come.setdefault(relation, []).extend(rows)
        for relation, keys in gone.items():
            names = key_columns(find_relation(relation))
            listed = ", ".join("(" + ", ".join(f"'{value}'" for value in key) + ")" for key in keys)
            self.connection.execute(f"DELETE FROM {relation} WHERE ({', '.join(names)}) IN ({listed})")
        for relation, rows in come.items():
            self._insert(relation, rows, now)

    def _insert(self, relation: str, rows: list[Row], loaded_at: datetime) -> None:
        stamp = {"version": int(loaded_at.timestamp()), "loaded_at": loaded_at}
        insert(self.connection, relation, [row | stamp for row in rows])


def _key(relation: str, row: Row) -> Key:
    return tuple(row[name] for name in key_columns(find_relation(relation)))


def _add_inputs(connection: duckdb.DuckDBPyConnection, tangles: list[Tangle]) -> None:
    add_people(connection)
    for source in ("amo", "b24"):
        for pipeline in PIPELINES:
            add_stages(connection, source=source, pipeline=pipeline)
    ever = {"valid_from": date(1900, 1, 1)}
    b24 = [ever | {"person_id": name, "source": "b24", "external_id": user} for name, (user, _) in USERS.items()]
    insert(connection, "core.identities", b24)
    days = [BEGINNING.date() + timedelta(days=day) for day in range(-10, DAYS + 60)]
    insert(connection, "core.calendar", [{"day": day, "hours": 8 if day.weekday() < 5 else 0} for day in days])
    insert(connection, "core.rates", [{"rate_on": day, "currency": "USD", "rate": 90} for day in days if day.day % 5])
    insert(connection, "core.lines", [{"source": "mango", "line": "74951234567", "team": "North"}])
    weight = {"source": "amo", "pipeline_id": PIPELINE, "stage_id": STAGES["offer"][0], "weight": 1.0}
    insert(connection, "core.milestones", [weight])
    # One CRM's owners are compared load by load, from this day on.
    began = {"run_id": "1", "source": "b24", "stream": "deals", "started_at": BEGINNING + timedelta(days=9)}
    insert(connection, "meta.sync_runs", [began])
    insert(connection, "meta.watermarks", [{"source": "b24", "stream": "deals", "seq": 1, "mapping_version": "1"}])
    for relation, rows in _decisions(tangles):
        insert(connection, relation, rows)


def _decisions(tangles: list[Tangle]) -> Iterator[tuple[str, list[Row]]]:
    """What people decided about a record of each world here and there."""
    some = tangles[::3]
    yield (
        "core.matches",
        [{"source": "bank", "payment_id": tangle._name("p", 1)} | tangle._deal_name() for tangle in some],
    )
    yield (
        "core.exclusions",
        [
            {"source": source, "record_type": kind, "record_id": tangle._name(letter, 2)}
            for tangle in some
            for source, kind, letter in (("b24", "deal", "d"), ("mango", "call", "c"), ("bank", "payment", "p"))
        ],
    )
    share = {"person_id": "B", "share": 0.4, "valid_from": date(2026, 9, 20)}
    yield (
        "core.splits",
        [share | {"deal_source": "amo", "deal_id": tangle._name("d", 0)} for tangle in tangles[1::3]]
        + [
            share | {"person_id": "A", "share": 0.6, "deal_source": "amo", "deal_id": tangle._name("d", 0)}
            for tangle in tangles[1::3]
        ],
    )
    yield "core.test_numbers", [{"phone": tangle.phones[4]} for tangle in some]
