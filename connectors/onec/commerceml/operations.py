"""What a document's `ХозОперация` and `Роль` (of our company) make of it: tables only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from connectors.onec.money_kinds import Kind

Purpose = Literal["order", "payment", "sale", "other"]


@dataclass(frozen=True)
class Operation:
    """`sign`: how its amount counts when our company is the seller; `needs_posting`: not valid while unposted;
    `is_bank`: the money is on a bank account, where a statement has it too."""

    purpose: Purpose
    sign: Literal[1, -1] = 1
    needs_posting: bool = True
    is_bank: bool = False


_OTHER = Operation("other")
OPERATIONS: dict[str, Operation] = {
    "заказ товара": Operation("order"),
    "счет на оплату": Operation("order", needs_posting=False),
    "отпуск товара": Operation("sale"),
    "передача прав": Operation("sale"),
    "возврат товара": Operation("sale", -1),
    # The words mean a pay-out, but on our seller's side it is the customer who pays.
    "выплата наличных денег": Operation("payment"),
    "выплата безналичных денег": Operation("payment", is_bank=True),
    "эквайринговая операция": Operation("payment"),
    "возврат наличных денег": Operation("payment", -1),
    "возврат безналичных денег": Operation("payment", -1, is_bank=True),
    # Nobody's order, money or shipment: kept raw.
    "счет-фактура": _OTHER,
    "передача товара на комиссию": _OTHER,
    "возврат комиссионного товара": _OTHER,
    "отчет о продажах комиссионного товара": _OTHER,
    "отчет о списании комиссионного товара": _OTHER,
    "переоценка товаров": _OTHER,
    "прочие": _OTHER,
}
_BUYER_ROLES = frozenset({"покупатель", "плательщик", "лицензиат"})


def operation_of(text: str) -> Operation | None:
    """None: a name outside of the schema's list and of what is known to be real."""
    return OPERATIONS.get(" ".join(text.casefold().replace("ё", "е").split()))


def is_our_sale(role: str) -> bool:
    """Our company sells: customers' orders and customers' money. Without a role an exchange speaks of sales."""
    return role.strip().casefold() not in _BUYER_ROLES


def payment_kind(operation: Operation, role: str) -> tuple[Literal[1, -1], Kind]:
    """Sign and kind of a payment document. As the buyer we pay suppliers, and get their refunds."""
    if is_our_sale(role):
        return operation.sign, "customer" if operation.sign > 0 else "refund"
    return (-1 if operation.sign > 0 else 1), "other"
