"""What of a document its money is told by: both sides, their days, number, date, amount and purpose, as written."""

from __future__ import annotations

import msgspec

# Key prefix of either side, and the key of its booked day.
PAYER, PAYEE = "Плательщик", "Получатель"
DEBITED, CREDITED = "ДатаСписано", "ДатаПоступило"
ORDERED, AMOUNT, NUMBER = "Дата", "Сумма", "Номер"
PURPOSE = "НазначениеПлатежа"

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
    "payer": PAYER,
    "payer_name": f"{PAYER}1",
    "payee": PAYEE,
    "payee_name": f"{PAYEE}1",
    "payer_status": "СтатусСоставителя",
    "budget_code": "ПоказательКБК",
    "purpose": PURPOSE,
    **{f"purpose_{line}": f"{PURPOSE}{line}" for line in range(1, 7)},
}


class Particulars(msgspec.Struct, frozen=True, rename=PARTICULARS):
    """Texts of a document, `""` where it has none; of a payload no other keys are even decoded. The real account is
    that of an indirect settlement."""

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
    payer: str = ""
    payer_name: str = ""
    payee: str = ""
    payee_name: str = ""
    payer_status: str = ""
    budget_code: str = ""
    purpose: str = ""
    purpose_1: str = ""
    purpose_2: str = ""
    purpose_3: str = ""
    purpose_4: str = ""
    purpose_5: str = ""
    purpose_6: str = ""

    @property
    def whole_purpose(self) -> str:
        """The purpose, else its lines joined; never both, which would double every number in it."""
        lines = (self.purpose_1, self.purpose_2, self.purpose_3, self.purpose_4, self.purpose_5, self.purpose_6)
        return self.purpose or " ".join(line for line in lines if line)
