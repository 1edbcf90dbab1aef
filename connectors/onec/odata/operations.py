"""What 1C's own kind of operation says about money: a customer's, a refund, between own accounts, or anything else.

Value names differ between configurations and releases (`ОплатаПокупателя`, `ПоступлениеОплатыОтКлиента`,
`ОтПокупателя`), so they are recognised by the words they are made of. The first rule that fits decides.
"""

from __future__ import annotations

import re

from connectors.onec.money_kinds import Kind

# (what the name holds, direction or 0 for both, kind)
_RULES: tuple[tuple[re.Pattern[str], int, Kind], ...] = (
    # Money on its way between the firm's own accounts, desks and people.
    (re.compile(r"друг(?:ой|ого)счет|перемещени|наличныхвбанк|взносналичн|инкассац|снятиеналичн"), 0, "own_transfer"),
    (re.compile(r"получениеналичн|(?:вывод|сдача).*банк|(?:из|в|с)(?:друг\w+)?касс[уы]|избанка"), 0, "own_transfer"),
    (re.compile(r"подотчет|заработн|зарплат|кредит|займ|депозит|налог|дивиденд|учредител"), 0, "other"),
    (re.compile(r"возврат.*поставщик|отпоставщик|поставщику|прочее|прочие|прочий"), 0, "other"),
    (re.compile(r"покупател|клиент"), 1, "customer"),
    # Shops and card machines: the acquirer pays for many customers at once.
    (re.compile(r"платежн\w*карт|эквайринг|розничн"), 1, "customer"),
    (re.compile(r"покупател|клиент|платежн\w*карт|розничн"), -1, "refund"),
)


def kind_of_operation(operation: str, sign: int) -> Kind | None:
    """The kind by the name of an operation; None when there is no name, "other" for one that no rule knows."""
    name = operation.casefold().replace("ё", "е")
    if not name:
        return None
    return next((kind for pattern, way, kind in _RULES if way in (0, sign) and pattern.search(name)), "other")
