"""Payments that no deal has, the deals each may belong to, and a person's decision on one (metrics.md 2.4).

What is booked already is never taken away by a decision: the parts a rule had booked are written down beside it,
because a person's decision stands over every rule for the whole payment.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import duckdb

from base.errors import UsageError
from base.text import Text, say
from metrics.inputs.reader import Row

# Evidence that books money; where it did not, several deals have it, or nothing confirms it.
_BOOKING = ("order_id", "invoice_number", "contract_number", "tax_id_amount")


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A deal with its strongest evidence; `remaining` is what it still owes, in the company's currency."""

    source: str
    deal_id: str
    title: str | None
    amount: Decimal | None
    currency: str | None
    remaining: Decimal | None
    rule: str
    url: str | None


@dataclass(frozen=True, kw_only=True)
class Unmatched:
    """A payment, or the rest of one, that is on no deal. Amounts in its own currency; a refund's are negative.

    `reason`: no_candidate, ambiguous (several deals have the strongest evidence), unconfirmed (one deal, but the
    evidence alone proves nothing), tax_id_only, amount_only, rest (the other part is booked), no_payment_before (a
    refund of nothing that is known).
    """

    source: str
    payment_id: str
    paid_on: date | None
    amount: Decimal
    unmatched: Decimal
    currency: str | None
    payer_name: str | None
    payer_tax_id: str | None
    purpose: str | None
    reason: str
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Rows to add to matches.csv, by its columns; `kept` of them repeat what rules had booked."""

    payment_source: str
    payment_id: str
    paid_on: date | None
    deal_source: str
    deal_id: str
    amount: Decimal
    currency: str | None
    rows: tuple[dict[str, Any], ...]
    kept: int


_UNMATCHED = """
SELECT payments.source, payments.payment_id, payments.paid_on, payments.amount,
    CAST(payments.amount - coalesce(booked.amount, 0) AS DECIMAL(18, 2)) AS unmatched,
    payments.currency, payments.payer_name, payments.payer_tax_id, payments.purpose
FROM calc.payments AS rests
JOIN core.payments AS payments ON payments.source = rests.source AND payments.payment_id = rests.payment_id
LEFT JOIN (SELECT source, payment_id, sum(amount) AS amount FROM core.payment_allocations GROUP BY ALL) AS booked
    ON booked.source = rests.source AND booked.payment_id = rests.payment_id
WHERE rests.deal_id = '' AND coalesce(rests.excluded_by, 'no_rate') = 'no_rate'
    AND ($since IS NULL OR rests.local_date >= $since) AND ($until IS NULL OR rests.local_date < $until)
ORDER BY payments.paid_on, payments.source, payments.payment_id
"""

_CANDIDATES = """
SELECT candidates.source, candidates.payment_id, candidates.deal_source, candidates.deal_id, deals.title, deals.amount,
    deals.currency, status.remaining, candidates.rule, deals.url
FROM calc.match_candidates AS candidates
LEFT JOIN core.deals AS deals ON deals.source = candidates.deal_source AND deals.deal_id = candidates.deal_id
LEFT JOIN facts.deal_payments AS status
    ON status.source = candidates.deal_source AND status.deal_id = candidates.deal_id
ORDER BY candidates.source, candidates.payment_id,
    list_position(['order_id', 'invoice_number', 'contract_number', 'tax_id_amount', 'tax_id_only', 'amount_only'],
        candidates.rule),
    candidates.deal_source, length(candidates.deal_id), candidates.deal_id
"""


def list_unmatched(
    connection: duckdb.DuckDBPyConnection, since: date | None = None, until: date | None = None
) -> list[Unmatched]:
    """Customers' payments with a rest that no deal has, posted from `since` until before `until`, oldest first."""
    candidates: dict[tuple[str, str], list[Candidate]] = {}
    for source, payment_id, *found in connection.execute(_CANDIDATES).fetchall():
        candidate = Candidate(**dict(zip(Candidate.__dataclass_fields__, found, strict=True)))
        candidates.setdefault((source, payment_id), []).append(candidate)
    of_payment = [name for name in Unmatched.__dataclass_fields__ if name not in ("reason", "candidates")]
    unmatched = []
    for row in connection.execute(_UNMATCHED, {"since": since, "until": until}).fetchall():
        values = dict(zip(of_payment, row, strict=True))
        choices = tuple(candidates.get((values["source"], values["payment_id"]), ()))
        unmatched.append(Unmatched(**values, reason=_reason(values, choices), candidates=choices))
    return unmatched


def _reason(payment: dict[str, Any], candidates: Sequence[Candidate]) -> str:
    if payment["unmatched"] != payment["amount"]:
        return "rest"
    if not candidates:
        return "no_payment_before" if payment["amount"] < 0 else "no_candidate"
    strongest = candidates[0].rule
    if strongest not in _BOOKING:
        return strongest
    return "ambiguous" if sum(candidate.rule == strongest for candidate in candidates) > 1 else "unconfirmed"


# ── a decision ──────────────────────────────────────────────────────────────────────────────────────────────────


def decide(
    connection: duckdb.DuckDBPyConnection,
    written: Iterable[Row],
    payment: str,
    deal: str,
    amount: Decimal | None,
    *,
    company_currency: str,
) -> Decision:
    """What must be written so that the payment (or `amount` of it) goes to the deal; `written` are the decisions there.

    `payment` and `deal` are ids, or `source:id` where an id alone is not unique. Without an amount all that is still
    free goes to the deal.

    Raises:
        UsageError: no such record, several of them, or the decision can't stand; nothing was done.
    """
    paid = _find_payment(connection, payment)
    found = _find_deal(connection, deal)
    _check_currency(paid, found, company_currency)
    place = (paid["source"], paid["payment_id"])
    earlier = [row.values for row in written if _counted_place(connection, row.values) == place]
    parts = earlier or _booked_parts(connection, place)
    _check_new(parts, found, deal)
    free = abs(paid["amount"]) - _sum_of(parts, paid)
    part = _part(free, amount, paid, payment)
    rows = [] if earlier else list(parts)
    # The whole payment is left open: then a correction of its amount in accounting is followed.
    declared = None if not parts and part == abs(paid["amount"]) else part
    rows.append(_row(place, found["source"], found["deal_id"], declared))
    return Decision(
        payment_source=paid["source"],
        payment_id=paid["payment_id"],
        paid_on=paid["paid_on"],
        deal_source=found["source"],
        deal_id=found["deal_id"],
        amount=part,
        currency=paid["currency"],
        rows=tuple(rows),
        kept=len(rows) - 1,
    )


def _find_payment(connection: duckdb.DuckDBPyConnection, text: str) -> dict[str, Any]:
    found = _records(
        connection,
        """
        SELECT coalesce(counted.same_as_source, payments.source) AS source,
            coalesce(counted.same_as_payment_id, payments.payment_id) AS payment_id,
            payments.source AS own_source, payments.paid_on, payments.amount, payments.currency, counted.excluded_by
        FROM core.payments AS payments
        LEFT JOIN (
            SELECT source, payment_id, any_value(excluded_by) AS excluded_by,
                any_value(same_as_source) AS same_as_source, any_value(same_as_payment_id) AS same_as_payment_id
            FROM calc.payments GROUP BY source, payment_id
        ) AS counted ON counted.source = payments.source AND counted.payment_id = payments.payment_id
        WHERE payments.payment_id = $text OR concat(payments.source, ':', payments.payment_id) = $text
        ORDER BY payments.source
        """,
        text,
    )
    payment = _only(found, text, say("платежа", "payment"), "own_source")
    excluded_by = payment["excluded_by"]
    if excluded_by not in (None, "no_rate", "other_channel"):
        raise UsageError(
            say(
                "Платёж {payment} не считается деньгами покупателя: {reason}.",
                "Payment {payment} does not count as a customer's money: {reason}.",
                payment=text,
                reason=_EXCLUDED.get(excluded_by, say("{rule}", "{rule}", rule=excluded_by)),
            )
        )
    return payment


_EXCLUDED = {
    "deleted": say("он отменён в бухгалтерии", "accounting took it back"),
    "own_transfer": say("это перевод между своими счетами", "it is a transfer between own accounts"),
    "other": say("это не оплата и не возврат покупателя", "it is neither a customer's payment nor a refund"),
    "exclusion": say("он исключён в exclusions.csv", "exclusions.csv leaves it out"),
}


def _find_deal(connection: duckdb.DuckDBPyConnection, text: str) -> dict[str, Any]:
    found = _records(
        connection,
        """
        SELECT source, deal_id, currency, coalesce(is_deleted, FALSE) AS is_deleted FROM core.deals
        WHERE deal_id = $text OR concat(source, ':', deal_id) = $text
        ORDER BY source
        """,
        text,
    )
    deal = _only(found, text, say("сделки", "deal"), "source")
    if deal["is_deleted"]:
        raise UsageError(
            say("Сделка {deal} удалена в CRM.", "Deal {deal} was deleted in the CRM.", deal=text),
            remedy=say(
                "Восстановите её в CRM или выберите сделку, в которую её объединили.",
                "Restore it in the CRM, or choose the deal it was merged into.",
            ),
        )
    return deal


def _records(connection: duckdb.DuckDBPyConnection, query: str, text: str) -> list[dict[str, Any]]:
    cursor = connection.execute(query, {"text": text})
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _only(found: list[dict[str, Any]], text: str, what: Text, source: str) -> dict[str, Any]:
    if not found:
        raise UsageError(
            say("Нет {what} {id}.", "There is no {what} {id}.", what=what, id=text),
            remedy=say("Список: voronka match list", "See: voronka match list"),
        )
    if len(found) > 1:
        places = ", ".join(f"{row[source]}:{text}" for row in found)
        raise UsageError(
            say("Номер {id} есть в нескольких источниках.", "Several sources have the id {id}.", id=text),
            remedy=say("Укажите один: {places}", "Name one: {places}", places=places),
        )
    return found[0]


def _check_currency(payment: dict[str, Any], deal: dict[str, Any], company_currency: str) -> None:
    of_payment, of_deal = payment["currency"] or company_currency, deal["currency"] or company_currency
    if of_payment != of_deal:
        raise UsageError(
            say(
                "Платёж в {paid}, а сделка в {asked}.",
                "The payment is in {paid}, the deal in {asked}.",
                paid=of_payment,
                asked=of_deal,
            ),
            remedy=say(
                "Если это верно, впишите строку в inputs/matches.csv сами.",
                "If that is right, add the line to inputs/matches.csv yourself.",
            ),
        )


def _counted_place(connection: duckdb.DuckDBPyConnection, decision: dict[str, Any]) -> tuple[str, str]:
    """The payment a decision holds for: the counted copy of the same money."""
    place = (decision["source"], decision["payment_id"])
    row = connection.execute(
        """
        SELECT same_as_source, same_as_payment_id FROM calc.payments
        WHERE source = $1 AND payment_id = $2 AND same_as_source IS NOT NULL LIMIT 1
        """,
        list(place),
    ).fetchone()
    return (str(row[0]), str(row[1])) if row else place


def _booked_parts(connection: duckdb.DuckDBPyConnection, place: tuple[str, str]) -> list[dict[str, Any]]:
    parts = connection.execute(
        """
        SELECT deal_source, deal_id, abs(amount) FROM core.payment_allocations
        WHERE source = $1 AND payment_id = $2 ORDER BY deal_source, deal_id
        """,
        list(place),
    ).fetchall()
    return [_row(place, *part) for part in parts]


def _row(place: tuple[str, str], deal_source: str, deal_id: str, amount: Decimal | None) -> dict[str, Any]:
    names = ("source", "payment_id", "deal_source", "deal_id", "amount")
    return dict(zip(names, (*place, deal_source, deal_id, amount), strict=True))


def _sum_of(parts: Iterable[dict[str, Any]], payment: dict[str, Any]) -> Decimal:
    """What parts take of a payment; one without an amount takes it whole."""
    whole = abs(payment["amount"])
    return sum((whole if part["amount"] is None else abs(part["amount"]) for part in parts), Decimal(0))


def _check_new(parts: Iterable[dict[str, Any]], deal: dict[str, Any], text: str) -> None:
    if any((part["deal_source"], part["deal_id"]) == (deal["source"], deal["deal_id"]) for part in parts):
        raise UsageError(
            say("Платёж уже отнесён к сделке {deal}.", "The payment is on deal {deal} already.", deal=text),
            remedy=_BY_HAND,
        )


_BY_HAND = say(
    "Чтобы изменить решение, исправьте строку в inputs/matches.csv.",
    "To change a decision, mend its line in inputs/matches.csv.",
)


def _part(free: Decimal, amount: Decimal | None, payment: dict[str, Any], text: str) -> Decimal:
    if free <= 0:
        raise UsageError(
            say("Платёж {payment} уже отнесён целиком.", "Payment {payment} is matched already.", payment=text),
            remedy=_BY_HAND,
        )
    if amount is None:
        return free
    if not 0 < amount <= free:
        raise UsageError(
            say(
                "Сумма {amount} не годится: от платежа свободно {free} {currency}.",
                "The amount {amount} can't be: {free} {currency} of the payment are free.",
                amount=amount,
                free=free,
                currency=payment["currency"] or "",
            )
        )
    return amount
