"""What the catalogue's fixed words are called. A word of a user's own metric that is not here is shown as it stands."""

from __future__ import annotations

from collections.abc import Mapping

from base.text import Text, say

CREDITS: dict[str, Text] = {
    "actor": say("кто разговаривал", "who talked"),
    "owner_at_event": say("ответственный в момент события", "responsible at the event"),
    "owner_at_entry": say("ответственный при создании", "responsible at creation"),
    "owner_at_payment": say("ответственный в момент платежа", "responsible at the payment"),
    "account_owner": say("ответственный за клиента", "the customer's owner"),
    "team_of_line": say("команда линии", "the line's team"),
    "none": say("никто", "nobody"),
    "as_fact": say("как у самого показателя", "as its fact"),
}

GROUPS: dict[str, Text] = {
    "leads": say("Лиды и скорость", "Leads and speed"),
    "calls": say("Звонки", "Calls"),
    "activity": say("Встречи и предложения", "Meetings and offers"),
    "conversion": say("Воронка", "Funnel"),
    "money": say("Деньги", "Money"),
    "customers": say("Клиенты", "Customers"),
    "pipeline": say("Сделки в работе", "Pipeline"),
    "plan": say("План и прогноз", "Plan and forecast"),
    "discipline": say("Достоверность", "Integrity"),
}

UNITS: dict[str, Text] = {
    "calls": say("звонки", "calls"),
    "customers": say("клиенты", "customers"),
    "days": say("дни", "days"),
    "deals": say("сделки", "deals"),
    "leads": say("лиды", "leads"),
    "money": say("деньги", "money"),
    "numbers": say("номера", "numbers"),
    "points": say("баллы", "points"),
    "ratio": say("доля", "ratio"),
    "working hours": say("рабочие часы", "working hours"),
    "working minutes": say("рабочие минуты", "working minutes"),
    "as_fact": say("как у самого показателя", "as its fact"),
}

ADDITIVITY: dict[str, Text] = {
    "additive": say("сумма", "sum"),
    "ratio": say("суммы числителя и знаменателя", "sums of numerator and denominator"),
    "distinct": say("заново по записям: число разных", "from the records again: how many different ones"),
    "distribution": say("заново по записям: медиана не усредняется", "from the records again: a median is no average"),
    "snapshot": say("состояние на дату, по времени не складывается", "a state at a date, never summed over time"),
    "derived": say("из названных показателей", "from the metrics named"),
}

ENTITIES: dict[str, Text] = {
    "manager": say("менеджер", "manager"),
    "team": say("команда", "team"),
    "company": say("компания", "company"),
}

SPLITS: dict[str, Text] = {
    "pipeline": say("по воронкам", "by pipeline"),
    "source": say("по источникам сделок, если их несколько", "by source of deals where there are several"),
}

FACETS: dict[str, Text] = {
    "crm": say("журнал CRM", "the CRM's log"),
    "calls": say("телефония", "telephony"),
    "money": say("учёт", "accounting"),
}

RECORD_TYPES: dict[str, Text] = {
    "deal": say("сделка", "deal"),
    "call": say("звонок", "call"),
    "payment": say("платёж", "payment"),
    "activity": say("дело", "activity"),
    "document": say("документ", "document"),
    "customer": say("клиент", "customer"),
}

EVENTS: dict[str, Text] = {
    "as its fact": say("как у самого показателя", "as its fact"),
    "as_of": say("дата расчёта", "the date of counting"),
    "call start": say("начало звонка", "call start"),
    "call start; first touch of the stage": say(
        "начало звонка; первый вход в этап", "call start; first touch of the stage"
    ),
    "creation event": say("создание по журналу", "creation event"),
    "date of the sales document": say("дата документа отгрузки", "date of the sales document"),
    "exit": say("выход из этапа", "exit"),
    "first attempt": say("первое обращение к клиенту", "first attempt"),
    "first pass of each stage": say("первое прохождение каждого этапа", "first pass of each stage"),
    "first pass of the earlier stage": say("первое прохождение более раннего этапа", "first pass of the earlier stage"),
    "first pass of the stage": say("первое прохождение этапа", "first pass of the stage"),
    "first pass of the stage qualified": say(
        "первое прохождение этапа «квалифицирован»", "first pass of the stage qualified"
    ),
    "first successful call": say("первый успешный звонок", "first successful call"),
    "first touch of each stage": say("первый вход в каждый этап", "first touch of each stage"),
    "first touch of the stage": say("первый вход в этап", "first touch of the stage"),
    "first-ever paid event": say("первая в истории оплата", "first-ever paid event"),
    "last snapshot of the period": say("последний снимок периода", "last snapshot of the period"),
    "missed call's start": say("начало пропущенного звонка", "missed call's start"),
    "move": say("переход между этапами", "move"),
    "paid event": say("сделка стала оплаченной", "paid event"),
    "paid event; first touch of the stage": say(
        "сделка стала оплаченной; первый вход в этап", "paid event; first touch of the stage"
    ),
    "payment": say("платёж", "payment"),
    "payment date": say("день зачисления", "payment date"),
    "refund date": say("день возврата", "refund date"),
    "successful call": say("успешный звонок", "successful call"),
    "terminal event": say("сделка завершилась", "terminal event"),
    "time of the note": say("время примечания", "time of the note"),
    "won event": say("вход в «успешно»", "won event"),
}


def word(words: Mapping[str, Text], key: str) -> Text:
    return words.get(key) or say("{key}", "{key}", key=key)
