"""What an answer of the OData interface means that is not the one asked for.

Errors come as JSON, as XML though JSON was asked, or as a page of the web server in front of 1C.
"""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import httpx
import msgspec

from base.errors import CredentialsError, ProtocolError, RightsError, ServerFaultError, SourceError
from base.secrets import Redactor
from base.text import Text, say

LONGEST_DETAIL = 300
_XML_MESSAGE = re.compile(r"<(?:\w+:)?message\b[^>]*>(.*?)</(?:\w+:)?message>", re.DOTALL)
_TAGS = re.compile(r"<(?:style|script)\b.*?</(?:style|script)>|<[^>]*>", re.DOTALL | re.IGNORECASE)


class MissingSetError(ProtocolError):
    """404: this set is not published, or the entity is not there."""


class _Failure(msgspec.Struct):
    code: str | int = ""
    message: Any = None


class _Answer(msgspec.Struct):
    error: _Failure = msgspec.field(name="odata.error", default_factory=_Failure)


class Refusals:
    """Turns an answer into an error of ours; secrets are taken out of 1C's words."""

    def __init__(self, source: str, redact: Redactor) -> None:
        self._source = source
        self._redact = redact

    def __call__(self, response: httpx.Response) -> SourceError | None:
        status = response.status_code
        if status == 200:
            return self._of_a_page(response)
        told = {"status": str(status), "detail": self._detail(response), "place": self._place(response)}
        if status == 401:
            return CredentialsError(self._say(_REFUSED, **told), _CHECK_USER)
        if status == 403:
            return RightsError(self._say(_NO_RIGHT, **told), GIVE_RIGHTS)
        if status == 404:
            return MissingSetError(self._say(_NOT_THERE, **told), _CHECK_OR_PUBLISH)
        if status == 400:
            return ProtocolError(self._say(_BAD_REQUEST, **told), _TELL_US)
        if status == 500:
            return ServerFaultError(self._say(_FAULT, **told), _TRY_LATER)
        return None

    def _of_a_page(self, response: httpx.Response) -> SourceError | None:
        """A good status with something that is no OData."""
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        told = {"place": self._place(response)}
        if kind == "text/html":
            return ProtocolError(self._say(_A_PAGE, **told), _CHECK_ADDRESS)
        if kind == "application/atom+xml":
            return ProtocolError(self._say(_ATOM, **told), _NEWER_PLATFORM)
        return None

    def _detail(self, response: httpx.Response) -> str:
        # Redacted whole and cut afterwards: a cut secret would not be recognised.
        return " ".join(self._redact(error_message(response.content)).split())[:LONGEST_DETAIL]

    def _place(self, response: httpx.Response) -> str:
        return self._redact(response.request.url.path.rpartition("/")[2])

    def _say(self, text: Text, **values: Any) -> Text:
        return say(text.ru, text.en, source=self._source, **values)


def error_message(body: bytes) -> str:
    """1C's own words out of any of the three forms of an error."""
    try:
        failure = msgspec.json.decode(body, type=_Answer).error
    except msgspec.DecodeError:
        text = body.decode("utf-8", errors="replace")
        found = _XML_MESSAGE.search(text)
        return unescape(_TAGS.sub(" ", found[1] if found else text)).strip()
    message = failure.message
    if isinstance(message, dict):
        message = message.get("value", "")
    return str(message or failure.code or "")


_REFUSED = say("{source}: 1С не пустила пользователя ({status}).", "{source}: 1C did not let the user in ({status}).")
_CHECK_USER = say(
    "Проверьте user и password: это пользователь базы 1С с включённой аутентификацией 1С:Предприятия.",
    "Check user and password: it is a user of the 1C database with 1C:Enterprise authentication switched on.",
)
_NO_RIGHT = say(
    "{source}: у пользователя 1С нет права читать {place}: {detail}",
    "{source}: the 1C user has no right to read {place}: {detail}",
)
GIVE_RIGHTS = say(
    "Дайте пользователю профиль с правом чтения этих данных и роль «Удаленный доступ OData»; ограничения по записям"
    " (RLS) не должны прятать платежи.",
    "Give the user a profile that reads these data and the role «Удаленный доступ OData»; record-level restrictions"
    " must not hide payments.",
)
_NOT_THERE = say("{source}: в 1С нет {place} ({status}): {detail}", "{source}: 1C has no {place} ({status}): {detail}")
PUBLISH = say(
    "Администратор 1С открывает данные: Администрирование → Синхронизация данных → Настройка автоматического"
    " REST-сервиса (обработка «Настройка стандартного интерфейса OData»), вкладка «Состав».",
    "1C's administrator publishes the data: Администрирование → Синхронизация данных → Настройка автоматического"
    " REST-сервиса (the tool «Настройка стандартного интерфейса OData»), tab «Состав».",
)
_CHECK_OR_PUBLISH = say(
    "Проверьте odata_url. Если адрес верен, данные не опубликованы. {publish}",
    "Check odata_url. If it is right, the data are not published. {publish}",
    publish=PUBLISH,
)
_BAD_REQUEST = say(
    "{source}: 1С не поняла запрос к {place}: {detail}",
    "{source}: 1C did not understand the request to {place}: {detail}",
)
_TELL_US = say(
    "Если конфигурацию 1С недавно обновили, запустите ещё раз; не помогло — сообщите разработчикам voronka.",
    "If the 1C configuration was updated lately, run it again; if that doesn't help, tell voronka's developers.",
)
_FAULT = say("{source}: сбой 1С на {place}: {detail}", "{source}: 1C failed at {place}: {detail}")
_TRY_LATER = say(
    "Повторите позже: бывает при обновлении базы, нехватке лицензий и блокировках. Загруженное сохранено.",
    "Repeat later: it happens while the database is updated, licences are short or data are locked. What was loaded is"
    " kept.",
)
_A_PAGE = say(
    "{source}: по адресу отвечает веб-страница, а не OData ({place}).",
    "{source}: a web page answers at this address, not OData ({place}).",
)
_CHECK_ADDRESS = say(
    "Укажите в odata_url адрес публикации базы, например https://сервер/база.",
    "Put the address of the database's publication into odata_url, such as https://server/base.",
)
_ATOM = say("{source}: 1С отвечает только Atom, без JSON.", "{source}: 1C answers in Atom only, without JSON.")
_NEWER_PLATFORM = say("Нужна платформа 8.3.8 или новее.", "Platform 8.3.8 or newer is needed.")
