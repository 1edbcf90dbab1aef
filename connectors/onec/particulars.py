"""What of a document money is told by: account, tax id and day of either side, number, date and amount, as written."""

from __future__ import annotations

import msgspec

# Key prefix of either side, and the key of its booked day.
PAYER, PAYEE = "Плательщик", "Получатель"
DEBITED, CREDITED = "ДатаСписано", "ДатаПоступило"
ORDERED, AMOUNT, NUMBER = "Дата", "Сумма", "Номер"

# By field of `Particulars`, and in their order: the key of a document.
PARTICULARS = {
    "payer_account": f"{PAYER}Счет",
    "payer_real_account": f"{PAYER}РасчСчет",
    "payer_tax_id": f"{PAYER}ИНН",
    "payee_account": f"{PAYEE}Счет",
    "payee_real_account": f"{PAYEE}РасчСчет",
    "payee_tax_id": f"{PAYEE}ИНН",
    "debited": DEBITED,
    "credited": CREDITED,
    "ordered": ORDERED,
    "amount": AMOUNT,
    "number": NUMBER,
}


class Particulars(msgspec.Struct, frozen=True, rename=PARTICULARS):
    """Texts of a document, `""` where it has none. The real account is that of an indirect settlement."""

    payer_account: str = ""
    payer_real_account: str = ""
    payer_tax_id: str = ""
    payee_account: str = ""
    payee_real_account: str = ""
    payee_tax_id: str = ""
    debited: str = ""
    credited: str = ""
    ordered: str = ""
    amount: str = ""
    number: str = ""
