"""`voronka match`: money without a deal, why, and which deals it may belong to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from base.text import Text, say
from metrics.matches import Candidate, Decision, Unmatched
from voronka.reports.page import Field, Page
from voronka.reports.words import word

# A first load may leave thousands; `--json` gives them all.
SHOWN = 50

REASONS: dict[str, Text] = {
    "ambiguous": say("подходят несколько сделок", "several deals fit"),
    "unconfirmed": say("подходит одна сделка, но без подтверждения", "one deal fits, but nothing confirms it"),
    "tax_id_only": say("совпал только ИНН плательщика", "only the payer's tax id fits"),
    "amount_only": say("совпала только сумма", "only the amount fits"),
    "no_candidate": say("ни на одну сделку ничто не указывает", "nothing points at a deal"),
    "rest": say("остаток: другая часть уже на сделке", "a rest: the other part is on a deal"),
    "no_payment_before": say("возврат без известной оплаты", "a refund of no known payment"),
}

RULES: dict[str, Text] = {
    "order_id": say("номер заказа в учётной системе", "the order's id"),
    "invoice_number": say("номер счёта", "the invoice's number"),
    "contract_number": say("номер договора", "the contract's number"),
    "tax_id_amount": say("ИНН и сумма", "tax id and amount"),
    "tax_id_only": say("ИНН", "tax id"),
    "amount_only": say("сумма", "amount"),
}


def show_unmatched(page: Page, payments: Sequence[Unmatched], currency: str) -> None:
    """How much for each reason, then the payments, oldest first, each with its candidates."""
    if not payments:
        page.say(say("Все платежи покупателей на сделках.", "Every customer's payment is on a deal."), "green")
        return
    _show_reasons(page, payments, currency)
    page.heading(say("Платежи", "Payments"))
    for payment in payments[:SHOWN]:
        _show_payment(page, payment)
    if len(payments) > SHOWN:
        more = page.numbers.count(len(payments) - SHOWN)
        page.say(say("… и ещё {more}: --json покажет все.", "… and {more} more: --json shows all.", more=more))
    page.heading(say("Отнести платёж к сделке", "To put a payment on a deal"))
    page.verbatim("voronka match confirm PAYMENT DEAL")


def _show_reasons(page: Page, payments: Sequence[Unmatched], currency: str) -> None:
    counts: Counter[tuple[str, str]] = Counter()
    sums: dict[tuple[str, str], Decimal] = {}
    for payment in payments:
        key = (payment.reason, payment.currency or currency)
        counts[key] += 1
        sums[key] = sums.get(key, Decimal(0)) + payment.unmatched
    titles = (say("Почему без сделки", "Why without a deal"), say("Платежей", "Payments"), say("Сумма", "Amount"))
    fields = [Field(page.render(t), "right" if i else "left", is_wide=not i) for i, t in enumerate(titles)]
    rows = [
        (page.render(word(REASONS, reason)), page.numbers.count(count), page.numbers.money(sums[reason, code], code))
        for (reason, code), count in sorted(counts.items())
    ]
    page.table(fields, rows)


def _show_payment(page: Page, payment: Unmatched) -> None:
    numbers = page.numbers
    amount = numbers.money(payment.unmatched, payment.currency, places=2)
    payer = " · ".join(part for part in (payment.payer_name, payment.payer_tax_id) if part)
    page.say(f"{numbers.day(payment.paid_on)}  {amount}  {payment.source}:{payment.payment_id}")
    if payer:
        page.say(f"    {payer}")
    if payment.purpose:
        page.say(f"    {payment.purpose}")
    page.say(f"    {page.render(word(REASONS, payment.reason))}", "yellow")
    for candidate in payment.candidates:
        page.say(f"      → {_candidate(page, candidate)}")


def _candidate(page: Page, candidate: Candidate) -> str:
    amount = page.numbers.money(candidate.amount, candidate.currency, places=2)
    parts = [f"{candidate.source}:{candidate.deal_id}", candidate.title or "", amount]
    parts += [page.render(word(RULES, candidate.rule)), candidate.url or ""]
    return " · ".join(part for part in parts if part)


def unmatched_document(payments: Sequence[Unmatched]) -> dict[str, Any]:
    return {"payments": list(payments)}


def show_decision(page: Page, decision: Decision, path: Path) -> None:
    page.say(
        say(
            "Платёж {payment} на {amount} отнесён к сделке {deal}: {path}.",
            "Payment {payment}, {amount}, is on deal {deal} now: {path}.",
            payment=f"{decision.payment_source}:{decision.payment_id}",
            amount=page.numbers.money(decision.amount, decision.currency, places=2),
            deal=f"{decision.deal_source}:{decision.deal_id}",
            path=path,
        )
    )
    if decision.kept:
        page.say(
            say(
                "Части, отнесённые правилами, записаны там же: решение человека заменяет правила для всего платежа.",
                "Parts that rules booked are written there too: a person's decision replaces the rules for all of it.",
            )
        )
    month = f" {decision.paid_on:%Y-%m}" if decision.paid_on else " PERIOD"
    page.say(
        say(
            "В показателях — после ночного расчёта, или сейчас: voronka recompute{month}",
            "In the facts after the night's run, or now: voronka recompute{month}",
            month=month,
        )
    )


def decision_document(decision: Decision, path: Path) -> dict[str, Any]:
    return {"decision": decision, "path": path}
