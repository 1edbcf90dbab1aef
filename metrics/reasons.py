"""Why a record was left out, in words: the table behind `excluded_by`."""

from __future__ import annotations

from base.text import Text, say

REASONS: dict[str, Text] = {
    "duplicate": say(
        "дубль: сделка с тем же телефоном или почтой уже была",
        "a duplicate of an older deal with the same phone or e-mail",
    ),
    "exclusion": say(
        "исключено решением руководителя (exclusions.csv)", "left out by an approved decision (exclusions.csv)"
    ),
    "after_as_of": say(
        "позже момента, до которого данные полны", "later than the moment until which the data is complete"
    ),
    "no_contact_action": say(
        "не было ни исходящей попытки, ни принятого входящего", "no outbound attempt and no answered inbound call"
    ),
    "no_successful_call": say("успешного звонка не было", "no successful call"),
    "repeat_missed": say(
        "ещё один пропущенный с этого номера, пока шло время на перезвон",
        "another missed call of this number while its time to be called back ran",
    ),
    "internal": say("внутренний звонок", "an internal call"),
    "ivr": say("звонок кончился в меню: никому не звонили", "the call ended in the menu: nobody was rung"),
    "test_number": say("тестовый номер (test_numbers.csv)", "a test number (test_numbers.csv)"),
    "not_an_attempt": say("не исходящая внешняя попытка", "not an outbound external attempt"),
    "not_answered": say("разговора не было", "nobody talked"),
    "too_short": say("разговор не длиннее порога", "the talk is not longer than the threshold"),
    "hidden_number": say("номер скрыт", "the number is hidden"),
    "pending": say("срок ещё не вышел", "its time is not over yet"),
    "later_outcome": say(
        "у сделки есть более позднее завершение в этом периоде", "the deal ended again later in the period"
    ),
    "later_exit": say("сделка выходила с этапа и позже в этом периоде", "the deal left the stage again in the period"),
    "gone": say(
        "сделку удалили или слили, пока она стояла на этапе", "the deal was deleted or merged away while it stood there"
    ),
    "won_again": say("сделка выиграна и позже в этом периоде", "the deal was won again later in the period"),
    "paid_before": say("клиент уже покупал раньше", "the customer had bought before"),
    "first_payment": say("первый известный платёж клиента", "the customer's first known payment"),
    "not_dormant": say("перерыв в платежах короче заданного", "the pause between payments is too short"),
    "no_cost": say("в учёте нет себестоимости сделки", "accounting has no cost of the deal"),
    "no_odds": say("вероятность оплаты с этого этапа неизвестна", "the odds of being paid from this stage are unknown"),
    "own_transfer": say("перевод между своими счетами", "a transfer between own accounts"),
    "other": say("не деньги покупателя", "not a customer's money"),
    "other_channel": say("тот же платёж учтён из другого источника", "the same payment counted from another source"),
    "no_rate": say("нет курса валюты (rates.csv)", "no exchange rate (rates.csv)"),
    "deleted": say("учёт отменил запись", "accounting took the record back"),
}


def reason(code: str) -> Text:
    """The words of a rule; a rule of the company's own metrics speaks by its code."""
    return REASONS.get(code) or say("правило {code}", "rule {code}", code=code)
