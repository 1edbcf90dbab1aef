"""What Mango's result codes mean, in words, and which error each one is.

A code comes in the body of a 200 (`{"result": N}`, N ≠ 1000) or beside another HTTP status; HTTP classes alone say
little (the manual's text on them contradicts itself). An unknown code falls back to its class: 2219 → 2210 → 2200.
"""

from __future__ import annotations

from typing import Any

import httpx
import msgspec

from base.errors import (
    BlockedError,
    BudgetError,
    CredentialsError,
    ProtocolError,
    RightsError,
    ServerFaultError,
    SourceError,
)
from base.text import Text, say

# A wrong request (any 3xxx) within two minutes of another one locks the key until two minutes after the first.
# The reserve is for clocks and for the way of the answer.
LOCK_SECONDS = 125.0


class UnsupportedError(RightsError):
    """The tariff or this PBX doesn't know the command (4001)."""


REASONS: dict[int, Text] = {
    2000: say("отказ биллинга", "refused by billing"),
    2100: say("нет доступа к лицевому счёту", "no access to the account"),
    2110: say("лицевой счёт заблокирован", "the account is blocked"),
    2200: say("услуга не оплачена или отключена", "the service is unpaid or switched off"),
    2230: say("услуга недоступна", "the service is unavailable"),
    2240: say("на счёте недостаточно денег", "not enough money on the account"),
    3000: say("неверный запрос", "a wrong request"),
    3100: say("неверные параметры запроса", "wrong parameters of the request"),
    3101: say("метод вызван не через POST", "the method was not called by POST"),
    3102: say("подпись не сходится: неверна соль (api_salt)", "the signature does not match: wrong api_salt"),
    3103: say("не хватает обязательного параметра", "a mandatory parameter is missing"),
    3104: say("параметр записан не в том виде", "a parameter has the wrong format"),
    3105: say("неизвестный ключ (api_key)", "unknown api_key"),
    3108: say("значение параметра слишком мало", "a parameter is too small"),
    3109: say("значение параметра слишком велико", "a parameter is too big"),
    3111: say("неверный период: даты не подходят или период слишком длинный", "a wrong or too long period"),
    3300: say("объект не найден", "no such object"),
    3310: say("звонок не найден", "no such call"),
    3320: say("запись разговора не найдена", "no such recording"),
    3400: say("JSON запроса не читается", "the request's JSON is unreadable"),
    4000: say("действие невозможно", "the action is impossible"),
    4001: say("команда не поддерживается на этом тарифе", "the tariff does not support the command"),
    4290: say("слишком много запросов", "too many requests"),
    5000: say("ошибка сервера Mango", "an error of Mango's server"),
    5003: say("сервер Mango перегружен", "Mango's server is overloaded"),
    5004: say("ошибка базы данных Mango", "an error of Mango's database"),
    5008: say("сервис временно недоступен", "the service is unavailable for now"),
    5011: say("сервер Mango не дождался ответа", "Mango's server timed out"),
}

_CREDENTIALS = frozenset({3102, 3105})
_SLOW_DOWN = frozenset({4290, 5008})

_CHECK_KEY = say(
    "Возьмите ключ и соль в личном кабинете Mango (Интеграции → API) и проверьте api_key и api_salt; следующую"
    " попытку делайте не раньше чем через две минуты, иначе Mango заблокирует ключ.",
    "Copy the key and the salt from Mango's account (Integrations → API) and check api_key and api_salt; try again no"
    " sooner than in two minutes, or Mango locks the key.",
)
_ASK_BILLING = say(
    "Проверьте баланс и услугу API в личном кабинете Mango.",
    "Check the balance and the API service in Mango's account.",
)
_WAIT_AND_TELL = say(
    "Запросы остановлены на две минуты, чтобы Mango не заблокировал ключ. Если повторится, сообщите разработчикам.",
    "Requests are stopped for two minutes so that Mango doesn't lock the key. If it happens again,"
    " tell the developers.",
)
_LOCKED = say(
    "Подождите две минуты и повторите. Если отказ остался, проверьте api_key, api_salt и список разрешённых"
    " IP-адресов в личном кабинете Mango.",
    "Wait two minutes and repeat. If it is still refused, check api_key, api_salt and the list of allowed IP addresses"
    " in Mango's account.",
)
_SLOWER = say("Mango просит реже: повторите позже.", "Mango asks to slow down: repeat later.")


class _Verdict(msgspec.Struct):
    """The part of any answer that says how it went."""

    result: Any = None
    code: Any = None
    message: Any = None


def stated_code(response: httpx.Response) -> int | None:
    """The result code of an answer, None where it states none (a report, a CSV, a gateway's page)."""
    if response.content.lstrip()[:1] != b"{":
        return None
    try:
        verdict = msgspec.json.decode(response.content, type=_Verdict)
    except msgspec.DecodeError:
        return None
    for value in (verdict.result, verdict.code):
        if isinstance(value, str) and value.isdecimal() and len(value) < 10:
            value = int(value)
        if isinstance(value, int) and value >= 1000:
            return value
    return None


def reason_of(code: int) -> Text:
    """A code in words; an unknown one in the words of its class."""
    for step in (1, 10, 100, 1000):
        known = REASONS.get(code // step * step)
        if known is not None:
            return known
    return say("неизвестный код ответа", "an unknown result code")


def refusal(source: str, response: httpx.Response) -> SourceError | None:
    """The error an answer is, or None when it is good or when its HTTP status alone must decide."""
    code = stated_code(response)
    if code is not None and code // 1000 != 1:
        return _by_code(source, code)
    if response.status_code == 401:
        return BlockedError(
            say("{source}: Mango закрыл доступ (401)", "{source}: Mango refuses access (401)", source=source), _LOCKED
        )
    if response.status_code == 503:
        what = say("{source}: Mango перегружен (503)", "{source}: Mango is overloaded (503)", source=source)
        return BudgetError(what, _SLOWER)
    return None


def locks_the_key(response: httpx.Response) -> bool:
    """True after an answer that must be followed by two minutes of silence."""
    code = stated_code(response)
    return response.status_code == 401 or (code is not None and code // 1000 == 3)


def _by_code(source: str, code: int) -> SourceError:
    what = say(
        "{source}: Mango ответил {code}: {reason}",
        "{source}: Mango answered {code}: {reason}",
        source=source,
        code=code,
        reason=reason_of(code),
    )
    if code in _SLOW_DOWN:
        return BudgetError(what, _SLOWER)
    if code in _CREDENTIALS:
        return CredentialsError(what, _CHECK_KEY)
    if code == 4001:
        return UnsupportedError(what, _ASK_BILLING)
    match code // 1000:
        case 2:
            return RightsError(what, _ASK_BILLING)
        case 3:
            return ProtocolError(what, _WAIT_AND_TELL)
        case 5:
            return ServerFaultError(what)
    return ProtocolError(what)
